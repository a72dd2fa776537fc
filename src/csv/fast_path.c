#include "csv/fast_path.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "csv/csv_scan.h"
#include "csv/row_check.h"
#include "base/escape.h"

#define WORD         sizeof(uint64_t)
#define EACH         UINT64_C(0x0101010101010101)
#define HIGH         (EACH * 0x80)
#define FIRST_WINDOW 256 /* bytes scanned at first: a row may soon end the pass */

/* A column of the file, and how its cells are checked. */
struct fast_path_column {
    const struct field *field; /* NULL: the column is dropped, any text is valid */
    struct value_cache *cache;
    uint64_t *counts;      /* [slot]: rows by value, if rows are counted by this column; or NULL */
    size_t digits;         /* integers of up to so many digits are valid; 0: ask field_check */
    size_t decimal_digits; /* the same for the digits before a decimal point */
    size_t slot;           /* value_cache slot of the value in this row */
};

/* A row in the window that was scanned. */
struct fast_path_row {
    const char *start, *end; /* with the line end */
    const char *window;
    const uint16_t *ends; /* offsets in window of the ends of cells */
    const char *last_end; /* end of the last cell, before a CR or LF */
};

/* A part of a row that is written: constant bytes, then cells that are neighbours in the file and
 * in the training file. */
struct fast_path_piece {
    size_t constant, constant_len;
    size_t first, last;
};

/* Load the next bytes, the first one lowest. */
static inline uint64_t load_word(const char *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof word);
    return le64toh(word);
}

/* Mark (0x80) each byte that is not a digit. */
static inline uint64_t not_digits(uint64_t word)
{
    uint64_t value = word ^ (EACH * '0');

    return (((value & ~HIGH) + EACH * (0x80 - 10)) | value) & HIGH;
}

static inline size_t first_mark(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* Return a mask of the first `len` bytes of a word, at least 1. */
static inline uint64_t first_bytes(size_t len)
{
    return UINT64_MAX >> 8 * (len < WORD ? WORD - len : 0);
}

/* ---- the plan for a file ------------------------------------------------------------------ */

/* Return up to how many digits any integer is within the bounds of the field. */
static size_t safe_digits(const struct field *field)
{
    uint64_t limit = 10;
    size_t digits;

    if (field->quick_start > 0)
        return 0;
    for (digits = 0; digits < 17 && limit <= field->quick_end; digits++)
        limit *= 10;
    return digits;
}

static void plan_columns(struct fast_path *fast_path)
{
    const struct column_map *column_map = fast_path->column_map;
    size_t i;

    for (i = 0; i < column_map->columns; i++) {
        struct fast_path_column *column = &fast_path->columns[i];
        int field = column_map->field_of[i];

        *column = (struct fast_path_column){0};
        if (field < 0)
            continue;
        column->field = &column_map->schema->fields[field];
        column->cache = &column_map->caches[field];
        column->digits = safe_digits(column->field);
        column->decimal_digits = column->field->type == FIELD_NUMBER ? column->digits : 0;
    }
    fast_path->counted = 0;
    for (i = 0; i < TALLY_COUNT; i++) {
        struct fast_path_column *column;

        if (column_map->counted[i] < 0 || column_map->column_of[column_map->counted[i]] < 0)
            continue;
        column = &fast_path->columns[column_map->column_of[column_map->counted[i]]];
        column->counts = fast_path->counts[i];
        column->digits = 0; /* the slot of its value is needed in any case */
        fast_path->counted_columns[fast_path->counted++] = column;
    }
}

/* Add a cell to the row that is written: to the last piece if it is that piece's neighbour in both
 * files, else as a new piece with the constants from offset *constant on. */
static void plan_cell(struct fast_path *fast_path, size_t column, size_t *constant)
{
    const struct buffer *constants = &fast_path->constants;
    struct fast_path_piece *pieces = fast_path->pieces;
    struct fast_path_piece *last =
        fast_path->piece_count == 0 ? NULL : &pieces[fast_path->piece_count - 1];

    if (last != NULL && last->last + 1 == column && constants->len == *constant + 1) {
        last->last = column;
        fast_path->constants.len--; /* the comma between the two is in the file */
        return;
    }
    pieces[fast_path->piece_count++] =
        (struct fast_path_piece){*constant, constants->len - *constant, column, column};
    *constant = constants->len;
}

static void plan_row(struct fast_path *fast_path)
{
    const struct column_map *map = fast_path->column_map;
    struct buffer *constants = &fast_path->constants;
    size_t i, constant = 0;

    buffer_clear(constants);
    fast_path->piece_count = 0;
    for (i = 0; i < map->output->count; i++) {
        int field = map->output->fields[i];

        if (i > 0)
            buffer_byte(constants, ',');
        if (field >= 0 && map->column_of[field] >= 0)
            plan_cell(fast_path, (size_t)map->column_of[field], &constant);
        else if (field >= 0 && map->constants[field] != NULL)
            escape_csv_cell(constants, map->constants[field], strlen(map->constants[field]));
    }
    buffer_byte(constants, '\n');
    buffer_reserve(constants, BUFFER_PADDING);
    fast_path->tail = constant;
    fast_path->verbatim = fast_path->piece_count == 1 && constant == 0 && constants->len == 1 &&
                          fast_path->pieces[0].first == 0 &&
                          fast_path->pieces[0].last + 1 == map->columns;
    fast_path->no_empty |= map->output->count == 1;
}

/* Make room for `count` columns and as many pieces. */
static int reserve_plan(struct fast_path *fast_path, size_t count)
{
    struct fast_path_column *columns;
    struct fast_path_piece *pieces;

    if (count <= fast_path->cap)
        return 0;
    columns = realloc(fast_path->columns, count * sizeof *columns);
    if (columns != NULL)
        fast_path->columns = columns;
    pieces = realloc(fast_path->pieces, count * sizeof *pieces);
    if (pieces != NULL)
        fast_path->pieces = pieces;
    if (columns == NULL || pieces == NULL)
        return -1;
    fast_path->cap = count;
    return 0;
}

int fast_path_open(struct fast_path *fast_path, const struct column_map *column_map,
                   uint64_t max_row_bytes, struct cause *cause)
{
    const size_t columns = column_map->columns;
    const size_t output = column_map->output == NULL ? 0 : column_map->output->count;

    fast_path->column_map = column_map;
    fast_path->max_row_bytes = max_row_bytes;
    fast_path->no_empty = columns == 1;
    fast_path->uncounted = 0;
    memset(fast_path->counts, 0, sizeof fast_path->counts);
    if (reserve_plan(fast_path, columns > output ? columns : output) < 0)
        return cause_memory(cause);
    plan_columns(fast_path);
    if (output == 0)
        return 0;
    plan_row(fast_path);
    return buffer_failed(&fast_path->constants) ? cause_memory(cause) : 0;
}

void fast_path_close(struct fast_path *fast_path)
{
    free(fast_path->columns);
    free(fast_path->pieces);
    buffer_free(&fast_path->constants);
    *fast_path = (struct fast_path){0};
}

/* ---- cells and rows ----------------------------------------------------------------------- */

/* Return how many digits are here; they end before the zeros after the text. */
static inline size_t digits_at(const char *at)
{
    uint64_t marks;
    size_t count = 0;

    while ((marks = not_digits(load_word(at + count))) == 0)
        count += WORD;
    return count + first_mark(marks);
}

/* Return true for a number without sign and exponent that fits because it has few digits. */
static inline bool is_safe_number(const struct fast_path_column *column, const char *text,
                                  size_t len)
{
    uint64_t marks = not_digits(load_word(text)), more = marks & (marks - 1);
    size_t whole = marks != 0 ? first_mark(marks) : digits_at(text);

    if (whole == len)
        return whole - 1 < column->digits;
    if (text[whole] != '.' || whole - 1 >= column->decimal_digits || whole + 1 >= len)
        return false;
    return (more != 0 ? first_mark(more) : whole + 1 + digits_at(text + whole + 1)) == len;
}

/* Return true if a cell may hold the text without quotes around it. */
static bool needs_no_quotes(const char *text, size_t len)
{
    return memchr(text, '"', len) == NULL && memchr(text, '\r', len) == NULL &&
           memchr(text, '\0', len) == NULL && escape_invalid_utf8(text, len) == len;
}

/* Add the rows of one tally, by the slots of their values. */
static int count_slots(struct counter *counter, const struct value_cache *cache, uint64_t *counts)
{
    size_t slot;

    for (slot = 0; slot <= VALUE_CACHE_SLOTS; slot++) {
        const struct value_cache_value *value = &cache->values[slot];
        const bool empty = slot == VALUE_CACHE_SLOTS;

        if (counts[slot] > 0 && counter_add(counter, empty ? "" : value->text,
                                            empty ? 0 : value->key.len, counts[slot]) < 0)
            return -1;
        counts[slot] = 0;
    }
    return 0;
}

int fast_path_count(struct fast_path *fast_path, struct tally *tally, struct cause *cause)
{
    const struct column_map *map = fast_path->column_map;
    const uint64_t rows = fast_path->uncounted;
    size_t by;

    fast_path->uncounted = 0;
    if (rows == 0 || tally == NULL)
        return 0;
    tally->rows += rows;
    for (by = 0; by < TALLY_COUNT; by++) {
        const int field = map->counted[by];
        const char *constant =
            field < 0 || map->constants[field] == NULL ? "" : map->constants[field];
        int result = 0;

        if (field >= 0 && map->column_of[field] >= 0)
            result = count_slots(&tally->by[by], &map->caches[field], fast_path->counts[by]);
        else if (field >= 0)
            result = counter_add(&tally->by[by], constant, strlen(constant), rows);
        if (result < 0)
            return cause_memory(cause);
    }
    return 0;
}

/* Return the same as value_cache_key, from whole words: other cells or zeros follow each cell. */
static inline struct value_cache_key load_key(const char *text, size_t len)
{
    uint64_t mask = first_bytes(len);

    return (struct value_cache_key){len, load_word(text) & mask,
                                    load_word(text + (len > WORD ? len - WORD : 0)) & mask};
}

/* Check a value that is not cached. Return 1 if it is valid, 0 to let row_check decide, or -1. */
static int pass_new_value(struct fast_path *fast_path, struct fast_path_column *column,
                          const struct value_cache_key *key, const char *text, struct tally *tally,
                          struct cause *cause)
{
    struct value_cache *cache = column->cache;
    const size_t len = key->len;

    if ((len == 0 && fast_path->no_empty) ||
        (len > 0 && !value_cache_fits(len) && column->counts != NULL) ||
        !needs_no_quotes(text, len))
        return 0;
    if (cache == NULL) /* a column that is dropped */
        return 1;
    if (field_check(column->field, text, len, NULL) != FIELD_FITS)
        return 0;
    if (!value_cache_fits(len) || (column->field->type == FIELD_NUMBER && column->counts == NULL))
        return 1;
    if (column->counts != NULL && column->counts[column->slot] > 0 &&
        fast_path_count(fast_path, tally, cause) < 0)
        return -1;
    value_cache_store(cache, column->slot, key, text);
    return 1;
}

/* Check a value, with the result of pass_new_value. */
static inline int pass_value(struct fast_path *fast_path, struct fast_path_column *column,
                             const char *text, size_t len, struct tally *tally, struct cause *cause)
{
    struct value_cache_key key = {.len = len};

    column->slot = VALUE_CACHE_SLOTS;
    if (value_cache_fits(len)) {
        key = load_key(text, len);
        column->slot = value_cache_slot(&key);
        if (column->cache != NULL && value_cache_hit(column->cache, column->slot, &key, text))
            return 1;
    }
    return pass_new_value(fast_path, column, &key, text, tally, cause);
}

static inline int pass_cell(struct fast_path *fast_path, struct fast_path_column *column,
                            const char *text, size_t len, struct tally *tally, struct cause *cause)
{
    if (column->digits > 0 && is_safe_number(column, text, len))
        return 1;
    return pass_value(fast_path, column, text, len, tally, cause);
}

/* Check a row. Return 1 if it is certainly valid, 0 if not, or -1. */
static int pass_row(struct fast_path *fast_path, struct fast_path_row *row, struct tally *tally,
                    struct cause *cause)
{
    struct fast_path_column *column = fast_path->columns,
                            *last = column + fast_path->column_map->columns - 1;
    const uint16_t *ends = row->ends;
    const char *text = row->start, *end;
    int passed;

    for (; column < last; column++, text = end + 1) {
        end = row->window + *ends++;
        if (*end != ',')
            return 0;
        passed = pass_cell(fast_path, column, text, (size_t)(end - text), tally, cause);
        if (passed <= 0)
            return passed;
    }
    end = row->window + *ends;
    if (*end != '\n' || (uint64_t)(row->end - row->start) > fast_path->max_row_bytes)
        return 0;
    row->last_end = end - (end > text && end[-1] == '\r');
    return pass_cell(fast_path, column, text, (size_t)(row->last_end - text), tally, cause);
}

static void write_pieces(const struct fast_path *fast_path, const struct fast_path_row *row,
                         struct buffer *out)
{
    const char *constants = fast_path->constants.data;
    size_t i;

    for (i = 0; i < fast_path->piece_count; i++) {
        const struct fast_path_piece *piece = &fast_path->pieces[i];
        const char *start =
            piece->first == 0 ? row->start : row->window + row->ends[piece->first - 1] + 1;
        const char *end = piece->last + 1 == fast_path->column_map->columns
                              ? row->last_end
                              : row->window + row->ends[piece->last];

        buffer_append_padded(out, constants + piece->constant, piece->constant_len);
        buffer_append_padded(out, start, (size_t)(end - start));
    }
    buffer_append_padded(out, constants + fast_path->tail,
                         fast_path->constants.len - fast_path->tail);
}

static void count_row(struct fast_path *fast_path)
{
    size_t i;

    fast_path->uncounted++;
    for (i = 0; i < fast_path->counted; i++)
        fast_path->counted_columns[i]->counts[fast_path->counted_columns[i]->slot]++;
}

/* Pass over the rows of the window at *at, which is moved after them. Return 1 if the rest of the
 * window is no whole row, 0 if the next row is not certainly valid, or -1. */
static int pass_window(struct fast_path *fast_path, const char **at, size_t size,
                       struct fast_path_sink *sink, struct cause *cause)
{
    struct buffer *out = sink->out;
    const size_t columns = fast_path->column_map->columns;
    struct fast_path_row row = {.window = *at};
    const char *unwritten = *at;
    uint16_t ends[SCAN_ENDS];
    size_t next, count = csv_scan_ends(*at, size, ends);
    int passed = 1;

    for (next = 0; next + columns <= count; next += columns) {
        row.start = *at;
        row.ends = ends + next;
        row.end = row.window + row.ends[columns - 1] + 1;
        passed = pass_row(fast_path, &row, sink->tally, cause);
        if (passed <= 0)
            break;
        sink->rows++;
        *at = row.end;
        if (out == NULL)
            continue;
        count_row(fast_path);
        if (fast_path->verbatim && row.last_end + 1 == row.end)
            continue;
        buffer_append(out, unwritten, fast_path->verbatim ? (size_t)(row.start - unwritten) : 0);
        write_pieces(fast_path, &row, out);
        unwritten = row.end;
    }
    if (out != NULL && fast_path->verbatim)
        buffer_append(out, unwritten, (size_t)(*at - unwritten));
    return passed;
}

ptrdiff_t fast_path_rows(struct fast_path *fast_path, const char *text, size_t len,
                         struct fast_path_sink *sink, struct cause *cause)
{
    const char *at = text, *end = text + len, *window, *lf = memchr(text, '\n', len);
    size_t size = FIRST_WINDOW;
    int passed = 1;

    /* A row with a quote is often followed by more such rows. */
    if (*text == '"' || memchr(text, '"', lf == NULL ? len : (size_t)(lf - text)) != NULL)
        return 0;
    while (passed > 0 && at < end) {
        window = at;
        if (size > (size_t)(end - at))
            size = (size_t)(end - at);
        passed = pass_window(fast_path, &at, size, sink, cause);
        if (at == window && (size == SCAN_SIZE || at + size == end))
            break;
        size = size > SCAN_SIZE / 4 ? SCAN_SIZE : size * 4;
    }
    return passed < 0 ? -1 : at - text;
}

/* Find the ends of the cells that csv_reader_next joined, from their lengths. */
static void find_ends(const struct row *row, uint16_t *ends)
{
    size_t i, at = 0;

    for (i = 0; i < row->count; i++, at++) {
        at += row->cells[i].len;
        ends[i] = (uint16_t)at;
    }
}

int fast_path_row(struct fast_path *fast_path, const struct row *row, struct fast_path_sink *sink,
                  struct cause *cause)
{
    struct buffer *out = sink->out;
    const char *text = row->joined;
    uint16_t ends[SCAN_ENDS];
    struct fast_path_row joined;
    bool quotes_needed;
    int passed;

    if (text == NULL || row->count != fast_path->column_map->columns || row->joined_len > SCAN_SIZE)
        return 0;
    joined = (struct fast_path_row){
        .start = text, .end = text + row->joined_len, .window = text, .ends = ends};
    /* More ends than cells: one of the cells holds a comma or a line feed. */
    quotes_needed = csv_scan_ends(text, row->joined_len, ends) > row->count;
    if (quotes_needed)
        find_ends(row, ends);
    passed = pass_row(fast_path, &joined, sink->tally, cause);
    sink->rows += passed > 0;
    if (passed <= 0 || out == NULL)
        return passed;
    count_row(fast_path);
    if (quotes_needed)
        row_write(fast_path->column_map, row, out);
    else if (fast_path->verbatim)
        buffer_append(out, text, row->joined_len);
    else
        write_pieces(fast_path, &joined, out);
    return 1;
}
