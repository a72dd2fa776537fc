#include "schema/suggestion.h"

#include <string.h>
#include <strings.h>

#include "base/datetime.h"
#include "base/decimal.h"

#define WORD_LIMIT     64 /* longer words are not compared */
#define NO_BREAK_SPACE "\xC2\xA0"
#define MINUS_SIGN     "\xE2\x88\x92" /* U+2212, as word processors write it */

struct span {
    const char *text;
    size_t len;
};

void suggestion_show(struct buffer *out, const char *text, size_t len)
{
    size_t shown = len;

    if (len > SUGGESTION_SHOWN) {
        shown = SUGGESTION_SHOWN;
        while (shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
            shown--;
    }
    buffer_append(out, text, shown);
    if (shown < len)
        buffer_string(out, "...");
}

void suggestion_quote(struct buffer *out, const char *text, size_t len)
{
    buffer_byte(out, '\'');
    suggestion_show(out, text, len);
    buffer_byte(out, '\'');
}

static bool is_white_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_number(struct span s)
{
    struct decimal number;

    return decimal_parse(s.text, s.len, &number);
}

static bool is_integer(struct span s)
{
    struct decimal number;

    return decimal_parse(s.text, s.len, &number) && number.whole;
}

static bool starts_with(struct span s, const char *prefix)
{
    return s.len >= strlen(prefix) && memcmp(s.text, prefix, strlen(prefix)) == 0;
}

static bool equals_any_case(struct span s, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == s.len && strncasecmp(*words, s.text, s.len) == 0)
            return true;
    return false;
}

static struct span without_blanks(struct span s)
{
    size_t before;

    do {
        before = s.len;
        if (s.len > 0 && is_white_space(s.text[0]))
            s = (struct span){s.text + 1, s.len - 1};
        if (s.len > 0 && is_white_space(s.text[s.len - 1]))
            s.len--;
        if (s.len >= 2 && memcmp(s.text, NO_BREAK_SPACE, 2) == 0)
            s = (struct span){s.text + 2, s.len - 2};
        if (s.len >= 2 && memcmp(s.text + s.len - 2, NO_BREAK_SPACE, 2) == 0)
            s.len -= 2;
    } while (s.len < before);
    return s;
}

bool suggestion_invisible(struct buffer *out, const char *text, size_t len)
{
    struct span s = {text, len}, inner = without_blanks(s);

    if (inner.len == 0 && len > 0) {
        buffer_string(out, ": a cell of nothing but blanks is not empty; remove the blanks");
    } else if (inner.len < len) {
        buffer_printf(out, ": it has a blank at its %s; remove it",
                      inner.text == text                     ? "end"
                      : inner.text + inner.len == text + len ? "start"
                                                             : "start and end");
    } else if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
        buffer_string(out, ": quotes belong to the value here; remove them");
    } else {
        return false;
    }
    return true;
}

/* Return the separator of digits in groups of three, as in 1,234 or 12.345.678 or 1 234 567, or
 * '\0'. */
static char group_separator(struct span s)
{
    size_t i = starts_with(s, "-"), run = 0;
    char separator = '\0';

    for (; i < s.len && (separator == '\0' || s.text[i] != '.'); i++) {
        if (decimal_is_digit(s.text[i])) {
            run++;
        } else if (strchr(", '_.", s.text[i]) != NULL && run >= 1 && run <= 3 &&
                   (separator == '\0' || (s.text[i] == separator && run == 3))) {
            separator = s.text[i];
            run = 0;
        } else {
            return '\0';
        }
    }
    return run == 3 ? separator : '\0';
}

static void suggest_comma(struct buffer *out, struct span s)
{
    const char *comma = memchr(s.text, ',', s.len);
    struct span whole = {s.text, (size_t)(comma - s.text)};
    struct span rest = {comma + 1, s.len - whole.len - 1};

    if (!is_integer(whole) || !is_integer(rest) || *rest.text == '-' || s.len > SUGGESTION_SHOWN) {
        buffer_string(out, ": a number has no comma; the decimal separator is a point");
    } else if (group_separator(s) == ',') {
        buffer_string(out, ": a number has no comma; write ");
        buffer_append(out, whole.text, whole.len);
        buffer_append(out, rest.text, rest.len);
        buffer_string(out, " if it separates thousands, ");
        buffer_append(out, whole.text, whole.len);
        buffer_byte(out, '.');
        buffer_append(out, rest.text, rest.len);
        buffer_string(out, " if it is a decimal comma");
    } else {
        buffer_string(out, ": a decimal comma? Write ");
        buffer_append(out, whole.text, whole.len);
        buffer_byte(out, '.');
        buffer_append(out, rest.text, rest.len);
    }
}

/* Return the length of the number at the start of s, or 0. */
static size_t leading_number(struct span s)
{
    size_t len = starts_with(s, "-");

    while (len < s.len && (decimal_is_digit(s.text[len]) || s.text[len] == '.'))
        len++;
    while (len > 0 && !is_number((struct span){s.text, len}))
        len--;
    return len;
}

/* Explain signs, points and exponents that the grammar does not have. Return false for others. */
static bool suggest_notation(struct buffer *out, struct span s)
{
    struct span rest = {s.text + 1, s.len - 1};
    size_t sign = starts_with(s, "-") || starts_with(s, "+");
    size_t number = leading_number(s);

    if (*s.text == '+' && is_number(rest))
        buffer_string(out, ": leave out the leading '+'");
    else if (starts_with(s, MINUS_SIGN))
        buffer_string(out, ": its minus sign is not the character '-'");
    else if (s.len > sign + 1 && s.text[sign] == '.' && decimal_is_digit(s.text[sign + 1]))
        buffer_string(out, ": a digit must stand before the point, as in 0.5");
    else if (number > 0 && number < s.len && s.text[number] == '.' &&
             (number + 1 == s.len || (s.text[number + 1] | 0x20) == 'e'))
        buffer_string(out, ": a digit must stand behind the point, as in 5.0");
    else if (s.len >= 3 && *s.text == '0' && (s.text[1] | 0x20) == 'x')
        buffer_string(out, ": hexadecimal is not read; write it in decimal digits");
    else if (number > 0 && number < s.len && (s.text[number] | 0x20) == 'e' &&
             (number + 1 == s.len ||
              (number + 2 == s.len && strchr("+-", s.text[number + 1]) != NULL)))
        buffer_string(out, ": its exponent has no digits");
    else
        return false;
    return true;
}

void suggestion_number(struct buffer *out, const char *text, size_t len, bool integer,
                       bool required)
{
    static const char *const not_finite[] = {"nan",  "inf",       "infinity",  "-nan", "-inf",
                                             "+inf", "-infinity", "+infinity", "+nan", NULL};
    static const char *const absent[] = {"null", "none", "na", "n/a",     "nil",
                                         "-",    "--",   "?",  "unknown", NULL};
    struct span s = {text, len};
    size_t number;

    if (suggestion_invisible(out, text, len) || len == 0)
        return;
    number = leading_number(s);
    if (integer && is_number(s)) {
        buffer_string(out, ": an integer has no decimal point and no exponent");
    } else if (equals_any_case(s, not_finite) || equals_any_case(s, absent)) {
        buffer_printf(out, ": %s",
                      required ? "a measured value is required; leave out rows without one"
                               : "leave the cell empty where there is no value");
    } else if (suggest_notation(out, s)) {
        return;
    } else if (group_separator(s) != '\0' && group_separator(s) != ',') {
        buffer_string(out, ": write it without thousands separators");
    } else if (memchr(text, ',', len) != NULL) {
        suggest_comma(out, s);
    } else if (number > 0 && number + 1 == len && text[number] == '%') {
        buffer_string(out, ": leave out the percent sign");
    } else if (number > 0 && number < len &&
               (is_white_space(text[number]) || (text[number] & 0xC0) == 0xC0 ||
                ((text[number] | 0x20) >= 'a' && (text[number] | 0x20) <= 'z'))) {
        buffer_string(out, ": only the number belongs here, without unit or other text");
    }
}

void suggestion_boolean(struct buffer *out, const char *text, size_t len)
{
    if (!suggestion_invisible(out, text, len))
        buffer_string(out, ": write true or false");
}

/* Return true if the text has this shape, in which 0 stands for any digit. */
static bool has_shape(struct span s, const char *shape)
{
    size_t i;

    if (s.len != strlen(shape))
        return false;
    for (i = 0; i < s.len; i++)
        if (shape[i] == '0' ? !decimal_is_digit(s.text[i]) : shape[i] != s.text[i])
            return false;
    return true;
}

/* Explain a fault of the day alone, which `s` contains. Return false if it has none of these. */
static bool suggest_day(struct buffer *out, struct span s)
{
    struct datetime day;

    if (has_shape(s, "0000-00-00") && !datetime_parse_date(s.text, s.len, &day))
        buffer_string(out, ": the calendar has no such day");
    else if (has_shape(s, "00000000"))
        buffer_string(out, ": write it with hyphens, as in 2024-01-31");
    else if (has_shape(s, "0000-0-0") || has_shape(s, "0000-00-0") || has_shape(s, "0000-0-00"))
        buffer_string(out, ": month and day have two digits, as in 2024-01-05");
    else if (s.len >= 6 && s.len <= 10 &&
             (memchr(s.text, '.', s.len) != NULL || memchr(s.text, '/', s.len) != NULL))
        buffer_string(out, ": write year, month, day with hyphens, as in 2024-01-31");
    else
        return false;
    return true;
}

void suggestion_date(struct buffer *out, const char *text, size_t len)
{
    struct datetime datetime;

    if (suggestion_invisible(out, text, len) || suggest_day(out, (struct span){text, len}))
        return;
    if (len > 10 && datetime_parse_date(text, 10, &datetime) &&
        (text[10] == 'T' || text[10] == ' '))
        buffer_string(out, ": only the day belongs here, without the time");
    else
        buffer_string(out, ": write it as in 2024-01-31");
}

/* Explain a fault after a valid day. */
static void suggest_clock(struct buffer *out, struct span s)
{
    struct span clock = {s.text + 11, s.len - 11};

    if (has_shape(clock, "00:00"))
        buffer_string(out, ": the seconds are missing, as in 12:00:00");
    else if (clock.len >= 8 && has_shape((struct span){clock.text, 8}, "00:00:00") &&
             (memcmp(clock.text, "24", 2) >= 0 || clock.text[3] > '5' || clock.text[6] > '6'))
        buffer_string(out, ": the clock has no such time");
    else if (clock.len > 8 && has_shape((struct span){clock.text, 8}, "00:00:00") &&
             strchr(".,Z+-", clock.text[8]) == NULL)
        buffer_string(out, ": a zone is written Z or +01:00, right behind the time");
    else
        buffer_string(out, ": write it as in 2024-01-31T12:00:00 or 2024-01-31T12:00:00.5+01:00");
}

void suggestion_datetime(struct buffer *out, const char *text, size_t len)
{
    struct span s = {text, len};
    struct datetime datetime;
    size_t day = 0;

    if (suggestion_invisible(out, text, len))
        return;
    while (day < len && text[day] != 'T' && text[day] != ' ')
        day++;
    if (len >= 9 && is_number(s) && !has_shape(s, "00000000000000"))
        buffer_string(out, ": seconds since 1970? Write it as in 2024-01-31T12:00:00");
    else if (suggest_day(out, (struct span){text, day}))
        return;
    else if (len == 10 && datetime_parse_date(text, len, &datetime))
        buffer_string(out, ": the time is missing, as in 2024-01-31T12:00:00");
    else if (len > 10 && datetime_parse_date(text, 10, &datetime) &&
             (text[10] == ' ' || text[10] == 't'))
        buffer_string(out, ": 'T' must stand between date and time, as in 2024-01-31T12:00:00");
    else if (len > 10 && datetime_parse_date(text, 10, &datetime) && text[10] == 'T')
        suggest_clock(out, s);
    else
        buffer_string(out, ": write it as in 2024-01-31T12:00:00");
}

/* Return true for the same word in another case or with other separators of its parts. */
static bool is_same_word(struct span s, const char *word)
{
    size_t i;
    char a, b;

    if (strlen(word) != s.len)
        return false;
    for (i = 0; i < s.len; i++) {
        a = s.text[i];
        b = word[i];
        if (strchr("-_ ", a) != NULL && strchr("-_ ", b) != NULL)
            continue;
        if (strncasecmp(&a, &b, 1) != 0)
            return false;
    }
    return true;
}

void suggestion_choice(struct buffer *out, const char *text, size_t len, char *const *choices,
                       size_t count)
{
    struct span s = without_blanks((struct span){text, len});
    size_t i;

    for (i = 0; i < count; i++) {
        if (is_same_word(s, choices[i])) {
            buffer_printf(out, ": write %s, %s", choices[i],
                          s.len < len ? "without blanks around it" : "exactly so");
            return;
        }
    }
    suggestion_invisible(out, text, len);
}

/* Return how many letters must be inserted, removed, replaced or swapped with their neighbour, in
 * any case. */
static size_t edit_distance(const char *left, size_t left_len, const char *right, size_t right_len)
{
    unsigned char rows[3][WORD_LIMIT + 1];
    size_t i, j;

    for (j = 0; j <= right_len; j++)
        rows[0][j] = (unsigned char)j;
    for (i = 1; i <= left_len; i++) {
        unsigned char *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = (unsigned char)i;
        for (j = 1; j <= right_len; j++) {
            bool same = strncasecmp(left + i - 1, right + j - 1, 1) == 0;
            unsigned char best = (unsigned char)(last[j - 1] + !same);

            if (last[j] + 1 < best)
                best = (unsigned char)(last[j] + 1);
            if (row[j - 1] + 1 < best)
                best = (unsigned char)(row[j - 1] + 1);
            if (i > 1 && j > 1 && before[j - 2] + 1 < best &&
                strncasecmp(left + i - 1, right + j - 2, 1) == 0 &&
                strncasecmp(left + i - 2, right + j - 1, 1) == 0)
                best = (unsigned char)(before[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[left_len % 3][right_len];
}

const char *suggestion_nearest(const char *word, const char *const *words)
{
    size_t len = strlen(word), best = len / 3 + 1, distance;
    const char *nearest = NULL;

    for (; *words != NULL; words++) {
        if (len > WORD_LIMIT || strlen(*words) > WORD_LIMIT)
            continue;
        distance = edit_distance(word, len, *words, strlen(*words));
        if (distance < best) {
            best = distance;
            nearest = *words;
        }
    }
    return nearest;
}
