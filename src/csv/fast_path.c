#include "csv/fast_path.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "csv/csv_scan.h"
#include "base/escape.h"

#define WORD sizeof(uint64_t)
#define EACH UINT64_C(0x0101010101010101)
#define HIGH (EACH * 0x80)

/* Bytes that are scanned at first: if a row in doubt comes soon, more would be in vain. */
#define FIRST_WINDOW 256

#define COPY 16

struct fast_path_column {
    const struct field *field; /* NULL: the column is dropped, anything goes */
    struct value_cache *known;
    uint64_t *counts;      /* by place, where rows are counted by this column; else NULL */
    size_t digits;         /* integers of so many digits surely fit; 0: ask */
    size_t decimal_digits; /* and numbers with so many before a point */
    size_t place;          /* of the value in this row */
};

/* A row in the window that was scanned. */
struct fast_path_row {
    const char *start, *end; /* behind its line end */
    const char *window;
    const uint16_t *ends; /* of its cells, in the window */
    const char *last_end; /* of its last cell, which a CR may follow */
};

/* Written for a row: some constant bytes, then cells that stand side by side in file and layout. */
struct fast_path_piece {
    size_t constant, constant_len;
    size_t first, last;
};

/* The next bytes, the first one lowest. */
static inline uint64_t load(const char *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof word);
    return le64toh(word);
}

/* Marks (0x80) at the bytes that are no digits; exact up to the first mark and in all of them. */
static inline uint64_t not_digits(uint64_t word)
{
    uint64_t value = word ^ (EACH * '0');

    return (((value & ~HIGH) + EACH * (0x80 - 10)) | value) & HIGH;
}

static inline size_t first_mark(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* A mask of the first `len` bytes of a word, 1 at least. */
static inline uint64_t first_bytes(size_t len)
{
    return UINT64_MAX >> 8 * (len < WORD ? WORD - len : 0);
}

/* ---- a file's plan ------------------------------------------------------------------------ */

static size_t sure_digits(const struct field *field)
{
    uint64_t limit = 10;
    size_t digits = 0;

    if (field->quick_start > 0)
        return 0;
    while (digits < 17 && limit <= field->quick_end) {
        digits++;
        limit *= 10;
    }
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
        column->known = &column_map->caches[field];
        column->digits = sure_digits(column->field);
        column->decimal_digits = column->field->type == FIELD_NUMBER ? column->digits : 0;
    }
    fast_path->counted = 0;
    for (i = 0; i < TALLY_COUNT; i++) {
        struct fast_path_column *column;

        if (column_map->counted[i] < 0 || column_map->column_of[column_map->counted[i]] < 0)
            continue;
        column = &fast_path->columns[column_map->column_of[column_map->counted[i]]];
        column->counts = fast_path->counts[i];
        column->digits = 0; /* its value is looked up in any case */
        fast_path->counted_columns[fast_path->counted++] = column;
    }
}

/* Cells of neighbours in file and layout are one piece. */
static void add_cell(struct fast_path *fast_path, struct fast_path_piece *pieces, size_t column,
                     size_t *constant)
{
    const struct buffer *constants = &fast_path->constants;
    struct fast_path_piece *last =
        fast_path->piece_count == 0 ? NULL : &pieces[fast_path->piece_count - 1];

    if (last != NULL && last->last + 1 == column && constants->len == *constant + 1) {
        last->last = column;
        fast_path->constants.len--; /* the comma between them comes with them */
        return;
    }
    pieces[fast_path->piece_count++] =
        (struct fast_path_piece){*constant, constants->len - *constant, column, column};
    *constant = constants->len;
}

static void plan_row(struct fast_path *fast_path)
{
    const struct column_map *column_map = fast_path->column_map;
    const struct training_columns *layout = column_map->output;
    struct fast_path_piece *pieces = fast_path->pieces;
    size_t i, constant = 0;

    buffer_clear(&fast_path->constants);
    fast_path->piece_count = 0;
    for (i = 0; i < layout->count && pieces != NULL; i++) {
        int field = layout->fields[i];

        if (i > 0)
            buffer_byte(&fast_path->constants, ',');
        if (field >= 0 && column_map->column_of[field] >= 0)
            add_cell(fast_path, pieces, (size_t)column_map->column_of[field], &constant);
        else if (field >= 0 && column_map->constants[field] != NULL)
            escape_csv_cell(&fast_path->constants, column_map->constants[field],
                            strlen(column_map->constants[field]));
    }
    buffer_byte(&fast_path->constants, '\n');
    buffer_reserve(&fast_path->constants, COPY);
    fast_path->tail = constant;
    fast_path->as_it_is = fast_path->piece_count == 1 && constant == 0 &&
                          fast_path->constants.len == 1 && fast_path->pieces[0].first == 0 &&
                          fast_path->pieces[0].last + 1 == column_map->columns;
    fast_path->no_empty |= layout->count == 1;
}

int fast_path_open(struct fast_path *fast_path, const struct column_map *column_map,
                   uint64_t max_row_bytes, struct cause *cause)
{
    void *grown;

    fast_path->column_map = column_map;
    fast_path->max_row_bytes = max_row_bytes;
    if (fast_path->column_cap < column_map->columns) {
        grown = realloc(fast_path->columns, column_map->columns * sizeof *fast_path->columns);
        if (grown == NULL)
            return cause_memory(cause);
        fast_path->columns = grown;
        fast_path->column_cap = column_map->columns;
    }
    fast_path->no_empty = column_map->columns == 1;
    fast_path->uncounted = 0;
    memset(fast_path->counts, 0, sizeof fast_path->counts);
    if (column_map->output == NULL) {
        plan_columns(fast_path);
        return 0;
    }
    if (fast_path->pieces == NULL || fast_path->piece_cap < column_map->output->count) {
        grown =
            realloc(fast_path->pieces, (column_map->output->count + 1) * sizeof *fast_path->pieces);
        if (grown == NULL)
            return cause_memory(cause);
        fast_path->pieces = grown;
        fast_path->piece_cap = column_map->output->count;
    }
    plan_columns(fast_path);
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

/* ---- a cell ------------------------------------------------------------------------------- */

/* How many digits stand here; something else follows them. */
static inline size_t count_digits(const char *at)
{
    uint64_t marks;
    size_t count = 0;

    while ((marks = not_digits(load(at + count))) == 0)
        count += WORD;
    return count + first_mark(marks);
}

/* Is it a number without sign and exponent that surely fits? */
static inline bool is_sure_number(const struct fast_path_column *column, const char *text,
                                  size_t len)
{
    uint64_t marks = not_digits(load(text)), more = marks & (marks - 1);
    size_t whole = marks != 0 ? first_mark(marks) : count_digits(text);

    if (whole == len)
        return whole - 1 < column->digits;
    if (text[whole] != '.' || whole - 1 >= column->decimal_digits || whole + 1 >= len)
        return false;
    return (more != 0 ? first_mark(more) : whole + 1 + count_digits(text + whole + 1)) == len;
}

/* What a cell may hold without a quote around it. */
static bool is_plain(const char *text, size_t len)
{
    return memchr(text, '"', len) == NULL && memchr(text, '\r', len) == NULL &&
           memchr(text, '\0', len) == NULL && escape_invalid_utf8(text, len) == len;
}

/* The rows that were passed since the last time, by the values of the columns that are counted. */
int fast_path_count(struct fast_path *fast_path, struct tally *tally, struct cause *cause)
{
    const struct column_map *column_map = fast_path->column_map;
    uint64_t passed = fast_path->uncounted;
    size_t by, place;

    fast_path->uncounted = 0;
    if (passed == 0 || tally == NULL)
        return 0;
    tally->rows += passed;
    for (by = 0; by < TALLY_COUNT; by++) {
        struct counter *counter = &tally->by[by];
        int field = column_map->counted[by];
        uint64_t *counts = fast_path->counts[by];

        if (field < 0)
            continue;
        if (column_map->column_of[field] < 0) {
            const char *filled =
                column_map->constants[field] == NULL ? "" : column_map->constants[field];

            if (counter_add(counter, filled, strlen(filled), passed) < 0)
                return cause_memory(cause);
            continue;
        }
        for (place = 0; place <= VALUE_CACHE_PLACES; place++) {
            const struct value_cache_value *value = &column_map->caches[field].values[place];
            bool empty = place == VALUE_CACHE_PLACES;

            if (counts[place] > 0 && counter_add(counter, empty ? "" : value->text,
                                                 empty ? 0 : value->key.len, counts[place]) < 0)
                return cause_memory(cause);
            counts[place] = 0;
        }
    }
    return 0;
}

/* As value_cache_key; zeros or other cells are behind each cell, so whole words can be loaded. */
static inline struct value_cache_key load_key(const char *text, size_t len)
{
    uint64_t mask = first_bytes(len);

    return (struct value_cache_key){len, load(text) & mask,
                                    load(text + (len > WORD ? len - WORD : 0)) & mask};
}

/* A value that is not known to be good yet. 1: it is; 0: let others say; -1. */
static int pass_new_value(struct fast_path *fast_path, struct fast_path_column *column,
                          const struct value_cache_key *key, const char *text, struct tally *tally,
                          struct cause *cause)
{
    struct value_cache *known = column->known;
    const size_t len = key->len;

    if ((len == 0 && fast_path->no_empty) ||
        (len > 0 && !value_cache_fits(len) && column->counts != NULL) || !is_plain(text, len))
        return 0;
    if (known == NULL) /* a column that is dropped */
        return 1;
    if (field_check(column->field, text, len, NULL) != FIELD_FITS)
        return 0;
    if (!value_cache_fits(len) || (column->field->type == FIELD_NUMBER && column->counts == NULL))
        return 1;
    if (column->counts != NULL && column->counts[column->place] > 0 &&
        fast_path_count(fast_path, tally, cause) < 0)
        return -1;
    value_cache_store(known, column->place, key, text);
    return 1;
}

static inline int pass_value(struct fast_path *fast_path, struct fast_path_column *column,
                             const char *text, size_t len, struct tally *tally, struct cause *cause)
{
    struct value_cache_key key = {.len = len};

    column->place = VALUE_CACHE_PLACES;
    if (value_cache_fits(len)) {
        key = load_key(text, len);
        column->place = value_cache_slot(&key);
        if (column->known != NULL && value_cache_hit(column->known, column->place, &key, text))
            return 1;
    }
    return pass_new_value(fast_path, column, &key, text, tally, cause);
}

/* ---- a row -------------------------------------------------------------------------------- */

static inline const char *cell_start(const struct fast_path_row *row, size_t cell)
{
    return cell == 0 ? row->start : row->window + row->ends[cell - 1] + 1;
}

static inline int pass_cell(struct fast_path *fast_path, struct fast_path_column *column,
                            const char *text, size_t len, struct tally *tally, struct cause *cause)
{
    if (column->digits > 0 && is_sure_number(column, text, len))
        return 1;
    return pass_value(fast_path, column, text, len, tally, cause);
}

/* 1: it is beyond doubt; 0: it is not; -1. */
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

/* For few bytes a copy of fixed size, which needs no call. COPY bytes can be read from everywhere.
 */
static inline void put(struct buffer *out, const char *from, size_t len)
{
    if (out->cap - out->len < len + COPY && buffer_reserve(out, len + COPY) < 0)
        return;
    if (len <= COPY)
        memcpy(out->data + out->len, from, COPY);
    else
        memcpy(out->data + out->len, from, len);
    out->len += len;
}

static void write_row(const struct fast_path *fast_path, const struct fast_path_row *row,
                      struct buffer *out)
{
    const char *constants = fast_path->constants.data;
    size_t i;

    for (i = 0; i < fast_path->piece_count; i++) {
        const struct fast_path_piece *piece = &fast_path->pieces[i];
        const char *start = cell_start(row, piece->first);
        const char *end = piece->last + 1 == fast_path->column_map->columns
                              ? row->last_end
                              : row->window + row->ends[piece->last];

        put(out, constants + piece->constant, piece->constant_len);
        put(out, start, (size_t)(end - start));
    }
    put(out, constants + fast_path->tail, fast_path->constants.len - fast_path->tail);
}

static void note_counts(struct fast_path *fast_path)
{
    size_t i;

    fast_path->uncounted++;
    for (i = 0; i < fast_path->counted; i++)
        fast_path->counted_columns[i]->counts[fast_path->counted_columns[i]->place]++;
}

/* The rows of the window at *at, which is moved behind them. 1: there is none, or the next one is
 * not whole in it; 0: the next one is not beyond doubt; -1. */
static int pass_window(struct fast_path *fast_path, const char **at, size_t size,
                       struct buffer *out, struct tally *tally, uint64_t *rows, struct cause *cause)
{
    const size_t columns = fast_path->column_map->columns;
    struct fast_path_row row = {.window = *at};
    const char *as_it_is = *at;
    uint16_t ends[SCAN_ENDS];
    size_t next, count = csv_scan_ends(*at, size, ends);
    int passed = 1;

    for (next = 0; next + columns <= count; next += columns) {
        row.start = *at;
        row.ends = ends + next;
        row.end = row.window + row.ends[columns - 1] + 1;
        passed = pass_row(fast_path, &row, tally, cause);
        if (passed <= 0)
            break;
        ++*rows;
        *at = row.end;
        if (out == NULL)
            continue;
        note_counts(fast_path);
        if (fast_path->as_it_is && row.last_end + 1 == row.end)
            continue;
        buffer_append(out, as_it_is, fast_path->as_it_is ? (size_t)(row.start - as_it_is) : 0);
        write_row(fast_path, &row, out);
        as_it_is = row.end;
    }
    if (out != NULL && fast_path->as_it_is)
        buffer_append(out, as_it_is, (size_t)(*at - as_it_is));
    return passed;
}

/* Where one row has a quote the next one often has, too. */
static bool next_has_quote(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);

    return memchr(text, '"', end == NULL ? len : (size_t)(end - text)) != NULL;
}

ptrdiff_t fast_path_rows(struct fast_path *fast_path, const char *text, size_t len,
                         struct buffer *out, struct tally *tally, uint64_t *rows,
                         struct cause *cause)
{
    const char *at = text, *end = text + len, *window;
    size_t size = FIRST_WINDOW;
    int passed = 1;

    if (*text == '"' || next_has_quote(text, len))
        return 0;
    while (passed > 0 && at < end) {
        window = at;
        if (size > (size_t)(end - at))
            size = (size_t)(end - at);
        passed = pass_window(fast_path, &at, size, out, tally, rows, cause);
        if (at == window && (size == SCAN_SIZE || at + size == end))
            break;
        size = size > SCAN_SIZE / 4 ? SCAN_SIZE : size * 4;
    }
    return passed < 0 ? -1 : at - text;
}

/* Where the cells end that csv_reader_next joined, whatever they hold. */
static void find_ends(const struct row *row, uint16_t *ends)
{
    size_t i, at = 0;

    for (i = 0; i < row->count; i++, at++) {
        at += row->cells[i].len;
        ends[i] = (uint16_t)at;
    }
}

int fast_path_row(struct fast_path *fast_path, const struct row *row, struct buffer *out,
                  struct tally *tally, struct cause *cause)
{
    const char *text = row->joined;
    uint16_t ends[SCAN_ENDS];
    struct fast_path_row joined;
    bool quotes_needed;
    int passed;

    if (text == NULL || row->count != fast_path->column_map->columns || row->joined_len > SCAN_SIZE)
        return 0;
    joined = (struct fast_path_row){
        .start = text, .end = text + row->joined_len, .window = text, .ends = ends};
    /* Where there are more ends than cells, one of them holds a comma or a line feed. */
    quotes_needed = csv_scan_ends(text, row->joined_len, ends) > row->count;
    if (quotes_needed)
        find_ends(row, ends);
    passed = pass_row(fast_path, &joined, tally, cause);
    if (passed <= 0 || out == NULL)
        return passed;
    note_counts(fast_path);
    if (quotes_needed)
        row_write(fast_path->column_map, row, out);
    else if (fast_path->as_it_is)
        buffer_append(out, text, row->joined_len);
    else
        write_row(fast_path, &joined, out);
    return 1;
}
