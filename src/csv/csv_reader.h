/*
 * csv_reader: split the bytes of a CSV file into rows of cells, with the line numbers that an
 * editor shows.
 *
 *     csv_reader_open
 *     csv_reader_space, csv_reader_filled    hand over the next bytes of the file
 *     csv_reader_finish                      say that no more bytes will come
 *     csv_reader_next                        until CSV_READER_MORE or CSV_READER_END
 *     csv_reader_consumed                    the bytes of the rows handed out, to hash them
 *     csv_reader_close
 *
 * A physical line without a quote is split at its commas. A record with a quote in it is parsed by
 * libcsv in its strict mode; no other module includes libcsv. Both ways give the same cells, byte
 * for byte. A row that is no CSV is handed out with its fault, and reading goes on with the next
 * line; after a row longer than max_row_bytes no rows follow. Memory is bounded by max_row_bytes.
 */
#ifndef PHASESENTINEL_CSV_READER_H
#define PHASESENTINEL_CSV_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"

#define CSV_READER_ZEROS 16 /* bytes after a text that may be read, for loads of whole words */

enum row_fault {
    ROW_SOUND,
    ROW_BLANK,            /* a line without content */
    ROW_NUL,              /* a NUL byte */
    ROW_NOT_UTF8,         /* invalid UTF-8 */
    ROW_LONE_CR,          /* a CR outside quotes that no LF follows */
    ROW_STRAY_QUOTE,      /* a quote inside an unquoted cell, or text after a closing quote */
    ROW_UNTERMINATED,     /* the file ends inside quotes */
    ROW_TOO_LONG,         /* more than max_row_bytes */
    ROW_TOO_MANY_COLUMNS, /* more than max_columns: only the first max_columns cells are stored */
};

struct cell {
    const char *text; /* borrowed until the next call; not NUL-terminated */
    size_t len;
};

struct row {
    const char *raw; /* the bytes of the file, with the line end; borrowed until the next call */
    size_t raw_len;
    uint64_t line; /* line number of the first byte, from 1 */
    const struct cell *cells;
    size_t count;
    /* For a sound row with a quote: its cells, a comma between two and an LF after the last, then
     * CSV_READER_ZEROS zero bytes; borrowed until the next call. NULL for other rows, and with
     * csv_reader_use_reference. */
    const char *joined;
    size_t joined_len;
    bool plain; /* true if raw is the cells, a comma between two, and an optional line end */
    bool ended; /* true if the row has a line end */
    bool last;  /* true if the row is too long: no rows follow */
    enum row_fault fault;
    uint64_t fault_line;   /* ROW_UNTERMINATED: the line where the quote opens */
    uint64_t fault_offset; /* offset in the file of the byte to blame */
    uint64_t opened_line;  /* ROW_STRAY_QUOTE: the earlier line where the cell began, or 0 */
};

enum csv_reader_result {
    CSV_READER_ROW,
    CSV_READER_MORE, /* no whole row is buffered */
    CSV_READER_END,
};

struct csv_reader;

/* Return NULL when memory is out. */
struct csv_reader *csv_reader_open(uint64_t max_row_bytes, size_t max_columns);
void csv_reader_close(struct csv_reader *reader);

/* Prepare the reader for another file. The memory is kept. */
void csv_reader_reset(struct csv_reader *reader);

/* Parse each row with libcsv: the reference that the quicker ways are tested against. */
void csv_reader_use_reference(struct csv_reader *reader, bool only_libcsv);

/* Return room for the next *ret_len bytes of the file, or NULL when memory is out. Ends the life of
 * the texts that csv_reader_next lent. */
char *csv_reader_space(struct csv_reader *reader, size_t *ret_len);
void csv_reader_filled(struct csv_reader *reader, size_t len);
void csv_reader_finish(struct csv_reader *reader);

/* Read the next row. Return an enum csv_reader_result, or -1 when memory is out. */
int csv_reader_next(struct csv_reader *reader, struct row *ret_row, struct cause *cause);

/*
 * Return the buffered bytes from the next row on, followed by at least CSV_READER_ZEROS zero bytes,
 * for a quicker pass than csv_reader_next. Return NULL when there are none, or with
 * csv_reader_use_reference.
 */
const char *csv_reader_peek(const struct csv_reader *reader, size_t *ret_len);

/* Go on after the first `len` bytes that csv_reader_peek gave: whole rows on `lines` lines. */
void csv_reader_advance(struct csv_reader *reader, size_t len, uint64_t lines);

/* Skip up to `len` buffered bytes, counting their lines; they must end at the end of a row. Return
 * how many were skipped. */
size_t csv_reader_skip(struct csv_reader *reader, size_t len);

/* Return the line number of the next byte. */
uint64_t csv_reader_line(const struct csv_reader *reader);

/*
 * Return the bytes handed out since the last call. They stay valid until the second call of
 * csv_reader_space from now, so that another thread can hash them while the next bytes are read.
 */
const char *csv_reader_consumed(struct csv_reader *reader, size_t *ret_len);

/* Return the buffered bytes that are not handed out: an incomplete last row. */
const char *csv_reader_rest(const struct csv_reader *reader, size_t *ret_len);

#endif
