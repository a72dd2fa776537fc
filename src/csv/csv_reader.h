/*
 * rows: CSV bytes in, rows of cells out, with the line numbers an editor shows.
 *
 *     csv_reader_open
 *     until the end: csv_reader_space, read into it, csv_reader_filled; or csv_reader_finish at the
 * end of the file until CSV_READER_MORE or CSV_READER_END: csv_reader_next csv_reader_consumed, for
 * the hash: exactly the bytes of the rows handed out csv_reader_close
 *
 * Physical lines without a quote are split at their commas; a record with a quote in it goes
 * through libcsv (strict), which this module alone includes. Both give the same cells. A row that
 * is no CSV comes out with its fault, and reading goes on at the next line; only ROW_TOO_LONG ends
 * it. Memory is bounded by max_row_bytes.
 */
#ifndef PHASESENTINEL_CSV_READER_H
#define PHASESENTINEL_CSV_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"

#define CSV_READER_ZEROS 16 /* bytes behind text that may be read in words */

enum row_fault {
    ROW_SOUND,
    ROW_BLANK,            /* a line without content */
    ROW_NUL,              /* a NUL byte */
    ROW_NOT_UTF8,         /* invalid UTF-8 */
    ROW_LONE_CR,          /* a CR that is no part of CRLF */
    ROW_STRAY_QUOTE,      /* a quote inside an unquoted cell, or text behind a closing quote */
    ROW_UNTERMINATED,     /* the file ends inside quotes */
    ROW_TOO_LONG,         /* more than max_row_bytes: nothing follows */
    ROW_TOO_MANY_COLUMNS, /* more than max_columns; the cells are not all there */
};

struct cell {
    const char *text; /* borrowed until the next call; not NUL-terminated */
    size_t len;
};

struct row {
    const char *raw; /* as it came, with its line end; borrowed until the next call */
    size_t raw_len;
    uint64_t line; /* of its first byte, from 1 */
    const struct cell *cells;
    size_t count;
    /* Of a sound row with a quote: its cells with commas between them and an LF behind, then
     * CSV_READER_ZEROS zero bytes; borrowed, too. Else, and where the reference is wanted, NULL. */
    const char *joined;
    size_t joined_len;
    bool plain; /* raw is the cells with commas between them and, if ended, an LF or CRLF */
    bool ended; /* it has its line end */
    bool last;  /* too long: nothing is read behind it */
    enum row_fault fault;
    uint64_t fault_line;   /* ROW_UNTERMINATED: where the quote was opened */
    uint64_t fault_offset; /* of the byte to blame, in the file */
    uint64_t opened_line;  /* ROW_STRAY_QUOTE behind a cell that began on another line: that line;
                              else 0 */
};

enum csv_reader_result { CSV_READER_ROW, CSV_READER_MORE, CSV_READER_END };

struct csv_reader; /* one file's reader */

struct csv_reader *csv_reader_open(uint64_t max_row_bytes,
                                   size_t max_columns); /* NULL: out of memory */
void csv_reader_close(struct csv_reader *rows);
void csv_reader_reset(struct csv_reader *rows); /* ready for another file */

/* Everything through libcsv: the reference that the quick way is tested against. */
void csv_reader_use_reference(struct csv_reader *rows, bool only_libcsv);

/* Room for the next bytes of the file; NULL with errno ENOMEM. Ends what csv_reader_next
 * lent. */
char *csv_reader_space(struct csv_reader *rows, size_t *ret_len);
void csv_reader_filled(struct csv_reader *rows, size_t len);
void csv_reader_finish(struct csv_reader *rows);

/* -1: out of memory. */
int csv_reader_next(struct csv_reader *rows, struct row *ret_row, struct cause *cause);

/*
 * The bytes from the next row on, at least CSV_READER_ZEROS zero bytes behind them, for a quicker
 * pass than csv_reader_next; NULL where the reference is wanted. csv_reader_passed says how many of
 * them, and of lines, were rows and are done with.
 */
const char *csv_reader_peek(const struct csv_reader *rows, size_t *ret_len);
void csv_reader_passed(struct csv_reader *rows, size_t len, uint64_t lines);

/* Passes over up to `len` buffered bytes unread, counting their lines; they must end at the end of
 * a row. */
size_t csv_reader_skip(struct csv_reader *rows, size_t len);

/* The line of the next byte. */
uint64_t csv_reader_line(const struct csv_reader *rows);

/* The bytes handed out since the last call; lent until the second csv_reader_space from now:
 * another thread may hash them while the next ones are read. */
const char *csv_reader_consumed(struct csv_reader *rows, size_t *ret_len);

/* The bytes that are there but no row yet: an incomplete last row. */
const char *csv_reader_rest(const struct csv_reader *rows, size_t *ret_len);

#endif
