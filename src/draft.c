#include "draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"

const char *const draft_keys[DRAFT_KEY_COUNT + 1] = {
    "name",    "type", "required", "minimum", "maximum",     "minLength",     "maxLength",
    "pattern", "enum", "format",   "default", "description", "missingValues", NULL,
};

static void no_memory(struct ini *ini)
{
    ini->problems.failed = true;
}

__attribute__((format(printf, 4, 5))) static void
report(const struct draft *draft, struct ini *ini, enum draft_key key, const char *format, ...)
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
        problem_add(&ini->problems, draft->entries[key]->line, "%s: %s", draft_keys[key], text);
    free(text);
}

/* The value of a key, or NULL where it is not given. */
static const char *value_of(const struct draft *draft, enum draft_key key)
{
    return draft->entries[key] == NULL ? NULL : draft->entries[key]->value;
}

/* A copy that the field owns; of NULL, NULL. */
static char *copy(struct ini *ini, const char *text)
{
    char *result = text == NULL ? NULL : strdup(text);

    if (text != NULL && result == NULL)
        no_memory(ini);
    return result;
}

static void take_name(const struct draft *draft, struct ini *ini, struct field *field)
{
    const char *name = value_of(draft, DRAFT_NAME);

    if (name == NULL)
        problem_add(&ini->problems, draft->line, "the field has no name; write name = COLUMN");
    else if (*name == '\0')
        report(draft, ini, DRAFT_NAME, "it is empty; write the name of the column");
    field->name = copy(ini, name == NULL ? "" : name);
    field->description = copy(ini, value_of(draft, DRAFT_DESCRIPTION));
}

static void take_words(const struct draft *draft, struct ini *ini, struct field *field)
{
    static const char *const types[] = {"string", "number",   "integer", "boolean",
                                        "date",   "datetime", NULL};
    static const char *const truths[] = {"false", "true", NULL};
    int word;

    if (draft->entries[DRAFT_TYPE] != NULL) {
        word = ini_word(ini, draft->entries[DRAFT_TYPE], types);
        if (word >= 0)
            field_type_from_name(types[word], &field->type);
    }
    if (draft->entries[DRAFT_REQUIRED] != NULL)
        field->required = ini_word(ini, draft->entries[DRAFT_REQUIRED], truths) == 1;
}

static uint64_t take_length(const struct draft *draft, struct ini *ini, const struct field *field,
                            enum draft_key key, uint64_t otherwise)
{
    uint64_t length = otherwise;

    if (draft->entries[key] == NULL)
        return otherwise;
    if (field->type != FIELD_STRING)
        report(draft, ini, key, "only type string has a length, not %s",
               field_type_name(field->type));
    else
        ini_number(ini, draft->entries[key], 0, 1000000000, " characters", &length);
    return length;
}

static void take_lengths(const struct draft *draft, struct ini *ini, struct field *field)
{
    field->min_length = (size_t)take_length(draft, ini, field, DRAFT_MIN_LENGTH, 0);
    field->max_length = (size_t)take_length(draft, ini, field, DRAFT_MAX_LENGTH, SIZE_MAX);
    if (field->min_length > field->max_length)
        report(draft, ini, DRAFT_MAX_LENGTH, "%zu is below minLength %zu", field->max_length,
               field->min_length);
}

static void take_format(const struct draft *draft, struct ini *ini, struct field *field)
{
    const char *format = value_of(draft, DRAFT_FORMAT);
    struct buffer why = {0};

    if (format == NULL)
        return;
    if (field->type != FIELD_DATE && field->type != FIELD_DATETIME)
        report(draft, ini, DRAFT_FORMAT, "only the types date and datetime have one, not %s",
               field_type_name(field->type));
    else if (moment_check_format(format, &why) < 0)
        report(draft, ini, DRAFT_FORMAT, "%s", buffer_text(&why));
    else
        field->format = copy(ini, format);
    if (buffer_failed(&why))
        no_memory(ini);
    buffer_free(&why);
}

/* Does a value of the field's own fit it? Else it is reported. */
static bool fits(const struct draft *draft, struct ini *ini, enum draft_key key,
                 const struct field *field, const char *value)
{
    struct buffer why = {0};
    enum field_fault fault = field_check(field, value, strlen(value), &why);

    if (fault == FIELD_NO_MEMORY || buffer_failed(&why))
        no_memory(ini);
    else if (fault != FIELD_FITS)
        report(draft, ini, key, "%s", buffer_text(&why));
    buffer_free(&why);
    return fault == FIELD_FITS;
}

static void take_bounds(const struct draft *draft, struct ini *ini, struct field *field)
{
    const struct field bare = {
        .type = field->type, .format = field->format, .max_length = SIZE_MAX, .required = true};
    const enum draft_key keys[] = {DRAFT_MINIMUM, DRAFT_MAXIMUM};
    char **bounds[] = {&field->minimum, &field->maximum};
    size_t i;

    for (i = 0; i < 2; i++) {
        if (draft->entries[keys[i]] == NULL)
            continue;
        if (field->type == FIELD_STRING || field->type == FIELD_BOOLEAN)
            report(draft, ini, keys[i], "type %s has no order%s", field_type_name(field->type),
                   draft->entries[DRAFT_TYPE] == NULL ? "; type = number is missing?" : "");
        else if (fits(draft, ini, keys[i], &bare, value_of(draft, keys[i])))
            *bounds[i] = copy(ini, value_of(draft, keys[i]));
    }
    if (field->minimum != NULL && field->maximum != NULL &&
        field_compare(field, field->minimum, field->maximum) > 0)
        report(draft, ini, DRAFT_MAXIMUM, "%s is below minimum %s", field->maximum, field->minimum);
}

/* Behind a '[' of a pattern: its last byte, or the end of the text. Nothing is escaped in there. */
static const char *skip_bracket(const char *p)
{
    p += *p == '^';
    p += *p == ']';
    for (; *p != '\0' && *p != ']'; p++) {
        char kind = p[1];

        if (*p != '[' || kind == '\0' || strchr(":.=", kind) == NULL)
            continue;
        for (p += 2; *p != '\0' && (*p != kind || p[1] != ']');)
            p++;
        if (*p == '\0')
            break;
        p++;
    }
    return p;
}

/* What makes a pattern mean something else between our parentheses: NULL, or what to say. */
static const char *misfit(const char *pattern)
{
    const char *p;
    size_t open = 0;

    if (*pattern == '\0')
        return "it is empty";
    for (p = pattern; *p != '\0'; p++) {
        if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
            return "it has a back-reference";
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '[')
            p = skip_bracket(p + 1);
        else if (*p == '(')
            open++;
        else if (*p == ')' && open-- == 0)
            return "a ')' has no '(' before it";
        if (*p == '\0')
            break;
    }
    return NULL;
}

static void take_pattern(const struct draft *draft, struct ini *ini, struct field *field)
{
    const char *pattern = value_of(draft, DRAFT_PATTERN), *reason;
    struct buffer whole = {0};
    char text[256];
    regex_t regex;
    int status;

    if (pattern == NULL)
        return;
    status = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (status == 0)
        regfree(&regex);
    reason = status == 0 ? misfit(pattern) : NULL;
    buffer_printf(&whole, "^(%s)$", pattern);
    if (status == 0 && reason == NULL)
        status = regcomp(&field->regex, buffer_text(&whole), REG_EXTENDED | REG_NOSUB);
    if (status == REG_ESPACE || buffer_failed(&whole)) {
        no_memory(ini);
    } else if (status != 0 || reason != NULL) {
        regerror(status, NULL, text, sizeof text);
        report(draft, ini, DRAFT_PATTERN, "'%s' cannot be used: %s", pattern,
               reason != NULL ? reason : text);
    } else {
        field->pattern = copy(ini, pattern);
        if (field->pattern == NULL)
            regfree(&field->regex);
    }
    buffer_free(&whole);
}

/* Splits "a|b|c" into an owned list. */
static void take_list(const struct draft *draft, struct ini *ini, enum draft_key key,
                      char ***ret_list, size_t *ret_count)
{
    const char *p = value_of(draft, key);
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
            report(draft, ini, key, "an empty value stands in it; write them as in a|b|c");
        else if (*p == ' ' || p[len - 1] == ' ')
            report(draft, ini, key, "'%s' has a blank at its start or end; write them as in a|b|c",
                   list[count]);
        for (i = 0; i < count && strcmp(list[i], list[count]) != 0;)
            i++;
        if (i < count && len > 0)
            report(draft, ini, key, "'%s' stands in it twice", list[i]);
        count++;
    }
    if (count < parts)
        no_memory(ini);
    *ret_list = list;
    *ret_count = count;
}

/* Last, since the values must fit all the rest. */
static void take_values(const struct draft *draft, struct ini *ini, struct field *field)
{
    const char *fallback = value_of(draft, DRAFT_DEFAULT);
    char **values = NULL;
    size_t count = 0, i;

    take_list(draft, ini, DRAFT_ENUM, &values, &count);
    for (i = 0; i < count; i++)
        if (*values[i] != '\0')
            fits(draft, ini, DRAFT_ENUM, field, values[i]);
    field->values = values;
    field->value_count = count;
    take_list(draft, ini, DRAFT_MISSING_VALUES, &field->missing, &field->missing_count);
    if (fallback == NULL)
        return;
    if (field->required)
        report(draft, ini, DRAFT_DEFAULT, "it would never be used, since the column is required");
    else if (fits(draft, ini, DRAFT_DEFAULT, field, fallback))
        field->fallback = copy(ini, fallback);
}

void draft_finish(const struct draft *draft, struct ini *ini, struct field *field)
{
    take_name(draft, ini, field);
    take_words(draft, ini, field);
    take_lengths(draft, ini, field);
    take_format(draft, ini, field);
    take_bounds(draft, ini, field);
    take_pattern(draft, ini, field);
    take_values(draft, ini, field);
    field_prepare(field);
}
