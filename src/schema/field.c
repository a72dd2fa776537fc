#include "schema/field.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "base/decimal.h"
#include "base/escape.h"
#include "schema/regex.h"
#include "schema/suggestion.h"

/* A value as read by its type. */
union typed_value {
    struct decimal number;
    struct datetime datetime;
};

static const char *const type_names[] = {
    [FIELD_STRING] = "string",   [FIELD_NUMBER] = "number", [FIELD_INTEGER] = "integer",
    [FIELD_BOOLEAN] = "boolean", [FIELD_DATE] = "date",     [FIELD_DATETIME] = "datetime",
};

int field_type_from_name(const char *name, enum field_type *ret_type)
{
    size_t i;

    for (i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *ret_type = (enum field_type)i;
            return 0;
        }
    }
    return -1;
}

const char *field_type_name(enum field_type type)
{
    return type_names[type];
}

static bool equals(const char *word, const char *text, size_t len)
{
    return strncmp(word, text, len) == 0 && word[len] == '\0';
}

static bool is_boolean(const char *text, size_t len)
{
    static const char *const words[] = {"true", "false", "True", "False",
                                        "TRUE", "FALSE", "1",    "0"};
    size_t i;

    for (i = 0; i < sizeof words / sizeof *words; i++)
        if (equals(words[i], text, len))
            return true;
    return false;
}

/* Read the text by the field's type. Return false if it is not of that type. */
static bool read_value(const struct field *field, const char *text, size_t len,
                       union typed_value *ret_value)
{
    switch (field->type) {
    case FIELD_STRING:
        return true;
    case FIELD_NUMBER:
        return decimal_parse(text, len, &ret_value->number);
    case FIELD_INTEGER:
        return decimal_parse(text, len, &ret_value->number) && ret_value->number.whole;
    case FIELD_BOOLEAN:
        return is_boolean(text, len);
    case FIELD_DATE:
    case FIELD_DATETIME:
        break;
    }
    if (len == 0)
        return false;
    if (field->format != NULL)
        return datetime_parse_format(field->format, text, len, &ret_value->datetime) == len;
    if (field->type == FIELD_DATE)
        return datetime_parse_date(text, len, &ret_value->datetime);
    return datetime_parse_datetime(text, len, &ret_value->datetime);
}

static int compare_typed(const struct field *field, const union typed_value *left,
                         const union typed_value *right)
{
    if (field->type == FIELD_DATE || field->type == FIELD_DATETIME)
        return datetime_compare(&left->datetime, &right->datetime);
    return decimal_compare(&left->number, &right->number);
}

int field_compare(const struct field *field, const char *left, const char *right)
{
    union typed_value a, b;

    if (!read_value(field, left, strlen(left), &a) || !read_value(field, right, strlen(right), &b))
        return 0;
    return compare_typed(field, &a, &b);
}

bool field_is_missing(const struct field *field, const char *text, size_t len)
{
    size_t i;

    if (len == 0)
        return true;
    for (i = 0; i < field->missing_count; i++)
        if (equals(field->missing[i], text, len))
            return true;
    return false;
}

static enum field_fault explain_missing(const char *text, size_t len, struct buffer *why)
{
    if (why == NULL)
        return FIELD_CONSTRAINT_ERROR;
    if (len > 0) {
        suggestion_quote(why, text, len);
        buffer_string(why, " stands for a missing value, and ");
    }
    buffer_string(why, "a value is required");
    return FIELD_CONSTRAINT_ERROR;
}

static enum field_fault explain_type(const struct field *field, const char *text, size_t len,
                                     struct buffer *why)
{
    if (why == NULL)
        return FIELD_TYPE_ERROR;
    suggestion_quote(why, text, len);
    buffer_printf(why, " is not %s %s", field->type == FIELD_INTEGER ? "an" : "a",
                  field_type_name(field->type));
    if (field->format != NULL) {
        buffer_printf(why, " written as %s, as in ", field->format);
        datetime_write_example(field->format, why);
        suggestion_invisible(why, text, len);
    } else if (field->type == FIELD_NUMBER || field->type == FIELD_INTEGER) {
        suggestion_number(why, text, len, field->type == FIELD_INTEGER, field->required);
    } else if (field->type == FIELD_BOOLEAN) {
        suggestion_boolean(why, text, len);
    } else if (field->type == FIELD_DATE) {
        suggestion_date(why, text, len);
    } else {
        suggestion_datetime(why, text, len);
    }
    return FIELD_TYPE_ERROR;
}

static enum field_fault check_bounds(const struct field *field, const union typed_value *value,
                                     const char *text, size_t len, struct buffer *why)
{
    union typed_value bound;
    bool low = field->minimum != NULL &&
               read_value(field, field->minimum, strlen(field->minimum), &bound) &&
               compare_typed(field, value, &bound) < 0;
    bool high = !low && field->maximum != NULL &&
                read_value(field, field->maximum, strlen(field->maximum), &bound) &&
                compare_typed(field, value, &bound) > 0;

    if (!low && !high)
        return FIELD_FITS;
    if (why != NULL) {
        suggestion_show(why, text, len);
        buffer_printf(why, " is %s", low ? "below minimum " : "above maximum ");
        suggestion_show(why, low ? field->minimum : field->maximum,
                        strlen(low ? field->minimum : field->maximum));
    }
    return FIELD_CONSTRAINT_ERROR;
}

static enum field_fault check_enum(const struct field *field, const char *text, size_t len,
                                   struct buffer *why)
{
    const size_t listed = 12;
    size_t i;

    for (i = 0; i < field->value_count; i++)
        if (equals(field->values[i], text, len))
            return FIELD_FITS;
    if (why == NULL)
        return FIELD_CONSTRAINT_ERROR;
    suggestion_quote(why, text, len);
    buffer_string(why, field->value_count == 1 ? " is not " : " is not one of ");
    for (i = 0; i < field->value_count && i < listed; i++) {
        buffer_string(why, i > 0 ? ", " : "");
        suggestion_show(why, field->values[i], strlen(field->values[i]));
    }
    if (field->value_count > listed)
        buffer_printf(why, " and %zu others", field->value_count - listed);
    suggestion_choice(why, text, len, field->values, field->value_count);
    return FIELD_CONSTRAINT_ERROR;
}

static enum field_fault check_length(const struct field *field, const char *text, size_t len,
                                     struct buffer *why)
{
    size_t length = escape_code_points(text, len);

    if (length >= field->min_length && length <= field->max_length)
        return FIELD_FITS;
    if (why != NULL) {
        suggestion_quote(why, text, len);
        buffer_printf(why, " has %zu character%s, %s %zu", length, length == 1 ? "" : "s",
                      length < field->min_length ? "below minLength" : "above maxLength",
                      length < field->min_length ? field->min_length : field->max_length);
        suggestion_invisible(why, text, len);
    }
    return FIELD_CONSTRAINT_ERROR;
}

static enum field_fault check_pattern(const struct field *field, const char *text, size_t len,
                                      struct buffer *why)
{
    enum regex_match match = regex_match(field->pattern, text, len);

    if (match == REGEX_MATCHES)
        return FIELD_FITS;
    if (match == REGEX_NO_MEMORY)
        return FIELD_NO_MEMORY;
    if (why == NULL)
        return FIELD_CONSTRAINT_ERROR;
    suggestion_quote(why, text, len);
    if (match == REGEX_TOO_LONG) {
        buffer_printf(why, " has %zu bytes, and a value with a pattern may have %d", len,
                      REGEX_LONGEST);
        return FIELD_CONSTRAINT_ERROR;
    }
    buffer_string(why, " does not match the pattern ");
    suggestion_show(why, regex_text(field->pattern), strlen(regex_text(field->pattern)));
    if (field->description != NULL)
        buffer_printf(why, " (%s)", field->description);
    suggestion_invisible(why, text, len);
    return FIELD_CONSTRAINT_ERROR;
}

/* Return true if the text is a number without sign and exponent that certainly fits; the value of
 * its fraction does not matter. */
static bool fits_quickly(const struct field *field, const char *text, size_t len)
{
    const size_t enough = 18; /* digits that always fit into a uint64_t */
    uint64_t whole = 0;
    size_t i, point;

    for (i = 0; i < len && (unsigned char)(text[i] - '0') <= 9; i++) {
        if (i == enough)
            return false;
        whole = whole * 10 + (unsigned char)(text[i] - '0');
    }
    if (i == 0 || whole < field->quick_start || whole >= field->quick_end)
        return false;
    if (i == len)
        return true;
    if (text[i] != '.' || field->type != FIELD_NUMBER)
        return false;
    point = i++;
    while (i < len && decimal_is_digit(text[i]))
        i++;
    return i == len && i > point + 1;
}

/* Return the least whole number from 0 to 10^18 that is at least the bound; `above`: that is above
 * it. */
static uint64_t least_whole(const char *bound, bool above)
{
    uint64_t low = 0, high = 1000000000000000000, middle;
    struct decimal limit, number;
    char digits[24];
    int len, order;

    if (!decimal_parse(bound, strlen(bound), &limit))
        return 0;
    while (low < high) {
        middle = low + (high - low) / 2;
        len = snprintf(digits, sizeof digits, "%" PRIu64, middle);
        decimal_parse(digits, (size_t)len, &number);
        order = decimal_compare(&number, &limit);
        if (order > 0 || (order == 0 && !above))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void field_prepare(struct field *field)
{
    field->quick_start = field->quick_end = 0;
    if ((field->type != FIELD_NUMBER && field->type != FIELD_INTEGER) || field->missing_count > 0 ||
        field->values != NULL || field->pattern != NULL || field->min_length > 0 ||
        field->max_length != SIZE_MAX)
        return;
    /* A number with the whole part n is at least n and below n + 1, so n + 1 must not be above the
     * maximum. */
    field->quick_start = field->minimum == NULL ? 0 : least_whole(field->minimum, false);
    field->quick_end = field->maximum == NULL ? UINT64_MAX : least_whole(field->maximum, true);
    if (field->quick_end > 0 && field->maximum != NULL)
        field->quick_end--;
}

enum field_fault field_check(const struct field *field, const char *text, size_t len,
                             struct buffer *why)
{
    enum field_fault fault = FIELD_FITS;
    union typed_value value;

    if (fits_quickly(field, text, len))
        return FIELD_FITS;
    if (field_is_missing(field, text, len))
        return field->required ? explain_missing(text, len, why) : FIELD_FITS;
    if (!read_value(field, text, len, &value))
        return explain_type(field, text, len, why);
    if (field->minimum != NULL || field->maximum != NULL)
        fault = check_bounds(field, &value, text, len, why);
    if (fault == FIELD_FITS && field->values != NULL)
        fault = check_enum(field, text, len, why);
    if (fault == FIELD_FITS && (field->min_length > 0 || field->max_length != SIZE_MAX))
        fault = check_length(field, text, len, why);
    if (fault == FIELD_FITS && field->pattern != NULL)
        fault = check_pattern(field, text, len, why);
    return fault;
}

static void free_list(char **list, size_t count)
{
    size_t i;

    for (i = 0; list != NULL && i < count; i++)
        free(list[i]);
    free(list);
}

void field_free(struct field *field)
{
    regex_free(field->pattern);
    free(field->name);
    free(field->description);
    free(field->minimum);
    free(field->maximum);
    free_list(field->values, field->value_count);
    free(field->format);
    free(field->fallback);
    free_list(field->missing, field->missing_count);
    *field = (struct field){0};
}
