#include "csv/row_check.h"

#include <inttypes.h>
#include <string.h>

#include "base/escape.h"

/* The code and message of each fault; with a text after it, `number` stands between the two. */
static const struct {
    enum violation_code code;
    const char *before, *after;
} fault_texts[] = {
    [ROW_BLANK] = {VIOLATION_BLANK_ROW, "a line without content between rows: delete it", NULL},
    [ROW_NUL] = {VIOLATION_ENCODING_ERROR, "NUL byte at byte ",
                 " of the file: an upload to a full disk leaves such a tail, UTF-16 such pairs; "
                 "send the file again, as UTF-8"},
    [ROW_NOT_UTF8] = {VIOLATION_ENCODING_ERROR, "invalid UTF-8 at byte ",
                      " of the file: save it as UTF-8 (it may be Latin-1)"},
    [ROW_LONE_CR] = {VIOLATION_ENCODING_ERROR, "a carriage return without line feed at byte ",
                     " of the file: end lines with LF or CRLF"},
    [ROW_STRAY_QUOTE] =
        {VIOLATION_STRAY_QUOTE,
         "a quote inside an unquoted cell, or text behind a closing quote, at byte ",
         " of the file: quote the whole cell and double the quotes in it"},
    [ROW_UNTERMINATED] = {VIOLATION_UNTERMINATED_QUOTE, "the quote that opens here is never closed",
                          NULL},
    [ROW_TOO_LONG] = {VIOLATION_ROW_TOO_LONG,
                      "the row is longer than max_row_kib allows; reading stopped here (is a quote "
                      "open?)",
                      NULL},
    [ROW_TOO_MANY_COLUMNS] = {VIOLATION_TOO_MANY_COLUMNS, "",
                              " cells, more than max_columns allows"},
};

void row_check_fault(const struct row *row, struct violations *violations)
{
    const uint64_t number = row->fault == ROW_TOO_MANY_COLUMNS ? row->count : row->fault_offset;
    const char *after = fault_texts[row->fault].after;
    struct buffer *message = violations_add(violations, fault_texts[row->fault].code,
                                            (struct violation_at){.line = row->fault_line});

    if (message == NULL)
        return;
    buffer_string(message, fault_texts[row->fault].before);
    if (after != NULL)
        buffer_printf(message, "%" PRIu64 "%s", number, after);
    if (row->opened_line > 0)
        buffer_printf(message, "; the quoted cell began on line %" PRIu64, row->opened_line);
    violations_added(violations);
}

static void add_count(const struct row *row, size_t columns, struct violations *violations)
{
    const bool few = row->count < columns;
    struct buffer *message =
        violations_add(violations, few ? VIOLATION_MISSING_CELL : VIOLATION_EXTRA_CELL,
                       (struct violation_at){.line = row->line});

    if (message == NULL)
        return;
    buffer_printf(
        message, "%zu cells where the header has %zu: %s", row->count, columns,
        few ? "the row is cut, or commas are missing"
            : "a comma too many; a decimal comma must be a point, a text with commas quoted");
    violations_added(violations);
}

static void add_misfit(const struct field *field, const struct row *row, size_t column,
                       enum field_fault fault, struct violations *violations)
{
    const struct cell *cell = &row->cells[column];
    struct buffer *message = violations_add(
        violations, fault == FIELD_TYPE_ERROR ? VIOLATION_TYPE_ERROR : VIOLATION_CONSTRAINT_ERROR,
        (struct violation_at){.line = row->line,
                              .column = column + 1,
                              .field = field->name,
                              .value = cell->text,
                              .value_len = cell->len});

    if (message == NULL)
        return;
    field_check(field, cell->text, cell->len, message);
    violations_added(violations);
}

/* Check a cell, unless the cache has its value. A valid value without a quote is stored: fast_path
 * compares the cache with the bytes of cells as they stand in the file. */
static enum field_fault check_cell(const struct column_map *map, int field, const struct cell *cell)
{
    const struct field *of = &map->schema->fields[field];
    const bool cached = of->type != FIELD_NUMBER && value_cache_fits(cell->len) && !map->no_cache;
    struct value_cache *cache = &map->caches[field];
    struct value_cache_key key;
    enum field_fault fault;
    size_t slot = 0;

    if (cached) {
        key = value_cache_key(cell->text, cell->len);
        slot = value_cache_slot(&key);
        if (value_cache_hit(cache, slot, &key, cell->text))
            return FIELD_FITS;
    }
    fault = field_check(of, cell->text, cell->len, NULL);
    if (cached && fault == FIELD_FITS && memchr(cell->text, '"', cell->len) == NULL)
        value_cache_store(cache, slot, &key, cell->text);
    return fault;
}

static enum row_check_result check_cells(const struct column_map *map, const struct row *row,
                                         struct violations *violations)
{
    enum row_check_result result = ROW_CHECK_VALID;
    size_t i;

    if (row->fault != ROW_SOUND) {
        row_check_fault(row, violations);
        return ROW_CHECK_INVALID;
    }
    if (row->count != map->columns) {
        add_count(row, map->columns, violations);
        return ROW_CHECK_INVALID;
    }
    for (i = 0; i < map->columns; i++) {
        const int field = map->field_of[i];
        enum field_fault fault;

        if (field < 0)
            continue;
        fault = check_cell(map, field, &row->cells[i]);
        if (fault == FIELD_NO_MEMORY)
            return ROW_CHECK_NO_MEMORY;
        if (fault == FIELD_FITS)
            continue;
        add_misfit(&map->schema->fields[field], row, i, fault, violations);
        result = ROW_CHECK_INVALID;
    }
    return result;
}

bool row_is_beyond_repair(const struct row *row)
{
    switch (row->fault) {
    case ROW_NUL:
    case ROW_TOO_LONG:
    case ROW_TOO_MANY_COLUMNS:
        return true;
    case ROW_NOT_UTF8:
    case ROW_LONE_CR: /* at the end of the file: perhaps half a character, or half a CRLF */
        return row->ended || row->fault_offset + 4 < row->raw_len;
    case ROW_SOUND:
    case ROW_BLANK:
    case ROW_STRAY_QUOTE:
    case ROW_UNTERMINATED:
        break;
    }
    return false;
}

static void add_truncated(const struct row *row, bool newline_required,
                          struct violations *violations)
{
    struct buffer *message = violations_add(
        violations, VIOLATION_TRUNCATED_FILE,
        (struct violation_at){.line = row->line, .value = row->raw, .value_len = row->raw_len});

    if (message == NULL)
        return;
    buffer_printf(message, "the last line has no newline%s: the file was cut off; send it again",
                  newline_required ? "" : " and is no valid row");
    violations_added(violations);
}

/* Return true if the row's open quote was opened before the last line: it has swallowed rows. */
static bool has_swallowed_rows(const struct row *row)
{
    uint64_t last = row->line;
    size_t i;

    for (i = 0; i < row->raw_len; i++)
        last += row->raw[i] == '\n';
    return row->fault == ROW_UNTERMINATED && row->fault_line < last;
}

/* Check the last row of a file, which has no line end. */
static enum row_check_result check_last(const struct column_map *map, const struct row *row,
                                        bool newline_required, struct violations *violations)
{
    enum row_check_result result;
    struct violations silent;

    if (row->fault == ROW_NUL || row->fault == ROW_TOO_LONG || has_swallowed_rows(row)) {
        row_check_fault(row, violations);
        return ROW_CHECK_INVALID;
    }
    violations_init(&silent, 0);
    result = check_cells(map, row, &silent);
    violations_free(&silent);
    if (result == ROW_CHECK_VALID && newline_required)
        result = ROW_CHECK_INVALID;
    if (result == ROW_CHECK_INVALID)
        add_truncated(row, newline_required, violations);
    return result;
}

enum row_check_result row_check(const struct column_map *map, const struct row *row,
                                bool newline_required, struct violations *violations)
{
    if (map->columns == 0) { /* the header is no row: cells mean nothing */
        if (row->fault != ROW_SOUND)
            row_check_fault(row, violations);
        return ROW_CHECK_INVALID;
    }
    return row->ended ? check_cells(map, row, violations)
                      : check_last(map, row, newline_required, violations);
}

void row_check_blanks(uint64_t first, uint64_t count, struct violations *violations)
{
    struct row blank = {.fault = ROW_BLANK};

    for (blank.fault_line = first; blank.fault_line < first + count; blank.fault_line++)
        row_check_fault(&blank, violations);
}

/* Set *ret_len to the length of the value that `row` has for a field, from its cell or a constant. */
static const char *row_value(const struct column_map *map, const struct row *row, int field,
                             size_t *ret_len)
{
    const char *constant;

    if (field >= 0 && map->column_of[field] >= 0) {
        *ret_len = row->cells[map->column_of[field]].len;
        return row->cells[map->column_of[field]].text;
    }
    constant = field < 0 ? NULL : map->constants[field];
    *ret_len = constant == NULL ? 0 : strlen(constant);
    return constant == NULL ? "" : constant;
}

void row_write(const struct column_map *map, const struct row *row, struct buffer *out)
{
    const size_t start = out->len;
    const char *value;
    size_t i, len;

    if (map->copyable && row->plain) {
        len = row->raw_len;
        if (row->ended)
            len -= len > 1 && row->raw[len - 2] == '\r' ? 2 : 1;
        buffer_append(out, row->raw, len);
        buffer_append(out, map->suffix.data, map->suffix.len);
        return;
    }
    for (i = 0; i < map->output->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        value = row_value(map, row, map->output->fields[i], &len);
        escape_csv_cell(out, value, len);
    }
    /* A line without content is no row: an empty cell that is the only one needs quotes. */
    if (map->output->count == 1 && out->len == start)
        buffer_string(out, "\"\"");
    buffer_byte(out, '\n');
}

int row_tally(const struct column_map *map, const struct row *row, struct tally *tally,
              struct cause *cause)
{
    const char *value;
    size_t by, len;

    tally->rows++;
    for (by = 0; by < TALLY_COUNT; by++) {
        if (map->counted[by] < 0)
            continue;
        value = row_value(map, row, map->counted[by], &len);
        if (counter_add(&tally->by[by], value, len, 1) < 0)
            return cause_memory(cause);
    }
    return 0;
}
