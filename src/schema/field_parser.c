#include "schema/field_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"
#include "schema/regex.h"

const char *const field_parser_keys[FIELD_PARSER_KEY_COUNT + 1] = {
    "name",    "type", "required", "minimum", "maximum",     "minLength",     "maxLength",
    "pattern", "enum", "format",   "default", "description", "missingValues", NULL,
};

static void no_memory(struct ini *ini)
{
    ini->problems.failed = true;
}

__attribute__((format(printf, 4, 5))) static void report_value(const struct field_parser *parser,
                                                               struct ini *ini,
                                                               enum field_parser_key key,
                                                               const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text == NULL)
        no_memory(ini);
    else
        ini_problems_add(&ini->problems, parser->entries[key]->line, "%s: %s",
                         field_parser_keys[key], text);
    free(text);
}

/* Return the value of a key, or NULL if it is not given. */
static const char *value_of(const struct field_parser *parser, enum field_parser_key key)
{
    return parser->entries[key] == NULL ? NULL : parser->entries[key]->value;
}

/* Return a copy that the field owns. The copy of NULL is NULL. */
static char *copy_text(struct ini *ini, const char *text)
{
    char *result = text == NULL ? NULL : strdup(text);

    if (text != NULL && result == NULL)
        no_memory(ini);
    return result;
}

static void parse_name(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    const char *name = value_of(parser, FIELD_PARSER_NAME);

    if (name == NULL)
        ini_problems_add(&ini->problems, parser->line,
                         "the field has no name; write name = COLUMN");
    else if (*name == '\0')
        report_value(parser, ini, FIELD_PARSER_NAME, "it is empty; write the name of the column");
    field->name = copy_text(ini, name == NULL ? "" : name);
    field->description = copy_text(ini, value_of(parser, FIELD_PARSER_DESCRIPTION));
}

static void parse_words(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    static const char *const types[] = {"string", "number",   "integer", "boolean",
                                        "date",   "datetime", NULL};
    static const char *const truths[] = {"false", "true", NULL};
    int word;

    if (parser->entries[FIELD_PARSER_TYPE] != NULL) {
        word = ini_word(ini, parser->entries[FIELD_PARSER_TYPE], types);
        if (word >= 0)
            field_type_from_name(types[word], &field->type);
    }
    if (parser->entries[FIELD_PARSER_REQUIRED] != NULL)
        field->required = ini_word(ini, parser->entries[FIELD_PARSER_REQUIRED], truths) == 1;
}

static uint64_t parse_length(const struct field_parser *parser, struct ini *ini,
                             const struct field *field, enum field_parser_key key,
                             uint64_t otherwise)
{
    uint64_t length = otherwise;

    if (parser->entries[key] == NULL)
        return otherwise;
    if (field->type != FIELD_STRING)
        report_value(parser, ini, key, "only type string has a length, not %s",
                     field_type_name(field->type));
    else
        ini_number(ini, parser->entries[key], 0, 1000000000, " characters", &length);
    return length;
}

static void parse_lengths(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    field->min_length = (size_t)parse_length(parser, ini, field, FIELD_PARSER_MIN_LENGTH, 0);
    field->max_length = (size_t)parse_length(parser, ini, field, FIELD_PARSER_MAX_LENGTH, SIZE_MAX);
    if (field->min_length > field->max_length)
        report_value(parser, ini, FIELD_PARSER_MAX_LENGTH, "%zu is below minLength %zu",
                     field->max_length, field->min_length);
}

static void parse_format(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    const char *format = value_of(parser, FIELD_PARSER_FORMAT);
    struct buffer why = {0};

    if (format == NULL)
        return;
    if (field->type != FIELD_DATE && field->type != FIELD_DATETIME)
        report_value(parser, ini, FIELD_PARSER_FORMAT,
                     "only the types date and datetime have one, not %s",
                     field_type_name(field->type));
    else if (datetime_check_format(format, &why) < 0)
        report_value(parser, ini, FIELD_PARSER_FORMAT, "%s", buffer_text(&why));
    else
        field->format = copy_text(ini, format);
    if (buffer_failed(&why))
        no_memory(ini);
    buffer_free(&why);
}

/* Return true if a value in the schema fits the field itself. If not, add a problem. */
static bool check_own_value(const struct field_parser *parser, struct ini *ini,
                            enum field_parser_key key, const struct field *field, const char *value)
{
    struct buffer why = {0};
    enum field_fault fault = field_check(field, value, strlen(value), &why);

    if (fault == FIELD_NO_MEMORY || buffer_failed(&why))
        no_memory(ini);
    else if (fault != FIELD_FITS)
        report_value(parser, ini, key, "%s", buffer_text(&why));
    buffer_free(&why);
    return fault == FIELD_FITS;
}

static void parse_bounds(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    const struct field bare = {
        .type = field->type, .format = field->format, .max_length = SIZE_MAX, .required = true};
    const enum field_parser_key keys[] = {FIELD_PARSER_MINIMUM, FIELD_PARSER_MAXIMUM};
    char **bounds[] = {&field->minimum, &field->maximum};
    size_t i;

    for (i = 0; i < 2; i++) {
        if (parser->entries[keys[i]] == NULL)
            continue;
        if (field->type == FIELD_STRING || field->type == FIELD_BOOLEAN)
            report_value(
                parser, ini, keys[i], "type %s has no order%s", field_type_name(field->type),
                parser->entries[FIELD_PARSER_TYPE] == NULL ? "; type = number is missing?" : "");
        else if (check_own_value(parser, ini, keys[i], &bare, value_of(parser, keys[i])))
            *bounds[i] = copy_text(ini, value_of(parser, keys[i]));
    }
    if (field->minimum != NULL && field->maximum != NULL &&
        field_compare(field, field->minimum, field->maximum) > 0)
        report_value(parser, ini, FIELD_PARSER_MAXIMUM, "%s is below minimum %s", field->maximum,
                     field->minimum);
}

static void parse_pattern(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    const char *text = value_of(parser, FIELD_PARSER_PATTERN);
    char why[REGEX_WHY_SIZE];

    if (text == NULL)
        return;
    field->pattern = regex_compile(text, why);
    if (field->pattern == NULL && why[0] != '\0')
        report_value(parser, ini, FIELD_PARSER_PATTERN, "'%s' cannot be used: %s", text, why);
    else if (field->pattern == NULL)
        no_memory(ini);
}

/* Split "a|b|c" into an owned list. */
static void parse_list(const struct field_parser *parser, struct ini *ini,
                       enum field_parser_key key, char ***ret_list, size_t *ret_count)
{
    const char *p = value_of(parser, key);
    size_t parts = 1, count = 0, i, len;
    char **list;

    if (p == NULL)
        return;
    for (i = 0; p[i] != '\0'; i++)
        parts += p[i] == '|';
    list = calloc(parts, sizeof *list);
    for (; list != NULL && count < parts; p += len + 1) {
        len = strcspn(p, "|");
        list[count] = strndup(p, len);
        if (list[count] == NULL)
            break;
        if (len == 0)
            report_value(parser, ini, key, "an empty value stands in it; write them as in a|b|c");
        else if (*p == ' ' || p[len - 1] == ' ')
            report_value(parser, ini, key,
                         "'%s' has a blank at its start or end; write them as in a|b|c",
                         list[count]);
        for (i = 0; i < count && strcmp(list[i], list[count]) != 0;)
            i++;
        if (i < count && len > 0)
            report_value(parser, ini, key, "'%s' stands in it twice", list[i]);
        count++;
    }
    if (count < parts)
        no_memory(ini);
    *ret_list = list;
    *ret_count = count;
}

/* Parse enum, missingValues and default, after all other keys: the values must fit these. */
static void parse_values(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    const char *fallback = value_of(parser, FIELD_PARSER_DEFAULT);
    char **values = NULL;
    size_t count = 0, i;

    parse_list(parser, ini, FIELD_PARSER_ENUM, &values, &count);
    for (i = 0; i < count; i++)
        if (*values[i] != '\0')
            check_own_value(parser, ini, FIELD_PARSER_ENUM, field, values[i]);
    field->values = values;
    field->value_count = count;
    parse_list(parser, ini, FIELD_PARSER_MISSING_VALUES, &field->missing, &field->missing_count);
    if (fallback == NULL)
        return;
    if (field->required)
        report_value(parser, ini, FIELD_PARSER_DEFAULT,
                     "it would never be used, since the column is required");
    else if (check_own_value(parser, ini, FIELD_PARSER_DEFAULT, field, fallback))
        field->fallback = copy_text(ini, fallback);
}

void field_parser_finish(const struct field_parser *parser, struct ini *ini, struct field *field)
{
    parse_name(parser, ini, field);
    parse_words(parser, ini, field);
    parse_lengths(parser, ini, field);
    parse_format(parser, ini, field);
    parse_bounds(parser, ini, field);
    parse_pattern(parser, ini, field);
    parse_values(parser, ini, field);
    field_prepare(field);
}
