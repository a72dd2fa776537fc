#include "csv/csv_reader.h"

#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/escape.h"
#include "base/vector.h"

#define READ_SIZE (256 * 1024)
#define COPY      16

struct csv_reader {
    uint64_t max_row_bytes;
    size_t max_columns;
    bool only_libcsv;

    char *data; /* a window of the file: [0, end) is buffered, [0, pos) handed out */
    size_t cap, pos, end;
    char *spare; /* the window before, and the next one */
    size_t spare_cap;
    size_t consumed; /* where csv_reader_consumed stands */
    size_t scanned;  /* no LF in [pos, scanned): not searched again */
    uint64_t offset; /* of data[0] in the file */
    uint64_t line;   /* of data[pos] */
    bool finished;   /* no more bytes will come */
    bool dead;       /* after ROW_TOO_LONG */

    struct cell *cells;
    size_t cell_cap;
    size_t cell_count; /* may exceed max_columns; only so many are stored */

    struct csv_parser csv;
    bool csv_ready;
    bool csv_fresh;         /* as csv_init leaves it: it stands between two records */
    struct buffer texts;    /* the cells that libcsv gave, each with a comma behind it */
    bool row_done;          /* libcsv's end-of-row callback came */
    uint64_t breaks;        /* LFs of this record before the line that libcsv is reading */
    uint64_t quoted_breaks; /* those of them that are inside cells that are whole */
    bool out_of_memory;
};

/* With a blank function that knows no blanks libcsv keeps them: values are never changed. */
static int no_blanks(unsigned char byte)
{
    (void)byte;
    return 0;
}

struct csv_reader *csv_reader_open(uint64_t max_row_bytes, size_t max_columns)
{
    struct csv_reader *rows = calloc(1, sizeof *rows);

    if (rows == NULL)
        return NULL;
    rows->max_row_bytes = max_row_bytes;
    rows->max_columns = max_columns;
    rows->line = 1;
    return rows;
}

void csv_reader_close(struct csv_reader *rows)
{
    if (rows == NULL)
        return;
    if (rows->csv_ready)
        csv_free(&rows->csv);
    buffer_free(&rows->texts);
    free(rows->cells);
    free(rows->spare);
    free(rows->data);
    free(rows);
}

void csv_reader_reset(struct csv_reader *rows)
{
    rows->pos = rows->end = rows->consumed = rows->scanned = 0;
    rows->offset = 0;
    rows->line = 1;
    rows->finished = rows->dead = false;
}

void csv_reader_use_reference(struct csv_reader *rows, bool only_libcsv)
{
    rows->only_libcsv = only_libcsv;
}

static int reserve(char **data, size_t *cap, size_t need)
{
    char *grown;

    if (need <= *cap)
        return 0;
    need += need / 2;
    grown = realloc(*data, need + CSV_READER_ZEROS);
    if (grown == NULL)
        return -1;
    *data = grown;
    *cap = need;
    return 0;
}

char *csv_reader_space(struct csv_reader *rows, size_t *ret_len)
{
    size_t rest = rows->end - rows->pos, cap = rows->cap;
    char *data = rows->data;

    if (rows->pos == 0) {
        if (reserve(&rows->data, &rows->cap, rest + READ_SIZE) < 0)
            return NULL;
    } else {
        if (reserve(&rows->spare, &rows->spare_cap, rest + READ_SIZE) < 0)
            return NULL;
        memcpy(rows->spare, data + rows->pos, rest);
        rows->data = rows->spare;
        rows->cap = rows->spare_cap;
        rows->spare = data;
        rows->spare_cap = cap;
        rows->offset += rows->pos;
        rows->end = rest;
        rows->scanned = rows->scanned > rows->pos ? rows->scanned - rows->pos : 0;
        rows->pos = rows->consumed = 0;
    }
    *ret_len = READ_SIZE;
    return rows->data + rows->end;
}

void csv_reader_filled(struct csv_reader *rows, size_t len)
{
    rows->end += len;
    memset(rows->data + rows->end, 0, CSV_READER_ZEROS);
}

void csv_reader_finish(struct csv_reader *rows)
{
    rows->finished = true;
}

static int cell_add(struct csv_reader *rows, const char *text, size_t len)
{
    if (rows->cell_count++ >= rows->max_columns)
        return 0;
    if (vector_grow(&rows->cells, sizeof *rows->cells, rows->cell_count - 1, &rows->cell_cap) < 0)
        return -1;
    rows->cells[rows->cell_count - 1] = (struct cell){text, len};
    return 0;
}

/* The quick way: a line without a quote. `len` is without the line end. */
static int split_line(struct csv_reader *rows, const char *line, size_t len)
{
    const char *comma, *end = line + len;

    while ((comma = memchr(line, ',', (size_t)(end - line))) != NULL) {
        if (cell_add(rows, line, (size_t)(comma - line)) < 0)
            return -1;
        line = comma + 1;
    }
    return cell_add(rows, line, (size_t)(end - line));
}

/* libcsv's buffer for a cell, with COPY bytes that can be read behind it. */
static void *reallocate(void *old, size_t size)
{
    return realloc(old, size + COPY);
}

/* For few bytes a copy of fixed size, which needs no call. */
static inline void copy_cell(char *to, const char *from, size_t len)
{
    if (len <= COPY)
        memcpy(to, from, COPY);
    else
        memcpy(to, from, len);
}

static void on_cell(void *text, size_t len, void *context)
{
    struct csv_reader *rows = context;
    struct buffer *texts = &rows->texts;

    /* A record goes on behind a line's end only within a cell; a cell that ends has all before. */
    rows->quoted_breaks = rows->breaks;
    /* The text may still move: its place is filled in when the record is whole. */
    if (rows->cell_count < rows->max_columns &&
        (texts->cap - texts->len > len + COPY || buffer_reserve(texts, len + 1 + COPY) == 0)) {
        copy_cell(texts->data + texts->len, text, len);
        texts->data[texts->len + len] = ',';
        texts->len += len + 1;
    }
    if (cell_add(rows, NULL, len) < 0)
        rows->out_of_memory = true;
}

static void on_row(int end, void *context)
{
    struct csv_reader *rows = context;

    (void)end;
    rows->row_done = true;
}

/* The record is whole: its texts stay where they are now. */
static int place_cells(struct csv_reader *rows)
{
    const char *text;
    size_t i, stored = rows->cell_count < rows->max_columns ? rows->cell_count : rows->max_columns;

    if (buffer_reserve(&rows->texts, CSV_READER_ZEROS) < 0)
        return -1;
    text = rows->texts.data;
    memset(rows->texts.data + rows->texts.len, 0, CSV_READER_ZEROS);

    for (i = 0; i < stored; i++) {
        rows->cells[i].text = text;
        text += rows->cells[i].len + 1;
    }
    if (rows->texts.len > 0)
        rows->texts.data[rows->texts.len - 1] = '\n';
    return 0;
}

static int start_csv(struct csv_reader *rows)
{
    bool fresh = rows->csv_fresh;

    rows->csv_fresh = false;
    if (fresh)
        return 0;
    if (rows->csv_ready)
        csv_free(&rows->csv);
    rows->csv_ready = false;
    if (csv_init(&rows->csv, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
        return -1;
    csv_set_space_func(&rows->csv, no_blanks);
    csv_set_realloc_func(&rows->csv, reallocate);
    csv_set_blk_size(&rows->csv, 4096);
    rows->csv_ready = true;
    return 0;
}

/* What no line may hold. Sets *ret_offset to the byte to blame; `len` is without the LF. */
static enum row_fault check_bytes(const char *line, size_t len, bool ended, size_t *ret_offset)
{
    const char *hit = memchr(line, '\0', len);
    size_t bad;

    if (hit != NULL) {
        *ret_offset = (size_t)(hit - line);
        return ROW_NUL;
    }
    bad = escape_invalid_utf8(line, len);
    if (bad < len) {
        *ret_offset = bad;
        return ROW_NOT_UTF8;
    }
    hit = memchr(line, '\r', len);
    if (hit != NULL && (!ended || hit != line + len - 1)) {
        *ret_offset = (size_t)(hit - line);
        return ROW_LONE_CR;
    }
    return ROW_SOUND;
}

/* One physical line of a record with quotes in it, through libcsv. Sets row_done when the record
 * ends with it. */
static enum row_fault feed_csv(struct csv_reader *rows, const char *line, size_t len, bool last,
                               size_t *ret_offset)
{
    size_t done = csv_parse(&rows->csv, line, len, on_cell, on_row, rows);

    if (done < len) {
        if (csv_error(&rows->csv) != CSV_EPARSE)
            rows->out_of_memory = true;
        *ret_offset = done;
        return ROW_STRAY_QUOTE;
    }
    if (last && !rows->row_done && csv_fini(&rows->csv, on_cell, on_row, rows) != 0)
        return ROW_UNTERMINATED;
    return ROW_SOUND;
}

static void blame(const struct csv_reader *rows, struct row *row, enum row_fault fault,
                  uint64_t line, size_t at)
{
    row->fault = fault;
    row->fault_line = line;
    row->fault_offset = rows->offset + at;
}

/* The record starts at pos and its first line's content is [pos, content), next line at `next`. */
static int read_quoted(struct csv_reader *rows, struct row *row, size_t start_of_line, size_t *next,
                       bool *ret_whole)
{
    uint64_t line = rows->line, opened;
    size_t from = start_of_line, to = *next, at = 0;
    enum row_fault fault;

    buffer_clear(&rows->texts);
    rows->breaks = rows->quoted_breaks = 0;
    rows->row_done = false;
    if (start_csv(rows) < 0)
        return -1;
    *ret_whole = true;
    for (;;) {
        bool ended = to > from && rows->data[to - 1] == '\n';
        bool last = rows->finished && to == rows->end && !ended;

        fault = check_bytes(rows->data + from, to - from - ended, ended, &at);
        if (fault == ROW_SOUND)
            fault = feed_csv(rows, rows->data + from, to - from, last, &at);
        opened = rows->line + rows->quoted_breaks;
        if (rows->out_of_memory || buffer_failed(&rows->texts))
            return -1;
        *next = to;
        row->ended = ended;
        if (fault == ROW_UNTERMINATED) {
            blame(rows, row, fault, rows->line + rows->quoted_breaks, from);
            return 0;
        }
        if (fault != ROW_SOUND) {
            blame(rows, row, fault, line, from + at);
            row->opened_line = fault == ROW_STRAY_QUOTE && opened < line ? opened : 0;
            return 0;
        }
        if (rows->row_done) {
            rows->csv_fresh = true;
            return 0;
        }
        /* The quote is still open: the record goes on with the next line, if that is there. */
        if (to == rows->end && rows->finished) {
            fault = csv_fini(&rows->csv, on_cell, on_row, rows) != 0 ? ROW_UNTERMINATED : ROW_SOUND;
            if (fault != ROW_SOUND)
                blame(rows, row, fault, rows->line + rows->quoted_breaks, from);
            return 0;
        }
        from = to;
        line++;
        rows->breaks++;
        if (from < rows->end) {
            const char *lf = memchr(rows->data + from, '\n', rows->end - from);

            if (lf != NULL)
                to = (size_t)(lf - rows->data) + 1;
            else
                to = rows->finished ? rows->end : from;
        }
        if (to == from) {
            *ret_whole = false;
            return 0;
        }
    }
}

/*
 * A row of more than max_row_bytes: nothing is read behind it. What its first bytes hold decides on
 * the fault, not how much of it happens to be here.
 */
static void give_up(struct csv_reader *rows, struct row *row, size_t start)
{
    const char *nul = memchr(rows->data + start, '\0', (size_t)rows->max_row_bytes + 1);

    if (nul != NULL)
        blame(rows, row, ROW_NUL, rows->line, (size_t)(nul - rows->data));
    else
        blame(rows, row, ROW_TOO_LONG, rows->line, start);
    row->last = true;
    rows->dead = true;
}

static int more_or_too_long(struct csv_reader *rows, struct row *row)
{
    size_t start = rows->pos;

    if (rows->end - start <= rows->max_row_bytes)
        return CSV_READER_MORE;
    *row =
        (struct row){.raw = rows->data + start, .raw_len = rows->end - start, .line = rows->line};
    give_up(rows, row, start);
    rows->pos = rows->end;
    return CSV_READER_ROW;
}

static uint64_t count_lines(const char *from, const char *to)
{
    uint64_t count = 0;

    while (from < to && (from = memchr(from, '\n', (size_t)(to - from))) != NULL) {
        count++;
        from++;
    }
    return count;
}

/* The first physical line that begins at pos: its end (behind the LF) or 0 when it is not whole
 * yet. */
static size_t find_line_end(struct csv_reader *rows)
{
    size_t from = rows->scanned > rows->pos ? rows->scanned : rows->pos;
    const char *lf = from < rows->end ? memchr(rows->data + from, '\n', rows->end - from) : NULL;

    if (lf != NULL)
        return (size_t)(lf - rows->data) + 1;
    if (rows->finished)
        return rows->end;
    rows->scanned = rows->end;
    return 0;
}

int csv_reader_next(struct csv_reader *rows, struct row *row, struct cause *cause)
{
    size_t start = rows->pos, next, content, at = 0;
    bool whole = true;

    if (rows->dead) {
        rows->pos = rows->end;
        return rows->finished ? CSV_READER_END : CSV_READER_MORE;
    }
    if (rows->finished && rows->pos == rows->end)
        return CSV_READER_END;
    next = find_line_end(rows);
    if (next == 0)
        return more_or_too_long(rows, row);
    if (next == start)
        return CSV_READER_END;

    *row = (struct row){.line = rows->line, .fault = ROW_SOUND, .fault_line = rows->line};
    rows->cell_count = 0;
    row->ended = rows->data[next - 1] == '\n';
    content = next - row->ended;
    if (content > start && row->ended && rows->data[content - 1] == '\r')
        content--;
    if (!rows->only_libcsv && memchr(rows->data + start, '"', content - start) == NULL) {
        row->plain = true;
        row->fault = check_bytes(rows->data + start, next - row->ended - start, row->ended, &at);
        if (row->fault != ROW_SOUND)
            blame(rows, row, row->fault, rows->line, start + at);
        else if (content == start)
            row->fault = ROW_BLANK;
        else if (split_line(rows, rows->data + start, content - start) < 0)
            return cause_memory(cause);
    } else if (content == start) {
        row->fault = ROW_BLANK;
    } else {
        if (read_quoted(rows, row, start, &next, &whole) < 0)
            return cause_memory(cause);
        if (!whole)
            return more_or_too_long(rows, row);
        if (place_cells(rows) < 0)
            return cause_memory(cause);
    }
    if (next - start > rows->max_row_bytes) {
        give_up(rows, row, start);
    } else if (row->fault == ROW_SOUND && rows->cell_count > rows->max_columns) {
        blame(rows, row, ROW_TOO_MANY_COLUMNS, rows->line, start);
    } else if (row->fault == ROW_SOUND && !row->plain && !rows->only_libcsv) {
        row->joined = rows->texts.data;
        row->joined_len = rows->texts.len;
    }
    row->raw = rows->data + start;
    row->raw_len = next - start;
    row->cells = rows->cells;
    row->count = rows->cell_count;
    rows->line += count_lines(row->raw, row->raw + row->raw_len);
    rows->pos = next;
    return CSV_READER_ROW;
}

const char *csv_reader_peek(const struct csv_reader *rows, size_t *ret_len)
{
    *ret_len = rows->end - rows->pos;
    return rows->only_libcsv || rows->dead || *ret_len == 0 ? NULL : rows->data + rows->pos;
}

void csv_reader_passed(struct csv_reader *rows, size_t len, uint64_t lines)
{
    rows->pos += len;
    rows->line += lines;
}

size_t csv_reader_skip(struct csv_reader *rows, size_t len)
{
    size_t n = rows->end - rows->pos < len ? rows->end - rows->pos : len;

    if (n > 0)
        rows->line += count_lines(rows->data + rows->pos, rows->data + rows->pos + n);
    rows->pos += n;
    return n;
}

uint64_t csv_reader_line(const struct csv_reader *rows)
{
    return rows->line;
}

const char *csv_reader_consumed(struct csv_reader *rows, size_t *ret_len)
{
    const char *from = rows->data == NULL ? "" : rows->data + rows->consumed;

    *ret_len = rows->pos - rows->consumed;
    rows->consumed = rows->pos;
    return from;
}

const char *csv_reader_rest(const struct csv_reader *rows, size_t *ret_len)
{
    *ret_len = rows->end - rows->pos;
    return rows->data == NULL ? "" : rows->data + rows->pos;
}
