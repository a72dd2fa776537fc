#include "schema/name_template.h"

#include <stdlib.h>
#include <string.h>

#include "base/datetime.h"

#define NAME_LIMIT 1023
#define PART_LIMIT 64

struct name_template_part {
    char *text;   /* owned; a literal, or the format of a time; NULL: a plain field */
    size_t field; /* SIZE_MAX: a literal */
    size_t len;   /* of the text */
};

/* fits[i][n]: the name from byte n on matches the parts of the template from part i on. */
struct tails {
    bool fits[PART_LIMIT + 1][NAME_LIMIT + 1];
};

static bool is_literal(const struct name_template_part *part)
{
    return part->field == SIZE_MAX;
}

void name_template_free(struct name_template *template)
{
    size_t i;

    for (i = 0; i < template->count; i++)
        free(template->parts[i].text);
    free(template->parts);
    *template = (struct name_template){0};
}

static int add_part(struct name_template *template, const char *text, size_t len, size_t field,
                    struct buffer *why)
{
    char *copy = NULL;

    if (template->count == PART_LIMIT) {
        buffer_printf(why, "it has more than %d parts", PART_LIMIT);
        return -1;
    }
    if (text != NULL && (copy = strndup(text, len)) == NULL) {
        why->failed = true;
        return -1;
    }
    template->parts[template->count++] =
        (struct name_template_part){copy, field, text == NULL ? 0 : len};
    return 0;
}

/* Add the field that is written between braces. */
static int parse_field(struct name_template *template, const char *text, size_t len,
                       const struct field *fields, size_t count, struct buffer *why)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon == NULL ? len : (size_t)(colon - text), i, field;
    const struct name_template_part *part;

    for (field = 0; field < count; field++)
        if (strlen(fields[field].name) == name_len &&
            memcmp(fields[field].name, text, name_len) == 0)
            break;
    if (field == count) {
        buffer_printf(why, "{%.*s} is no field of this schema", (int)name_len, text);
        return -1;
    }
    for (i = 0; i < template->count; i++) {
        if (template->parts[i].field == field) {
            buffer_printf(why, "{%s} stands in it twice", fields[field].name);
            return -1;
        }
    }
    if (template->count > 0 && !is_literal(&template->parts[template->count - 1])) {
        buffer_printf(why,
                      "a text must stand between {%s} and {%s}, or nobody can tell where one ends",
                      fields[template->parts[template->count - 1].field].name, fields[field].name);
        return -1;
    }
    if (add_part(template, colon == NULL ? NULL : colon + 1, len - name_len - (colon != NULL),
                 field, why) < 0)
        return -1;
    part = &template->parts[template->count - 1];
    if (colon == NULL)
        return 0;
    if (fields[field].type != FIELD_DATE && fields[field].type != FIELD_DATETIME) {
        buffer_printf(why, "{%s} has a time format, but its type is %s", fields[field].name,
                      field_type_name(fields[field].type));
        return -1;
    }
    if (fields[field].format != NULL) {
        buffer_printf(
            why,
            "the time of {%s} is written as ISO 8601, which the format of the field does not take",
            fields[field].name);
        return -1;
    }
    buffer_printf(why, "{%s}: ", fields[field].name);
    if (datetime_check_format(part->text, why) < 0)
        return -1;
    buffer_clear(why);
    return 0;
}

int name_template_parse(struct name_template *template, const char *text,
                        const struct field *fields, size_t count, struct buffer *why)
{
    const char *p, *end;

    *template = (struct name_template){.parts = calloc(PART_LIMIT, sizeof *template->parts)};
    if (template->parts == NULL) {
        why->failed = true;
        return -1;
    }
    for (p = text; *p != '\0'; p = end) {
        end = p + strcspn(p, "{}");
        if (end > p) {
            if (add_part(template, p, (size_t)(end - p), SIZE_MAX, why) < 0)
                goto fail;
            for (; p < end; p++)
                template->slashes += *p == '/';
            continue;
        }
        end = p + 1 + strcspn(p + 1, "{}");
        if (*p == '}' || *end != '}') {
            buffer_string(why,
                          *p == '}' ? "a '}' has no '{' before it" : "a '{' has no '}' behind it");
            goto fail;
        }
        if (parse_field(template, p + 1, (size_t)(end - p - 1), fields, count, why) < 0)
            goto fail;
        end++;
    }
    return 0;
fail:
    name_template_free(template);
    return -1;
}

/* Return how many bytes at the start of the text a literal or a time takes, or 0. */
static size_t fixed_length(const struct name_template_part *part, const char *text, size_t len)
{
    struct datetime datetime;

    if (is_literal(part))
        return part->len <= len && memcmp(part->text, text, part->len) == 0 ? part->len : 0;
    /* This is called for each byte of a name, and most of them do not begin a year. */
    if (part->text[0] == '%' && part->text[1] == 'Y' &&
        (len < 4 || (unsigned char)(text[0] - '0') > 9 || (unsigned char)(text[3] - '0') > 9))
        return 0;
    return datetime_parse_format(part->text, text, len, &datetime);
}

/* Fill the row of one part: fits[at] is true if the part and those behind it match the name from
 * `at` to its end. next[] is the row of the part behind it. */
static void find_tails_of_part(const struct name_template_part *part, const char *name, size_t len,
                               const bool *next, bool *fits)
{
    bool later = false; /* next[n] holds for some n > at */
    size_t at, taken;

    for (at = len + 1; at-- > 0;) {
        if (part->text == NULL) {
            fits[at] = later;
            later |= next[at];
        } else if (is_literal(part) && (part->len > len - at || !next[at + part->len])) {
            fits[at] = false;
        } else {
            taken = fixed_length(part, name + at, len - at);
            fits[at] = taken > 0 && next[at + taken];
        }
    }
}

static void find_tails(const struct name_template *template, const char *name, size_t len,
                       struct tails *tails)
{
    size_t i = template->count;

    /* cppcheck-suppress uninitvar */
    memset(tails->fits[i], false, len);
    tails->fits[i][len] = true;
    while (i-- > 0)
        find_tails_of_part(&template->parts[i], name, len, tails->fits[i + 1], tails->fits[i]);
}

/* Return the value of a field, owned: the text, or its time as ISO 8601. */
static char *make_value(const struct name_template_part *part, const struct field *field,
                        const char *text, size_t len)
{
    struct buffer out = {0};
    struct datetime datetime;
    char *value;

    if (part->text == NULL)
        return strndup(text, len);
    datetime_parse_format(part->text, text, len, &datetime);
    datetime_write(&datetime, field->type == FIELD_DATE, &out);
    value = buffer_failed(&out) ? NULL : strndup(out.data, out.len);
    buffer_free(&out);
    return value;
}

static void drop_values(const struct name_template *template, char **values)
{
    size_t i;

    for (i = 0; i < template->count; i++) {
        if (!is_literal(&template->parts[i])) {
            free(values[template->parts[i].field]);
            values[template->parts[i].field] = NULL;
        }
    }
}

/* Return the end of the name with as many directories as the template has, or NULL if there are
 * fewer. */
static const char *matched_part(const struct name_template *template, const char *name)
{
    const char *p = name + strlen(name);
    size_t slashes = 0;

    for (; p > name; p--)
        if (p[-1] == '/' && slashes++ == template->slashes)
            return p;
    return slashes < template->slashes ? NULL : p;
}

int name_template_match(const struct name_template *template, const struct field *fields,
                        const char *name, char **values, struct cause *cause)
{
    struct tails tails;
    size_t i, at = 0, len, taken;
    enum field_fault fault;

    name = matched_part(template, name);
    if (name == NULL || template->count == 0 || (len = strlen(name)) > NAME_LIMIT)
        return 0;
    find_tails(template, name, len, &tails);
    if (!tails.fits[0][0])
        return 0;
    for (i = 0; i < template->count; i++, at += taken) {
        const struct name_template_part *part = &template->parts[i];

        if (part->text != NULL)
            taken = fixed_length(part, name + at, len - at);
        else
            for (taken = len - at; !tails.fits[i + 1][at + taken];)
                taken--;
        if (is_literal(part))
            continue;
        values[part->field] = make_value(part, &fields[part->field], name + at, taken);
        if (values[part->field] == NULL)
            goto no_memory;
        fault = field_check(&fields[part->field], values[part->field], strlen(values[part->field]),
                            NULL);
        if (fault == FIELD_NO_MEMORY)
            goto no_memory;
        if (fault != FIELD_FITS) {
            drop_values(template, values);
            return 0;
        }
    }
    return 0;
no_memory:
    drop_values(template, values);
    return cause_memory(cause);
}
