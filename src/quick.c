#include "quick.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define WORD sizeof(uint64_t)
#define EACH UINT64_C(0x0101010101010101)
#define HIGH (EACH * 0x80)

struct quick_column {
    const struct field *field; /* NULL: the column is dropped, anything goes */
    struct known *known;
    uint64_t *counts;  /* by place, where rows are counted by this column; else NULL */
    unsigned digits;   /* numbers of so many digits before the point surely fit; 0: ask */
    const char *start; /* of this row's cell */
    const char *end;
    size_t place; /* of its value */
    /* The value before, which often comes again: its length, and its first bytes as they are
     * loaded, with a mask of those that count. 0: none that is short enough. */
    size_t again, again_place;
    uint64_t bytes[2], mask[2];
};

/* Written for a row: some constant bytes, then cells that stand side by side in file and layout. */
struct quick_piece {
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

/* Marks at the bytes that are zero; exact up to the first mark. */
static inline uint64_t zeros(uint64_t word)
{
    return (word - EACH) & ~word & HIGH;
}

static inline size_t first_mark(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* ---- a file's plan -----------------------------------------------------------------------------
 */

static unsigned sure_digits(const struct field *field)
{
    uint64_t limit = 10;
    unsigned digits = 0;

    if (field->quick_start > 0)
        return 0;
    while (digits < 17 && limit <= field->quick_end) {
        digits++;
        limit *= 10;
    }
    return digits;
}

static void plan_columns(struct quick *quick)
{
    const struct sheet *sheet = quick->sheet;
    size_t i;

    for (i = 0; i < sheet->columns; i++) {
        struct quick_column *column = &quick->columns[i];
        int field = sheet->field_of[i];

        *column = (struct quick_column){0};
        if (field < 0)
            continue;
        column->field = &sheet->schema->fields[field];
        column->known = &sheet->known[field];
        column->digits = sure_digits(column->field);
    }
    quick->counted = 0;
    for (i = 0; i < TALLY_COUNT; i++) {
        struct quick_column *column;

        if (sheet->counted[i] < 0 || sheet->column_of[sheet->counted[i]] < 0)
            continue;
        column = &quick->columns[sheet->column_of[sheet->counted[i]]];
        column->counts = quick->counts[i];
        column->digits = 0; /* its value is looked up in any case */
        quick->counted_columns[quick->counted++] = column;
    }
}

/* Cells of neighbours in file and layout are one piece. */
static void add_cell(struct quick *quick, struct quick_piece *pieces, size_t column,
                     size_t *constant)
{
    const struct buffer *constants = &quick->constants;
    struct quick_piece *last = quick->piece_count == 0 ? NULL : &pieces[quick->piece_count - 1];

    if (last != NULL && last->last + 1 == column && constants->len == *constant + 1) {
        last->last = column;
        quick->constants.len--; /* the comma between them comes with them */
        return;
    }
    pieces[quick->piece_count++] =
        (struct quick_piece){*constant, constants->len - *constant, column, column};
    *constant = constants->len;
}

static void plan_row(struct quick *quick)
{
    const struct sheet *sheet = quick->sheet;
    const struct layout *layout = sheet->layout;
    struct quick_piece *pieces = quick->pieces;
    size_t i, constant = 0;

    buffer_clear(&quick->constants);
    quick->piece_count = 0;
    for (i = 0; i < layout->count && pieces != NULL; i++) {
        int field = layout->fields[i];

        if (i > 0)
            buffer_byte(&quick->constants, ',');
        if (field >= 0 && sheet->column_of[field] >= 0)
            add_cell(quick, pieces, (size_t)sheet->column_of[field], &constant);
        else if (field >= 0 && sheet->filled[field] != NULL)
            text_csv_cell(&quick->constants, sheet->filled[field], strlen(sheet->filled[field]));
    }
    buffer_byte(&quick->constants, '\n');
    quick->tail = constant;
    quick->as_it_is = quick->piece_count == 1 && constant == 0 && quick->constants.len == 1 &&
                      quick->pieces[0].first == 0 && quick->pieces[0].last + 1 == sheet->columns;
    quick->no_empty |= layout->count == 1;
}

int quick_open(struct quick *quick, const struct sheet *sheet, uint64_t max_row_bytes,
               struct cause *cause)
{
    void *grown;

    quick->sheet = sheet;
    quick->max_row_bytes = max_row_bytes;
    if (quick->column_cap < sheet->columns) {
        grown = realloc(quick->columns, sheet->columns * sizeof *quick->columns);
        if (grown == NULL)
            return cause_memory(cause);
        quick->columns = grown;
        quick->column_cap = sheet->columns;
    }
    quick->no_empty = sheet->columns == 1;
    if (sheet->layout == NULL) {
        plan_columns(quick);
        return 0;
    }
    if (quick->pieces == NULL || quick->piece_cap < sheet->layout->count) {
        grown = realloc(quick->pieces, (sheet->layout->count + 1) * sizeof *quick->pieces);
        if (grown == NULL)
            return cause_memory(cause);
        quick->pieces = grown;
        quick->piece_cap = sheet->layout->count;
    }
    plan_columns(quick);
    plan_row(quick);
    return buffer_failed(&quick->constants) ? cause_memory(cause) : 0;
}

void quick_close(struct quick *quick)
{
    free(quick->columns);
    free(quick->pieces);
    buffer_free(&quick->constants);
    *quick = (struct quick){0};
}

/* ---- a cell ------------------------------------------------------------------------------------
 */

/* A number without sign and exponent that surely fits: returns what follows it, or NULL. */
static inline const char *pass_number(const struct quick_column *column, const char *at)
{
    uint64_t marks = not_digits(load(at));
    const char *end;
    size_t whole;

    if (marks == 0)
        return NULL;
    whole = first_mark(marks);
    if (whole == 0 || whole > column->digits)
        return NULL;
    if (at[whole] != '.')
        return at + whole;
    if (column->field->type != FIELD_NUMBER)
        return NULL;
    marks &= marks - 1;
    end = at;
    while (marks == 0) {
        end += WORD;
        marks = not_digits(load(end));
    }
    end += first_mark(marks);
    return end == at + whole + 1 ? NULL : end;
}

/* The comma, line feed or NUL that ends the cell. */
static inline const char *find_end(const char *at)
{
    for (;; at += WORD) {
        uint64_t word = load(at);
        uint64_t marks = zeros(word) | zeros(word ^ (EACH * ',')) | zeros(word ^ (EACH * '\n'));

        if (marks != 0)
            return at + first_mark(marks);
    }
}

/* What a cell may hold without a quote around it. */
static bool is_plain(const char *text, size_t len)
{
    return memchr(text, '"', len) == NULL && memchr(text, '\r', len) == NULL &&
           text_invalid_utf8(text, len) == len;
}

/* The rows that were passed since the last time, by the values of the columns that are counted. */
static int count_rows(struct quick *quick, struct tally *tally, struct cause *cause)
{
    const struct sheet *sheet = quick->sheet;
    uint64_t passed = quick->uncounted;
    size_t by, place;

    quick->uncounted = 0;
    if (passed == 0 || tally == NULL)
        return 0;
    tally->rows += passed;
    for (by = 0; by < TALLY_COUNT; by++) {
        struct counter *counter = &tally->by[by];
        int field = sheet->counted[by];
        uint64_t *counts = quick->counts[by];

        if (field < 0)
            continue;
        if (sheet->column_of[field] < 0) {
            const char *filled = sheet->filled[field] == NULL ? "" : sheet->filled[field];

            if (counter_add(counter, filled, strlen(filled), passed) < 0)
                return cause_memory(cause);
            continue;
        }
        for (place = 0; place <= KNOWN_PLACES; place++) {
            const struct known_value *value = &sheet->known[field].values[place];
            bool empty = place == KNOWN_PLACES;

            if (counts[place] > 0 && counter_add(counter, empty ? "" : value->text,
                                                 empty ? 0 : value->len, counts[place]) < 0)
                return cause_memory(cause);
            counts[place] = 0;
        }
    }
    return 0;
}

/* A mask of the first `len` bytes of a word. */
static uint64_t first_bytes(size_t len)
{
    return len >= WORD ? UINT64_MAX : (UINT64_C(1) << (8 * len)) - 1;
}

static void remember(struct quick_column *column, size_t len)
{
    column->again = len <= 2 * WORD ? len : 0;
    column->again_place = column->place;
    column->mask[0] = first_bytes(len);
    column->mask[1] = len > WORD ? first_bytes(len - WORD) : 0;
    column->bytes[0] = load(column->start) & column->mask[0];
    column->bytes[1] = load(column->start + WORD) & column->mask[1];
}

/* The value of the row before, once more? */
static inline bool is_again(const struct quick_column *column, const char *at, char delimiter)
{
    return column->again > 0 && at[column->again] == delimiter &&
           (((load(at) ^ column->bytes[0]) & column->mask[0]) |
            ((load(at + WORD) ^ column->bytes[1]) & column->mask[1])) == 0;
}

/* Any other value: known to be good, or found to be. 1: it is; 0: let others say; -1. */
static int pass_value(struct quick *quick, struct quick_column *column, struct tally *tally,
                      struct cause *cause)
{
    const char *text = column->start;
    size_t len = (size_t)(column->end - text);
    struct known *known = column->known;

    column->place = KNOWN_PLACES;
    if (len == 0 && quick->no_empty)
        return 0;
    if (known_fits(len)) {
        column->place = known_place(text, len);
        if (known != NULL && known_holds(known, column->place, text, len)) {
            remember(column, len);
            return 1;
        }
    } else if (len > 0 && column->counts != NULL) {
        return 0;
    }
    if (!is_plain(text, len))
        return 0;
    if (known == NULL) /* a column that is dropped */
        return 1;
    if (field_check(column->field, text, len, NULL) != FIELD_FITS)
        return 0;
    if (!known_fits(len) || (column->field->type == FIELD_NUMBER && column->counts == NULL))
        return 1;
    if (column->counts != NULL && column->counts[column->place] > 0 &&
        count_rows(quick, tally, cause) < 0)
        return -1;
    known_take(known, column->place, text, len);
    remember(column, len);
    return 1;
}

/* ---- a row -------------------------------------------------------------------------------------
 */

/* 1: *at is behind the row; 0: it is not beyond doubt, or not whole; -1. */
static int pass_row(struct quick *quick, const char **at, struct tally *tally, struct cause *cause)
{
    struct quick_column *column = quick->columns, *last = column + quick->sheet->columns - 1;
    const char *p = *at, *end;
    char delimiter = ',';
    int passed;

    for (;; column++) {
        if (column == last)
            delimiter = '\n';
        column->start = p;
        end = column->digits > 0 ? pass_number(column, p) : NULL;
        if (end != NULL && *end == delimiter) {
            column->end = end;
        } else if (is_again(column, p, delimiter)) {
            end = column->end = p + column->again;
            column->place = column->again_place;
        } else {
            end = find_end(p);
            if (*end != delimiter)
                return 0;
            column->end = end - (column == last && end > p && end[-1] == '\r');
            passed = pass_value(quick, column, tally, cause);
            if (passed <= 0)
                return passed;
        }
        p = end + 1;
        if (column == last)
            break;
    }
    if ((uint64_t)(p - *at) > quick->max_row_bytes)
        return 0;
    *at = p;
    return 1;
}

static void write_row(const struct quick *quick, struct buffer *out)
{
    const char *constants = quick->constants.data;
    size_t i;

    for (i = 0; i < quick->piece_count; i++) {
        const struct quick_piece *piece = &quick->pieces[i];
        const char *start = quick->columns[piece->first].start;

        buffer_append(out, constants + piece->constant, piece->constant_len);
        buffer_append(out, start, (size_t)(quick->columns[piece->last].end - start));
    }
    buffer_append(out, constants + quick->tail, quick->constants.len - quick->tail);
}

static void note_counts(struct quick *quick)
{
    size_t i;

    quick->uncounted++;
    for (i = 0; i < quick->counted; i++)
        quick->counted_columns[i]->counts[quick->counted_columns[i]->place]++;
}

ptrdiff_t quick_rows(struct quick *quick, const char *text, size_t len, struct buffer *out,
                     struct tally *tally, uint64_t *rows, struct cause *cause)
{
    const char *at = text, *row, *as_it_is = text;
    int passed = 0;
    size_t i;

    /* Others have been at the table of known values. */
    for (i = 0; i < quick->sheet->columns; i++)
        quick->columns[i].again = 0;

    while (at < text + len) {
        row = at;
        passed = pass_row(quick, &at, tally, cause);
        if (passed <= 0)
            break;
        ++*rows;
        if (out == NULL)
            continue;
        note_counts(quick);
        if (quick->as_it_is && at[-2] != '\r')
            continue;
        buffer_append(out, as_it_is, quick->as_it_is ? (size_t)(row - as_it_is) : 0);
        write_row(quick, out);
        as_it_is = at;
    }
    if (out != NULL && quick->as_it_is)
        buffer_append(out, as_it_is, (size_t)(at - as_it_is));
    if (passed < 0 || count_rows(quick, tally, cause) < 0)
        return -1;
    return at - text;
}
