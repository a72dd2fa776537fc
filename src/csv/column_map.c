#include "csv/column_map.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/hash_index.h"
#include "base/escape.h"

#define LABEL_SHOWN 64

int training_columns_of_schema(struct training_columns *columns, const struct schema *schema,
                               struct cause *cause)
{
    size_t i;

    columns->fields = calloc(schema->count + 1, sizeof *columns->fields);
    if (columns->fields == NULL)
        return cause_memory(cause);
    for (i = 0; i < schema->count; i++)
        columns->fields[i] = (int)i;
    columns->count = schema->count;
    return 0;
}

void training_columns_free(struct training_columns *columns)
{
    free(columns->fields);
    *columns = (struct training_columns){0};
}

/* ---- labels ------------------------------------------------------------------------------- */

/* Return the advice for a header of one cell whose columns are not separated by commas. */
static const char *separator_advice(const struct row *header)
{
    if (header->count != 1)
        return "";
    if (memchr(header->cells[0].text, ';', header->cells[0].len) != NULL)
        return ": the columns are separated by semicolons; save with commas";
    if (memchr(header->cells[0].text, '\t', header->cells[0].len) != NULL)
        return ": the columns are separated by tabs; save with commas";
    return "";
}

/* Return the name of the field that a label equals but for blanks around it and case, or NULL. */
static const char *similar_field(const struct schema *schema, const struct cell *label)
{
    const char *text = label->text;
    size_t i, len = label->len;

    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    for (i = 0; i < schema->count; i++)
        if (strlen(schema->fields[i].name) == len &&
            strncasecmp(schema->fields[i].name, text, len) == 0)
            return schema->fields[i].name;
    return NULL;
}

/* Set *ret_first to the first column with the label of `column`. `labels` holds the columns before
 * it; `column` is added. */
static int find_first(struct hash_index *labels, const struct row *header, size_t column,
                      size_t *ret_first)
{
    const struct cell *label = &header->cells[column];
    const uint64_t key = digest_check(label->text, label->len);
    const struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(labels, key, &cursor)) != NULL) {
        const struct cell *other = &header->cells[slot->value - 1];

        *ret_first = slot->value - 1;
        if (other->len == label->len && memcmp(other->text, label->text, label->len) == 0)
            return 0;
    }
    *ret_first = column;
    return hash_index_put(labels, key, column + 1);
}

static void add_blank_label(const struct row *header, size_t column, struct violations *violations)
{
    struct buffer *message =
        violations_add(violations, VIOLATION_BLANK_LABEL,
                       (struct violation_at){.line = header->line, .column = column + 1});

    if (message == NULL)
        return;
    buffer_printf(message, "column %zu has no name", column + 1);
    violations_added(violations);
}

static void add_duplicate_label(const struct row *header, size_t first, size_t column,
                                const char *field, struct violations *violations)
{
    const struct cell *label = &header->cells[column];
    struct buffer *message = violations_add(violations, VIOLATION_DUPLICATE_LABEL,
                                            (struct violation_at){.line = header->line,
                                                                  .column = column + 1,
                                                                  .field = field,
                                                                  .value = label->text,
                                                                  .value_len = label->len});

    if (message == NULL)
        return;
    buffer_printf(message, "columns %zu and %zu have the same name", first + 1, column + 1);
    violations_added(violations);
}

static void add_extra_label(const struct schema *schema, const struct row *header, size_t column,
                            struct violations *violations)
{
    const struct cell *label = &header->cells[column];
    const char *similar = similar_field(schema, label);
    struct buffer *message = violations_add(violations, VIOLATION_EXTRA_LABEL,
                                            (struct violation_at){.line = header->line,
                                                                  .column = column + 1,
                                                                  .value = label->text,
                                                                  .value_len = label->len});

    if (message == NULL)
        return;
    buffer_string(message, "the schema has no column '");
    buffer_append(message, label->text, label->len < LABEL_SHOWN ? label->len : LABEL_SHOWN);
    if (similar != NULL)
        buffer_printf(message, "': did you mean '%s'?", similar);
    else
        buffer_printf(message, "'%s", separator_advice(header));
    violations_added(violations);
}

static void add_missing_label(const struct schema *schema, const struct row *header, size_t field,
                              struct violations *violations)
{
    const struct field *missing = &schema->fields[field];
    struct buffer *message =
        violations_add(violations, VIOLATION_MISSING_LABEL,
                       (struct violation_at){.line = header->line, .field = missing->name});
    size_t i;

    if (message == NULL)
        return;
    buffer_string(message, "the required column is missing");
    if (missing->description != NULL)
        buffer_printf(message, " (%s)", missing->description);
    buffer_string(message, separator_advice(header));
    for (i = 0; i < header->count; i++)
        if (similar_field(schema, &header->cells[i]) == missing->name) {
            buffer_string(message, "; '");
            buffer_append(message, header->cells[i].text, header->cells[i].len);
            buffer_string(message, "' is not quite its name");
        }
    violations_added(violations);
}

/* Bind a column to the field of its label. `first`: the first column with this label. */
static void match_label(struct column_map *map, const struct row *header, size_t column,
                        size_t first, struct violations *violations)
{
    const struct cell *label = &header->cells[column];
    const struct schema *schema = map->schema;
    const int field = schema_find(schema, label->text, label->len);

    if (label->len == 0) {
        add_blank_label(header, column, violations);
    } else if (first < column) {
        add_duplicate_label(header, first, column, field < 0 ? NULL : schema->fields[field].name,
                            violations);
    } else if (field >= 0) {
        map->field_of[column] = field;
        map->column_of[field] = (int)column;
    } else if (!schema->drop_extra) {
        add_extra_label(schema, header, column, violations);
    }
}

static int match_labels(struct column_map *map, const struct row *header,
                        struct violations *violations, struct cause *cause)
{
    const uint64_t faults = violations->total;
    struct hash_index labels = {0};
    size_t i, first;

    for (i = 0; i < header->count; i++)
        map->field_of[i] = -1;
    for (i = 0; i < map->schema->count; i++)
        map->column_of[i] = -1;
    for (i = 0; i < TALLY_COUNT; i++) {
        const char *counted = tally_field((enum tally_by)i);

        map->counted[i] = schema_find(map->schema, counted, strlen(counted));
    }
    for (i = 0; i < header->count; i++) {
        if (find_first(&labels, header, i, &first) < 0) {
            hash_index_free(&labels);
            return cause_memory(cause);
        }
        match_label(map, header, i, first, violations);
    }
    hash_index_free(&labels);
    if (violations->total == faults)
        buffer_append(&map->header, header->raw, header->raw_len);
    return 0;
}

/* ---- values of fields without a column ---------------------------------------------------- */

/* Return 1 if a value from the file name tells two collections apart. A time does not: a file that
 * is sent again later is the same file. */
static bool is_meta(const struct field *field)
{
    return field->type != FIELD_DATE && field->type != FIELD_DATETIME;
}

/* Fill constants, from the file name first, and complain about required fields without a column. */
static int fill_constants(struct column_map *map, const struct column_map_request *request,
                          struct violations *violations, struct cause *cause)
{
    const struct schema *schema = map->schema;
    struct buffer meta = {0};
    bool failed = false;
    size_t i;

    if (schema_match_name(schema, request->name, map->constants, cause) < 0)
        return -1;
    for (i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        char **value = &map->constants[i];

        if (map->column_of[i] >= 0) {
            free(*value);
            *value = NULL;
        } else if (*value != NULL) {
            if (is_meta(field))
                buffer_printf(&meta, "%s=%s\n", field->name, *value);
        } else if (field->required) {
            add_missing_label(schema, request->header, i, violations);
        } else if (field->fallback != NULL) {
            *value = strdup(field->fallback);
            failed |= *value == NULL;
        }
    }
    map->has_meta = meta.len > 0;
    map->meta = map->has_meta ? digest_check(meta.data, meta.len) : 0;
    failed |= buffer_failed(&meta);
    buffer_free(&meta);
    return failed ? cause_memory(cause) : 0;
}

/* Find out whether rows can be copied with a constant suffix. A row of one column cannot: its empty
 * cell needs quotes. */
static void plan_copy(struct column_map *map)
{
    const struct training_columns *output = map->output;
    size_t i;

    map->copyable = map->columns <= output->count && map->columns > 1;
    for (i = 0; map->copyable && i < map->columns; i++)
        map->copyable = map->field_of[i] >= 0 && map->field_of[i] == output->fields[i];
    for (i = map->columns; i < output->count; i++) {
        int field = output->fields[i];

        buffer_byte(&map->suffix, ',');
        if (field >= 0 && map->constants[field] != NULL)
            escape_csv_cell(&map->suffix, map->constants[field], strlen(map->constants[field]));
    }
    buffer_byte(&map->suffix, '\n');
}

/* ---- the map ------------------------------------------------------------------------------ */

static int make_room(struct column_map *map, size_t columns)
{
    const size_t fields = map->schema->count;
    int *field_of = realloc(map->field_of, (columns + 1) * sizeof *field_of);

    if (field_of == NULL)
        return -1;
    map->field_of = field_of;
    if (map->column_of == NULL)
        map->column_of = malloc((fields + 1) * sizeof *map->column_of);
    if (map->constants == NULL)
        map->constants = calloc(fields + 1, sizeof *map->constants);
    return map->column_of == NULL || map->constants == NULL ? -1 : 0;
}

int column_map_bind(struct column_map *map, const struct column_map_request *request,
                    struct violations *violations, struct cause *cause)
{
    const struct row *header = request->header;
    struct buffer *last = &map->header;

    map->schema = request->schema;
    map->output = request->output;
    map->caches = request->caches;
    map->columns = header->count;
    /* Thousands of files share one header, which is matched once. */
    if (last->len != header->raw_len || memcmp(last->data, header->raw, last->len) != 0) {
        buffer_clear(last);
        if (make_room(map, header->count) < 0)
            return cause_memory(cause);
        if (match_labels(map, header, violations, cause) < 0)
            return -1;
    }
    if (fill_constants(map, request, violations, cause) < 0)
        return -1;
    if (map->output != NULL)
        plan_copy(map);
    return buffer_failed(&map->suffix) || buffer_failed(last) ? cause_memory(cause) : 0;
}

void column_map_reset(struct column_map *map)
{
    size_t i;

    for (i = 0; map->constants != NULL && i < map->schema->count; i++) {
        free(map->constants[i]);
        map->constants[i] = NULL;
    }
    buffer_clear(&map->suffix);
    map->columns = 0;
    map->has_meta = map->copyable = false;
    map->meta = 0;
}

void column_map_free(struct column_map *map)
{
    column_map_reset(map);
    free(map->constants);
    free(map->field_of);
    free(map->column_of);
    buffer_free(&map->suffix);
    buffer_free(&map->header);
    *map = (struct column_map){0};
}
