#include "csv/row_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/hash_index.h"
#include "base/escape.h"

int training_columns_of_schema(struct training_columns *layout, const struct schema *schema,
                               struct cause *cause)
{
    size_t i;

    layout->fields = calloc(schema->count + 1, sizeof *layout->fields);
    if (layout->fields == NULL)
        return cause_memory(cause);
    for (i = 0; i < schema->count; i++)
        layout->fields[i] = (int)i;
    layout->count = schema->count;
    return 0;
}

void training_columns_free(struct training_columns *layout)
{
    free(layout->fields);
    *layout = (struct training_columns){0};
}

void row_check_fault(const struct row *row, struct violations *violations)
{
    static const enum violation_code codes[] = {
        [ROW_BLANK] = VIOLATION_BLANK_ROW,
        [ROW_NUL] = VIOLATION_ENCODING_ERROR,
        [ROW_NOT_UTF8] = VIOLATION_ENCODING_ERROR,
        [ROW_LONE_CR] = VIOLATION_ENCODING_ERROR,
        [ROW_STRAY_QUOTE] = VIOLATION_STRAY_QUOTE,
        [ROW_UNTERMINATED] = VIOLATION_UNTERMINATED_QUOTE,
        [ROW_TOO_LONG] = VIOLATION_ROW_TOO_LONG,
        [ROW_TOO_MANY_COLUMNS] = VIOLATION_TOO_MANY_COLUMNS,
    };
    struct buffer *message =
        violations_add(violations, codes[row->fault], row->fault_line, 0, NULL, NULL, 0);
    uint64_t at = row->fault_offset;

    if (message == NULL)
        return;
    switch (row->fault) {
    case ROW_BLANK:
        buffer_string(message, "a line without content between rows: delete it");
        break;
    case ROW_NUL:
        buffer_printf(message,
                      "NUL byte at byte %" PRIu64
                      " of the file: an upload to a full disk leaves such a "
                      "tail, UTF-16 such pairs; send the file again, as UTF-8",
                      at);
        break;
    case ROW_NOT_UTF8:
        buffer_printf(message,
                      "invalid UTF-8 at byte %" PRIu64
                      " of the file: save it as UTF-8 (it may be Latin-1)",
                      at);
        break;
    case ROW_LONE_CR:
        buffer_printf(message,
                      "a carriage return without line feed at byte %" PRIu64
                      " of the file: end lines with LF or CRLF",
                      at);
        break;
    case ROW_STRAY_QUOTE:
        buffer_printf(
            message,
            "a quote inside an unquoted cell, or text behind a closing quote, at byte %" PRIu64
            " of the file: quote the whole cell and double the quotes in it",
            at);
        if (row->opened_line > 0)
            buffer_printf(message, "; the quoted cell began on line %" PRIu64, row->opened_line);
        break;
    case ROW_UNTERMINATED:
        buffer_string(message, "the quote that opens here is never closed");
        break;
    case ROW_TOO_LONG:
        buffer_string(
            message,
            "the row is longer than max_row_kib allows; reading stopped here (is a quote open?)");
        break;
    case ROW_TOO_MANY_COLUMNS:
        buffer_printf(message, "%zu cells, more than max_columns allows", row->count);
        break;
    case ROW_SOUND:
        break;
    }
    violations_added(violations);
}

/* The header has one cell because its separator is another one. */
static const char *separator_hint(const struct row *header)
{
    if (header->count != 1)
        return "";
    if (memchr(header->cells[0].text, ';', header->cells[0].len) != NULL)
        return ": the columns are separated by semicolons; save with commas";
    if (memchr(header->cells[0].text, '\t', header->cells[0].len) != NULL)
        return ": the columns are separated by tabs; save with commas";
    return "";
}

/* A field that the label means, but for blanks and case. */
static const char *near_field(const struct schema *schema, const struct cell *label)
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

/* The first column of this name; `labels` has those of the columns before. -1: out of memory. */
static int first_of_name(struct hash_index *labels, const struct row *header, size_t column,
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

/* `first`: the first column of the same name. */
static void match_label(struct column_map *column_map, const struct row *header, size_t column,
                        size_t first, struct violations *violations)
{
    const struct cell *label = &header->cells[column];
    struct buffer *message;
    const char *near;
    int field;

    if (label->len == 0) {
        message = violations_add(violations, VIOLATION_BLANK_LABEL, header->line, column + 1, NULL,
                                 NULL, 0);
        if (message != NULL) {
            buffer_printf(message, "column %zu has no name", column + 1);
            violations_added(violations);
        }
        return;
    }
    field = schema_find(column_map->schema, label->text, label->len);
    if (first < column) {
        message = violations_add(violations, VIOLATION_DUPLICATE_LABEL, header->line, column + 1,
                                 field < 0 ? NULL : column_map->schema->fields[field].name,
                                 label->text, label->len);
        if (message != NULL) {
            buffer_printf(message, "columns %zu and %zu have the same name", first + 1, column + 1);
            violations_added(violations);
        }
        return;
    }
    column_map->field_of[column] = field;
    if (field >= 0) {
        column_map->column_of[field] = (int)column;
        return;
    }
    if (column_map->schema->drop_extra)
        return;
    near = near_field(column_map->schema, label);
    message = violations_add(violations, VIOLATION_EXTRA_LABEL, header->line, column + 1, NULL,
                             label->text, label->len);
    if (message == NULL)
        return;
    buffer_string(message, "the schema has no column '");
    buffer_append(message, label->text, label->len < 64 ? label->len : 64);
    if (near != NULL)
        buffer_printf(message, "': did you mean '%s'?", near);
    else
        buffer_printf(message, "'%s", separator_hint(header));
    violations_added(violations);
}

static void miss_label(const struct column_map *column_map, const struct row *header, size_t field,
                       struct violations *violations)
{
    const struct field *missing = &column_map->schema->fields[field];
    struct buffer *message = violations_add(violations, VIOLATION_MISSING_LABEL, header->line, 0,
                                            missing->name, NULL, 0);
    const char *near;
    size_t i;

    if (message == NULL)
        return;
    buffer_string(message, "the required column is missing");
    if (missing->description != NULL)
        buffer_printf(message, " (%s)", missing->description);
    buffer_string(message, separator_hint(header));
    for (i = 0; i < header->count; i++) {
        near = near_field(column_map->schema, &header->cells[i]);
        if (near == missing->name) {
            buffer_string(message, "; '");
            buffer_append(message, header->cells[i].text, header->cells[i].len);
            buffer_string(message, "' is not quite its name");
        }
    }
    violations_added(violations);
}

/* Missing columns take their values from the file name, else the schema's default. */
static int fill_missing(struct column_map *column_map, const char *name, const struct row *header,
                        struct violations *violations, struct cause *cause)
{
    const struct schema *schema = column_map->schema;
    struct buffer meta = {0};
    bool failed = false;
    size_t i;

    if (schema_match_name(schema, name, column_map->filled, cause) < 0)
        return -1;
    for (i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        char **value = &column_map->filled[i];

        if (column_map->column_of[i] >= 0) {
            free(*value);
            *value = NULL;
        } else if (*value != NULL) {
            /* A time in the name tells no two users apart: a file sent again later is the same
             * file. */
            if (field->type == FIELD_DATE || field->type == FIELD_DATETIME)
                continue;
            buffer_string(&meta, field->name);
            buffer_byte(&meta, '=');
            buffer_string(&meta, *value);
            buffer_byte(&meta, '\n');
        } else if (field->required) {
            miss_label(column_map, header, i, violations);
        } else if (field->fallback != NULL) {
            *value = strdup(field->fallback);
            failed |= *value == NULL;
        }
    }
    column_map->has_meta = meta.len > 0;
    column_map->meta = column_map->has_meta ? digest_check(meta.data, meta.len) : 0;
    failed |= buffer_failed(&meta);
    buffer_free(&meta);
    return failed ? cause_memory(cause) : 0;
}

/* Rows can be copied where the file's columns are the layout's first and all others are the same in
 * each row. */
static void find_straight(struct column_map *column_map)
{
    size_t i;

    column_map->straight =
        column_map->columns <= column_map->layout->count && column_map->columns > 1;
    for (i = 0; column_map->straight && i < column_map->columns; i++)
        column_map->straight = column_map->field_of[i] >= 0 &&
                               column_map->field_of[i] == column_map->layout->fields[i];
    for (i = column_map->columns; i < column_map->layout->count; i++) {
        int field = column_map->layout->fields[i];

        buffer_byte(&column_map->suffix, ',');
        if (field >= 0 && column_map->filled[field] != NULL)
            escape_csv_cell(&column_map->suffix, column_map->filled[field],
                            strlen(column_map->filled[field]));
    }
    buffer_byte(&column_map->suffix, '\n');
}

static int match_labels(struct column_map *column_map, const struct row *header,
                        struct violations *violations, struct cause *cause)
{
    const struct schema *schema = column_map->schema;
    const uint64_t faults = violations->total;
    struct hash_index labels = {0};
    size_t i, first;

    for (i = 0; i < header->count; i++)
        column_map->field_of[i] = -1;
    for (i = 0; i < schema->count; i++)
        column_map->column_of[i] = -1;
    for (i = 0; i < TALLY_COUNT; i++) {
        const char *name_counted = tally_field((enum tally_by)i);

        column_map->counted[i] = schema_find(schema, name_counted, strlen(name_counted));
    }
    for (i = 0; i < header->count; i++) {
        if (first_of_name(&labels, header, i, &first) < 0) {
            hash_index_free(&labels);
            return cause_memory(cause);
        }
        match_label(column_map, header, i, first, violations);
    }
    hash_index_free(&labels);
    if (violations->total == faults)
        buffer_append(&column_map->header, header->raw, header->raw_len);
    return 0;
}

static int make_room(struct column_map *column_map, const struct schema *schema, size_t columns)
{
    int *field_of = realloc(column_map->field_of, (columns + 1) * sizeof *field_of);

    if (field_of == NULL)
        return -1;
    column_map->field_of = field_of;
    if (column_map->column_of == NULL)
        column_map->column_of = malloc((schema->count + 1) * sizeof *column_map->column_of);
    if (column_map->filled == NULL)
        column_map->filled = calloc(schema->count + 1, sizeof *column_map->filled);
    return column_map->column_of == NULL || column_map->filled == NULL ? -1 : 0;
}

int column_map_bind(struct column_map *column_map, const struct schema *schema,
                    const struct training_columns *layout, struct value_cache *known,
                    const char *name, const struct row *header, struct violations *violations,
                    struct cause *cause)
{
    struct buffer *last = &column_map->header;

    column_map->schema = schema;
    column_map->layout = layout;
    column_map->known = known;
    if (header->fault != ROW_SOUND) {
        row_check_fault(header, violations);
        return 0;
    }
    column_map->columns = header->count;
    /* Thousands of files have the same one. */
    if (last->len != header->raw_len || memcmp(last->data, header->raw, last->len) != 0) {
        buffer_clear(last);
        if (make_room(column_map, schema, header->count) < 0)
            return cause_memory(cause);
        if (match_labels(column_map, header, violations, cause) < 0)
            return -1;
    }
    if (fill_missing(column_map, name, header, violations, cause) < 0)
        return -1;
    if (layout != NULL)
        find_straight(column_map);
    return buffer_failed(&column_map->suffix) || buffer_failed(last) ? cause_memory(cause) : 0;
}

void column_map_reset(struct column_map *column_map)
{
    size_t i;

    for (i = 0; column_map->filled != NULL && i < column_map->schema->count; i++) {
        free(column_map->filled[i]);
        column_map->filled[i] = NULL;
    }
    buffer_clear(&column_map->suffix);
    column_map->columns = 0;
    column_map->has_meta = column_map->straight = column_map->no_memory = false;
    column_map->meta = 0;
}

void column_map_free(struct column_map *column_map)
{
    column_map_reset(column_map);
    free(column_map->filled);
    free(column_map->field_of);
    free(column_map->column_of);
    buffer_free(&column_map->suffix);
    buffer_free(&column_map->header);
    *column_map = (struct column_map){0};
}

static bool count_fits(const struct column_map *column_map, const struct row *row,
                       struct violations *violations)
{
    bool few = row->count < column_map->columns;
    struct buffer *message;

    if (row->count == column_map->columns)
        return true;
    message = violations_add(violations, few ? VIOLATION_MISSING_CELL : VIOLATION_EXTRA_CELL,
                             row->line, 0, NULL, NULL, 0);
    if (message != NULL) {
        buffer_printf(
            message, "%zu cells where the header has %zu: %s", row->count, column_map->columns,
            few ? "the row is cut, or commas are missing"
                : "a comma too many; a decimal comma must be a point, a text with commas quoted");
        violations_added(violations);
    }
    return false;
}

static void add_misfit(struct column_map *column_map, const struct row *row, size_t column,
                       enum field_fault fault, struct violations *violations)
{
    const struct field *field = &column_map->schema->fields[column_map->field_of[column]];
    enum violation_code code =
        fault == FIELD_TYPE_ERROR ? VIOLATION_TYPE_ERROR : VIOLATION_CONSTRAINT_ERROR;
    const struct cell *cell = &row->cells[column];
    struct buffer *message =
        violations_add(violations, code, row->line, column + 1, field->name, cell->text, cell->len);

    if (message == NULL)
        return;
    field_check(field, cell->text, cell->len, message);
    violations_added(violations);
}

bool row_check(struct column_map *column_map, const struct row *row, struct violations *violations)
{
    bool valid = true;
    size_t i;

    if (row->fault != ROW_SOUND) {
        row_check_fault(row, violations);
        return false;
    }
    if (!count_fits(column_map, row, violations))
        return false;
    for (i = 0; i < column_map->columns; i++) {
        const struct cell *cell = &row->cells[i];
        const struct field *field;
        struct value_cache *known;
        enum field_fault fault;
        struct value_cache_key key = {0};
        size_t place = VALUE_CACHE_PLACES;

        if (column_map->field_of[i] < 0)
            continue;
        field = &column_map->schema->fields[column_map->field_of[i]];
        known = &column_map->known[column_map->field_of[i]];
        if (field->type != FIELD_NUMBER && value_cache_fits(cell->len) && !column_map->no_known) {
            key = value_cache_key(cell->text, cell->len);
            place = value_cache_slot(&key);
            if (value_cache_hit(known, place, &key, cell->text))
                continue;
        }
        fault = field_check(field, cell->text, cell->len, NULL);
        if (fault == FIELD_NO_MEMORY) {
            column_map->no_memory = true;
            return false;
        }
        if (fault != FIELD_FITS) {
            add_misfit(column_map, row, i, fault, violations);
            valid = false;
        } else if (place < VALUE_CACHE_PLACES && memchr(cell->text, '"', cell->len) == NULL) {
            value_cache_store(known, place, &key, cell->text);
        }
    }
    return valid;
}

void row_write(const struct column_map *column_map, const struct row *row, struct buffer *out)
{
    const struct training_columns *layout = column_map->layout;
    size_t i, len, start;

    if (column_map->straight && row->plain) {
        len = row->raw_len;
        if (row->ended)
            len -= len > 1 && row->raw[len - 2] == '\r' ? 2 : 1;
        buffer_append(out, row->raw, len);
        buffer_append(out, column_map->suffix.data, column_map->suffix.len);
        return;
    }
    start = out->len;
    for (i = 0; i < layout->count; i++) {
        int field = layout->fields[i];
        int column = field < 0 ? -1 : column_map->column_of[field];

        if (i > 0)
            buffer_byte(out, ',');
        if (column >= 0)
            escape_csv_cell(out, row->cells[column].text, row->cells[column].len);
        else if (field >= 0 && column_map->filled[field] != NULL)
            escape_csv_cell(out, column_map->filled[field], strlen(column_map->filled[field]));
    }
    /* A line without content is no row: the only cell, empty, needs its quotes. */
    if (layout->count == 1 && out->len == start)
        buffer_string(out, "\"\"");
    buffer_byte(out, '\n');
}

int row_tally(const struct column_map *column_map, const struct row *row, struct tally *tally,
              struct cause *cause)
{
    size_t by;

    tally->rows++;
    for (by = 0; by < TALLY_COUNT; by++) {
        int field = column_map->counted[by];
        const char *value = "";
        size_t len = 0;

        if (field < 0)
            continue;
        if (column_map->column_of[field] >= 0) {
            value = row->cells[column_map->column_of[field]].text;
            len = row->cells[column_map->column_of[field]].len;
        } else if (column_map->filled[field] != NULL) {
            value = column_map->filled[field];
            len = strlen(value);
        }
        if (counter_add(&tally->by[by], value, len, 1) < 0)
            return cause_memory(cause);
    }
    return 0;
}
