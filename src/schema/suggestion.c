#include "schema/suggestion.h"

#include <string.h>
#include <strings.h>

#include "base/datetime.h"
#include "schema/decimal.h"

#define NO_BREAK_SPACE "\xC2\xA0"
#define MINUS_SIGN     "\xE2\x88\x92" /* U+2212, as word processors write it */

/* A part of a text. */
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

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static bool is_blank(char c)
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
        if (s.len > 0 && is_blank(s.text[0]))
            s = (struct span){s.text + 1, s.len - 1};
        if (s.len > 0 && is_blank(s.text[s.len - 1]))
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

/* Digits in groups of three behind the first: 1,234 or 12.345.678 or 1 234 567. Returns the
 * separator or '\0'. */
static char grouped_by(struct span s)
{
    size_t i = starts_with(s, "-"), run = 0;
    char separator = '\0';

    for (; i < s.len && (separator == '\0' || s.text[i] != '.'); i++) {
        if (is_digit(s.text[i])) {
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

static void hint_comma(struct buffer *out, struct span s)
{
    const char *comma = memchr(s.text, ',', s.len);
    struct span whole = {s.text, (size_t)(comma - s.text)};
    struct span rest = {comma + 1, s.len - whole.len - 1};

    if (!is_integer(whole) || !is_integer(rest) || *rest.text == '-' || s.len > SUGGESTION_SHOWN) {
        buffer_string(out, ": a number has no comma; the decimal separator is a point");
    } else if (grouped_by(s) == ',') {
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

/* The length of the number that s begins with, or 0. */
static size_t leading_number(struct span s)
{
    size_t len = starts_with(s, "-");

    while (len < s.len && (is_digit(s.text[len]) || s.text[len] == '.'))
        len++;
    while (len > 0 && !is_number((struct span){s.text, len}))
        len--;
    return len;
}

/* Signs, points and exponents that the grammar does not have. */
static bool hint_notation(struct buffer *out, struct span s)
{
    struct span rest = {s.text + 1, s.len - 1};
    size_t sign = starts_with(s, "-") || starts_with(s, "+");
    size_t number = leading_number(s);

    if (*s.text == '+' && is_number(rest))
        buffer_string(out, ": leave out the leading '+'");
    else if (starts_with(s, MINUS_SIGN))
        buffer_string(out, ": its minus sign is not the character '-'");
    else if (s.len > sign + 1 && s.text[sign] == '.' && is_digit(s.text[sign + 1]))
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
    } else if (hint_notation(out, s)) {
        return;
    } else if (grouped_by(s) != '\0' && grouped_by(s) != ',') {
        buffer_string(out, ": write it without thousands separators");
    } else if (memchr(text, ',', len) != NULL) {
        hint_comma(out, s);
    } else if (number > 0 && number + 1 == len && text[number] == '%') {
        buffer_string(out, ": leave out the percent sign");
    } else if (number > 0 && number < len &&
               (is_blank(text[number]) || (text[number] & 0xC0) == 0xC0 ||
                ((text[number] | 0x20) >= 'a' && (text[number] | 0x20) <= 'z'))) {
        buffer_string(out, ": only the number belongs here, without unit or other text");
    }
}

void suggestion_boolean(struct buffer *out, const char *text, size_t len)
{
    if (!suggestion_invisible(out, text, len))
        buffer_string(out, ": write true or false");
}

/* Does the text look like `shape`, where 0 stands for any digit? */
static bool has_shape(struct span s, const char *shape)
{
    size_t i;

    if (s.len != strlen(shape))
        return false;
    for (i = 0; i < s.len; i++)
        if (shape[i] == '0' ? !is_digit(s.text[i]) : shape[i] != s.text[i])
            return false;
    return true;
}

/* Faults of the day alone; `s` is what stands for it. */
static bool hint_day(struct buffer *out, struct span s)
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

    if (suggestion_invisible(out, text, len) || hint_day(out, (struct span){text, len}))
        return;
    if (len > 10 && datetime_parse_date(text, 10, &datetime) &&
        (text[10] == 'T' || text[10] == ' '))
        buffer_string(out, ": only the day belongs here, without the time");
    else
        buffer_string(out, ": write it as in 2024-01-31");
}

/* Faults behind a day that is right. */
static void hint_clock(struct buffer *out, struct span s)
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
    else if (hint_day(out, (struct span){text, day}))
        return;
    else if (len == 10 && datetime_parse_date(text, len, &datetime))
        buffer_string(out, ": the time is missing, as in 2024-01-31T12:00:00");
    else if (len > 10 && datetime_parse_date(text, 10, &datetime) &&
             (text[10] == ' ' || text[10] == 't'))
        buffer_string(out, ": 'T' must stand between date and time, as in 2024-01-31T12:00:00");
    else if (len > 10 && datetime_parse_date(text, 10, &datetime) && text[10] == 'T')
        hint_clock(out, s);
    else
        buffer_string(out, ": write it as in 2024-01-31T12:00:00");
}

/* The same word, but for case and for what joins its parts? */
static bool alike(struct span s, const char *word)
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
        if (alike(s, choices[i])) {
            buffer_printf(out, ": write %s, %s", choices[i],
                          s.len < len ? "without blanks around it" : "exactly so");
            return;
        }
    }
    suggestion_invisible(out, text, len);
}
