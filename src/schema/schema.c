#include "schema/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/vector.h"
#include "schema/field_parser.h"
#include "schema/ini.h"
#include "schema/suggestion.h"

enum { NAME, FILENAME, EXTRA_FIELDS, KEY_COUNT };
static const char *const schema_keys[KEY_COUNT + 1] = {"name", "filename", "extra_fields", NULL};

/* The entries of the file: those of [schema], and those of each field. */
struct loader {
    struct ini ini;
    const struct ini_entry *entries[KEY_COUNT]; /* NULL: not given */
    struct field_parser *parsers;               /* sorted by number */
    size_t count, cap;
};

static void report_schema_key(struct ini *ini, const struct ini_entry *entry,
                              const char *const *keys)
{
    const char *nearest = suggestion_nearest(entry->key, keys);

    ini_problems_add(&ini->problems, entry->line, "unknown key %s in section [%s]%s%s%s",
                     entry->key, entry->section, nearest != NULL ? "; did you mean " : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

/* Store the entry in `entries`, at the index of its key in `keys`. Report an unknown key. */
static void place_entry(struct ini *ini, const struct ini_entry *entry, const char *const *keys,
                        const struct ini_entry **entries)
{
    size_t i;

    for (i = 0; keys[i] != NULL; i++) {
        if (strcasecmp(keys[i], entry->key) == 0) {
            entries[i] = entry;
            return;
        }
    }
    report_schema_key(ini, entry, keys);
}

/* Start the parser of a section [field.N]. Return NULL if the section has another name. */
static struct field_parser *start_field(struct loader *loader, const struct ini_entry *entry)
{
    const char *digits = entry->section + strlen("field.");
    uint64_t number;

    if (strncasecmp(entry->section, "field.", strlen("field.")) != 0 || *digits == '0' ||
        !escape_number(digits, strlen(digits), UINT32_MAX, &number)) {
        ini_problems_add(
            &loader->ini.problems, entry->line,
            "unknown section [%s]; there are [schema] and, one for each column, [field.1], "
            "[field.2] ...",
            entry->section);
        return NULL;
    }
    if (vector_grow(&loader->parsers, sizeof *loader->parsers, loader->count, &loader->cap) < 0) {
        loader->ini.problems.failed = true;
        return NULL;
    }
    loader->parsers[loader->count] = (struct field_parser){.number = number, .line = entry->line};
    return &loader->parsers[loader->count++];
}

static int compare_parsers(const void *left, const void *right)
{
    const struct field_parser *a = left, *b = right;

    return a->number < b->number ? -1 : a->number > b->number;
}

static void sort_parsers(struct loader *loader)
{
    uint64_t last = 0;
    size_t i;

    if (loader->count == 0) {
        ini_problems_add(&loader->ini.problems, 0,
                         "it has no [field.1]; a schema has such a section for each column");
        return;
    }
    qsort(loader->parsers, loader->count, sizeof *loader->parsers, compare_parsers);
    for (i = 0; i < loader->count; i++) {
        const struct field_parser *parser = &loader->parsers[i];

        if (parser->number > last + 1)
            ini_problems_add(&loader->ini.problems, parser->line,
                             "[field.%" PRIu64 "] without [field.%" PRIu64
                             "]; fields are numbered from 1 without gaps",
                             parser->number, last + 1);
        last = parser->number;
    }
}

static void sort_entries(struct loader *loader)
{
    struct field_parser *parser = NULL;
    bool in_schema = false;
    size_t i;

    for (i = 0; i < loader->ini.count; i++) {
        const struct ini_entry *entry = &loader->ini.entries[i];

        if (entry->key == NULL) {
            in_schema = strcasecmp(entry->section, "schema") == 0;
            parser = in_schema ? NULL : start_field(loader, entry);
        } else if (in_schema) {
            place_entry(&loader->ini, entry, schema_keys, loader->entries);
        } else if (parser != NULL) {
            place_entry(&loader->ini, entry, field_parser_keys, parser->entries);
        }
    }
    sort_parsers(loader);
}

static void make_fields(struct loader *loader, struct schema *schema)
{
    size_t i;
    int same;

    schema->fields = calloc(loader->count + 1, sizeof *schema->fields);
    if (schema->fields == NULL) {
        loader->ini.problems.failed = true;
        return;
    }
    for (i = 0; i < loader->count && !loader->ini.problems.failed; i++) {
        const struct field_parser *parser = &loader->parsers[i];
        struct field *field = &schema->fields[i];

        field_parser_finish(parser, &loader->ini, field);
        if (field->name == NULL || *field->name == '\0') {
            schema->count++;
            continue;
        }
        same = schema_find(schema, field->name, strlen(field->name));
        if (same >= 0)
            ini_problems_add(&loader->ini.problems, parser->entries[FIELD_PARSER_NAME]->line,
                             "name: '%s' is the name of [field.%" PRIu64 "] already", field->name,
                             loader->parsers[same].number);
        schema->count++;
    }
}

static void make_schema(struct loader *loader, struct schema *schema)
{
    static const char *const extras[] = {"reject", "drop", NULL};
    const struct ini_entry *name = loader->entries[NAME], *filename = loader->entries[FILENAME];
    struct ini *ini = &loader->ini;
    struct buffer why = {0};

    if (name != NULL && *name->value == '\0')
        ini_problems_add(&ini->problems, name->line, "name: it is empty");
    schema->name = strdup(name == NULL ? "schema" : name->value);
    if (schema->name == NULL)
        ini->problems.failed = true;
    if (loader->entries[EXTRA_FIELDS] != NULL)
        schema->drop_extra = ini_word(ini, loader->entries[EXTRA_FIELDS], extras) == 1;
    if (filename != NULL && !ini->problems.failed &&
        name_template_parse(&schema->filename, filename->value, schema->fields, schema->count,
                            &why) < 0) {
        if (buffer_failed(&why))
            ini->problems.failed = true;
        else
            ini_problems_add(&ini->problems, filename->line, "filename: %s", buffer_text(&why));
    }
    buffer_free(&why);
}

int schema_load(struct schema *schema, const char *path, struct cause *cause)
{
    struct loader loader = {0};
    int ret;

    *schema = (struct schema){0};
    if (ini_load(&loader.ini, path, cause) < 0) {
        if (cause->errnum == ENOENT)
            cause_set(
                cause, CAUSE_CONFIG,
                "there is no schema %s; `schema` in section [paths] of the configuration names it",
                path);
        return -1;
    }
    sort_entries(&loader);
    make_fields(&loader, schema);
    make_schema(&loader, schema);
    ret = ini_finish(&loader.ini, cause);
    free(loader.parsers);
    if (ret < 0)
        schema_free(schema);
    return ret;
}

void schema_free(struct schema *schema)
{
    size_t i;

    for (i = 0; i < schema->count; i++)
        field_free(&schema->fields[i]);
    free(schema->fields);
    free(schema->name);
    name_template_free(&schema->filename);
    *schema = (struct schema){0};
}

int schema_find(const struct schema *schema, const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < schema->count; i++)
        if (strncmp(schema->fields[i].name, name, len) == 0 && schema->fields[i].name[len] == '\0')
            return (int)i;
    return -1;
}

/* Take the user from the first directory of the name, unless the template has directories or the
 * user, or the directory is no valid user_id. */
static int take_directory(const struct schema *schema, const char *name, char **values,
                          struct cause *cause)
{
    int user = schema_find(schema, SCHEMA_USER_ID, strlen(SCHEMA_USER_ID));
    size_t len = strcspn(name, "/");
    enum field_fault fault;

    if (user < 0 || values[user] != NULL || len == 0 || name[len] == '\0' ||
        schema->filename.slashes > 0)
        return 0;
    fault = field_check(&schema->fields[user], name, len, NULL);
    if (fault == FIELD_FITS)
        values[user] = strndup(name, len);
    return fault == FIELD_NO_MEMORY || (fault == FIELD_FITS && values[user] == NULL)
               ? cause_memory(cause)
               : 0;
}

int schema_match_name(const struct schema *schema, const char *name, char **values,
                      struct cause *cause)
{
    size_t i;

    if (name_template_match(&schema->filename, schema->fields, name, values, cause) < 0)
        return -1;
    if (take_directory(schema, name, values, cause) == 0)
        return 0;
    for (i = 0; i < schema->count; i++) {
        free(values[i]);
        values[i] = NULL;
    }
    return -1;
}
