#include "csv/csv_reader.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/escape.h"
#include "base/vector.h"

#define READ_SIZE (256 * 1024)

struct window {
    char *data; /* owned; CSV_READER_ZEROS more bytes than cap */
    size_t cap;
};

struct csv_reader {
    uint64_t max_row_bytes;
    size_t max_columns;
    bool only_libcsv;

    struct window window, spare; /* spare: the window before this one, reused for the next one */
    size_t pos, end;             /* in window.data: [0, end) is buffered, [0, pos) is handed out */
    size_t consumed;             /* end of the bytes that csv_reader_consumed has returned */
    size_t scanned;              /* [pos, scanned) has no LF */
    uint64_t offset;             /* offset of window.data[0] in the file */
    uint64_t line;               /* line number of the byte at pos */
    bool finished;               /* no more bytes will come */
    bool stopped;                /* a row was too long: no rows follow */

    struct cell *cells;
    size_t cell_cap;
    size_t cell_count; /* may exceed max_columns, the number of cells stored */

    struct csv_parser csv;
    bool csv_fresh;         /* csv stands between two records, as after csv_init */
    struct buffer texts;    /* cells that libcsv gave, a comma after each */
    bool row_done;          /* libcsv called on_row */
    uint64_t breaks;        /* LFs in the record before the line that libcsv parses now */
    uint64_t quoted_breaks; /* LFs of breaks inside cells that have ended */
    bool out_of_memory;
};

/* The bytes of a record in the window, with the line end. */
struct record {
    size_t start, end;
    bool whole; /* false if it goes on behind the buffered bytes */
};

/* Tell libcsv that no byte is a blank: it strips blanks, but values are never changed. */
static int no_blanks(unsigned char byte)
{
    (void)byte;
    return 0;
}

struct csv_reader *csv_reader_open(uint64_t max_row_bytes, size_t max_columns)
{
    struct csv_reader *reader = malloc(sizeof *reader);

    if (reader == NULL)
        return NULL;
    *reader =
        (struct csv_reader){.max_row_bytes = max_row_bytes, .max_columns = max_columns, .line = 1};
    return reader;
}

void csv_reader_close(struct csv_reader *reader)
{
    if (reader == NULL)
        return;
    csv_free(&reader->csv);
    buffer_free(&reader->texts);
    free(reader->cells);
    free(reader->spare.data);
    free(reader->window.data);
    free(reader);
}

void csv_reader_reset(struct csv_reader *reader)
{
    reader->pos = reader->end = reader->consumed = reader->scanned = 0;
    reader->offset = 0;
    reader->line = 1;
    reader->finished = reader->stopped = false;
}

void csv_reader_use_reference(struct csv_reader *reader, bool only_libcsv)
{
    reader->only_libcsv = only_libcsv;
}

/* ---- the window --------------------------------------------------------------------------- */

char *csv_reader_space(struct csv_reader *reader, size_t *ret_len)
{
    const size_t rest = reader->end - reader->pos, need = rest + READ_SIZE;
    struct window now = reader->window, *next = reader->pos == 0 ? &reader->window : &reader->spare;

    if (need > next->cap) {
        char *data = realloc(next->data, need + need / 2 + CSV_READER_ZEROS);

        if (data == NULL)
            return NULL;
        next->data = data;
        next->cap = need + need / 2;
    }
    if (reader->pos > 0) {
        memcpy(next->data, now.data + reader->pos, rest);
        reader->window = *next;
        reader->spare = now;
        reader->offset += reader->pos;
        reader->end = rest;
        reader->scanned = reader->scanned > reader->pos ? reader->scanned - reader->pos : 0;
        reader->pos = reader->consumed = 0;
    }
    *ret_len = READ_SIZE;
    return reader->window.data + reader->end;
}

void csv_reader_filled(struct csv_reader *reader, size_t len)
{
    reader->end += len;
    memset(reader->window.data + reader->end, 0, CSV_READER_ZEROS);
}

void csv_reader_finish(struct csv_reader *reader)
{
    reader->finished = true;
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

const char *csv_reader_peek(const struct csv_reader *reader, size_t *ret_len)
{
    *ret_len = reader->end - reader->pos;
    if (reader->only_libcsv || reader->stopped || *ret_len == 0)
        return NULL;
    return reader->window.data + reader->pos;
}

void csv_reader_advance(struct csv_reader *reader, size_t len, uint64_t lines)
{
    reader->pos += len;
    reader->line += lines;
}

size_t csv_reader_skip(struct csv_reader *reader, size_t len)
{
    size_t n = reader->end - reader->pos < len ? reader->end - reader->pos : len;

    if (n > 0)
        reader->line +=
            count_lines(reader->window.data + reader->pos, reader->window.data + reader->pos + n);
    reader->pos += n;
    return n;
}

uint64_t csv_reader_line(const struct csv_reader *reader)
{
    return reader->line;
}

const char *csv_reader_consumed(struct csv_reader *reader, size_t *ret_len)
{
    const char *from = reader->window.data == NULL ? "" : reader->window.data + reader->consumed;

    *ret_len = reader->pos - reader->consumed;
    reader->consumed = reader->pos;
    return from;
}

const char *csv_reader_rest(const struct csv_reader *reader, size_t *ret_len)
{
    *ret_len = reader->end - reader->pos;
    return reader->window.data == NULL ? "" : reader->window.data + reader->pos;
}

static int add_cell(struct csv_reader *reader, const char *text, size_t len)
{
    if (reader->cell_count++ >= reader->max_columns)
        return 0;
    if (vector_grow(&reader->cells, sizeof *reader->cells, reader->cell_count - 1,
                    &reader->cell_cap) < 0)
        return -1;
    reader->cells[reader->cell_count - 1] = (struct cell){text, len};
    return 0;
}

/* Set the fault of `row`, and the byte to blame: data[at], on this line. */
static void blame(const struct csv_reader *reader, struct row *row, enum row_fault fault,
                  uint64_t line, size_t at)
{
    row->fault = fault;
    row->fault_line = line;
    row->fault_offset = reader->offset + at;
}

/* Find a byte that no line may hold. `len` is without the LF, *ret_at the byte to blame. */
static enum row_fault check_bytes(const char *line, size_t len, bool ended, size_t *ret_at)
{
    const char *hit = memchr(line, '\0', len);
    size_t bad;

    if (hit != NULL) {
        *ret_at = (size_t)(hit - line);
        return ROW_NUL;
    }
    bad = escape_invalid_utf8(line, len);
    if (bad < len) {
        *ret_at = bad;
        return ROW_NOT_UTF8;
    }
    hit = memchr(line, '\r', len);
    if (hit != NULL && (!ended || hit != line + len - 1)) {
        *ret_at = (size_t)(hit - line);
        return ROW_LONE_CR;
    }
    return ROW_SOUND;
}

/* Split a line without a quote at its commas. `content` is its length without the line end. */
static int read_line(struct csv_reader *reader, struct row *row, const struct record *record,
                     size_t content)
{
    const char *cell = reader->window.data + record->start, *end = cell + content, *comma;
    const size_t len = record->end - record->start - row->ended;
    size_t at = 0;
    enum row_fault fault = check_bytes(cell, len, row->ended, &at);

    row->plain = true;
    if (fault != ROW_SOUND) {
        blame(reader, row, fault, reader->line, record->start + at);
        return 0;
    }
    while ((comma = memchr(cell, ',', (size_t)(end - cell))) != NULL) {
        if (add_cell(reader, cell, (size_t)(comma - cell)) < 0)
            return -1;
        cell = comma + 1;
    }
    return add_cell(reader, cell, (size_t)(end - cell));
}

/* ---- a record with quotes, through libcsv ------------------------------------------------- */

/* Reallocate libcsv's buffer for a cell, with the padding that buffer_append_padded needs. */
static void *reallocate(void *old, size_t size)
{
    return realloc(old, size + BUFFER_PADDING);
}

static void on_cell(void *text, size_t len, void *context)
{
    struct csv_reader *reader = context;
    struct buffer *texts = &reader->texts;

    /* A record has line breaks inside cells only, so those met so far belong to cells that ended. */
    reader->quoted_breaks = reader->breaks;
    if (reader->cell_count < reader->max_columns) {
        buffer_append_padded(texts, text, len);
        buffer_byte(texts, ',');
    }
    /* The text may still move: place_cells sets the pointer when the record is whole. */
    if (add_cell(reader, NULL, len) < 0)
        reader->out_of_memory = true;
}

static void on_row(int end, void *context)
{
    struct csv_reader *reader = context;

    (void)end;
    reader->row_done = true;
}

/* Point the cells at their texts, which no longer move, and end the texts with an LF and zeros. */
static int place_cells(struct csv_reader *reader)
{
    struct buffer *texts = &reader->texts;
    const char *text;
    size_t i;

    if (buffer_reserve(texts, CSV_READER_ZEROS) < 0)
        return -1;
    text = texts->data;
    memset(texts->data + texts->len, 0, CSV_READER_ZEROS);
    for (i = 0; i < reader->cell_count && i < reader->max_columns; i++) {
        reader->cells[i].text = text;
        text += reader->cells[i].len + 1;
    }
    if (texts->len > 0)
        texts->data[texts->len - 1] = '\n';
    return 0;
}

static int start_csv(struct csv_reader *reader)
{
    if (reader->csv_fresh)
        return 0;
    csv_free(&reader->csv);
    if (csv_init(&reader->csv, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
        return -1;
    csv_set_space_func(&reader->csv, no_blanks);
    csv_set_realloc_func(&reader->csv, reallocate);
    csv_set_blk_size(&reader->csv, 4096);
    return 0;
}

/* Parse the line [from, to) of a record; `at_end` is true for the file's last line. Sets row_done if
 * the record ends with this line, and the fault of `row`. */
static int parse_quoted_line(struct csv_reader *reader, struct row *row, size_t from, size_t to,
                             bool at_end)
{
    const uint64_t line = reader->line + reader->breaks;
    const char *text = reader->window.data + from;
    size_t len = to - from, at = 0;
    enum row_fault fault = check_bytes(text, len - row->ended, row->ended, &at);
    uint64_t opened;

    if (fault == ROW_SOUND) {
        at = csv_parse(&reader->csv, text, len, on_cell, on_row, reader);
        if (at < len) {
            reader->out_of_memory |= csv_error(&reader->csv) != CSV_EPARSE;
            fault = ROW_STRAY_QUOTE;
        } else if (at_end && !reader->row_done &&
                   csv_fini(&reader->csv, on_cell, on_row, reader) != 0) {
            fault = ROW_UNTERMINATED;
        }
    }
    if (reader->out_of_memory || buffer_failed(&reader->texts))
        return -1;
    opened = reader->line + reader->quoted_breaks;
    if (fault != ROW_SOUND)
        blame(reader, row, fault, fault == ROW_UNTERMINATED ? opened : line, from + at);
    if (fault == ROW_STRAY_QUOTE && opened < line)
        row->opened_line = opened;
    return 0;
}

/* Add the next line to the record. Return false when its end is not buffered. */
static bool add_line(const struct csv_reader *reader, struct record *record)
{
    const size_t from = record->end;
    const char *lf =
        from < reader->end ? memchr(reader->window.data + from, '\n', reader->end - from) : NULL;

    if (lf == NULL && !reader->finished)
        return false;
    record->end = lf != NULL ? (size_t)(lf - reader->window.data) + 1 : reader->end;
    return true;
}

/* Parse a record with quotes, which begins with the line that `record` holds and grows as long as a
 * quote is open. */
static int read_quoted(struct csv_reader *reader, struct row *row, struct record *record)
{
    size_t from = record->start;

    buffer_clear(&reader->texts);
    reader->breaks = reader->quoted_breaks = 0;
    reader->row_done = reader->out_of_memory = false;
    if (start_csv(reader) < 0)
        return -1;
    reader->csv_fresh = false;
    for (;;) {
        const bool at_end = reader->finished && record->end == reader->end;

        row->ended = reader->window.data[record->end - 1] == '\n';
        if (parse_quoted_line(reader, row, from, record->end, at_end) < 0)
            return -1;
        if (row->fault != ROW_SOUND || reader->row_done || at_end)
            break;
        from = record->end;
        reader->breaks++;
        if (!add_line(reader, record)) {
            record->whole = false;
            return 0;
        }
    }
    reader->csv_fresh = row->fault == ROW_SOUND;
    return place_cells(reader);
}

/* ---- rows --------------------------------------------------------------------------------- */

/*
 * Stop after a row of more than max_row_bytes. The fault follows from its first bytes, not from how
 * many of them are buffered.
 */
static void stop_at(struct csv_reader *reader, struct row *row, size_t start)
{
    const char *data = reader->window.data;
    const char *nul = memchr(data + start, '\0', (size_t)reader->max_row_bytes + 1);

    blame(reader, row, nul != NULL ? ROW_NUL : ROW_TOO_LONG, reader->line,
          nul != NULL ? (size_t)(nul - data) : start);
    row->opened_line = 0;
    row->last = true;
    reader->stopped = true;
}

/* Return the physical line at pos. */
static struct record first_line(struct csv_reader *reader)
{
    const size_t pos = reader->pos, scanned = reader->scanned;
    struct record record = {.start = pos, .end = scanned > pos ? scanned : pos};

    record.whole = add_line(reader, &record);
    if (!record.whole)
        reader->scanned = reader->end;
    return record;
}

static int read_record(struct csv_reader *reader, struct row *row, struct record *record)
{
    const char *line = reader->window.data + record->start;
    size_t content = record->end - record->start;

    row->ended = line[content - 1] == '\n';
    content -= row->ended;
    if (content > 0 && row->ended && line[content - 1] == '\r')
        content--;
    if (content == 0) {
        row->fault = ROW_BLANK;
        return 0;
    }
    if (!reader->only_libcsv && memchr(line, '"', content) == NULL)
        return read_line(reader, row, record, content);
    return read_quoted(reader, row, record);
}

/* Apply the limits, set what `row` lends, and go on to the next record. */
static void hand_out(struct csv_reader *reader, struct row *row, const struct record *record)
{
    row->raw = reader->window.data + record->start;
    row->raw_len = record->end - record->start;
    row->cells = reader->cells;
    row->count = reader->cell_count;
    if (row->raw_len > reader->max_row_bytes) {
        stop_at(reader, row, record->start);
    } else if (row->fault == ROW_SOUND && reader->cell_count > reader->max_columns) {
        blame(reader, row, ROW_TOO_MANY_COLUMNS, reader->line, record->start);
    } else if (row->fault == ROW_SOUND && !row->plain && !reader->only_libcsv) {
        row->joined = reader->texts.data;
        row->joined_len = reader->texts.len;
    }
    reader->line += count_lines(row->raw, row->raw + row->raw_len);
    reader->pos = record->end;
}

int csv_reader_next(struct csv_reader *reader, struct row *row, struct cause *cause)
{
    struct record record;

    if (reader->stopped)
        reader->pos = reader->end;
    if (reader->stopped && !reader->finished)
        return CSV_READER_MORE;
    if (reader->finished && reader->pos == reader->end)
        return CSV_READER_END;
    *row = (struct row){.line = reader->line, .fault_line = reader->line};
    reader->cell_count = 0;
    record = first_line(reader);
    if (record.whole && read_record(reader, row, &record) < 0)
        return cause_memory(cause);
    if (!record.whole) {
        if (reader->end - record.start <= reader->max_row_bytes)
            return CSV_READER_MORE;
        /* The record is too long, whatever follows. */
        record.end = reader->end;
        reader->cell_count = 0;
        row->ended = false;
    }
    hand_out(reader, row, &record);
    return CSV_READER_ROW;
}
