/*
 * quick: the rows that need no CSV machinery, checked and written while they are scanned.
 *
 *     fast_path_open   for a file whose header was accepted: what is to be done with each column
 *     fast_path_rows   as many whole rows as are beyond doubt
 *     fast_path_row    one that csv_reader_next gave, if it is beyond doubt
 *     fast_path_count  before row_check, and at the end: the rows so far are in the tally then
 *     fast_path_close
 *
 * A row is beyond doubt if each cell is a plain number within the bounds of its field, a value that
 * is known to be good, or one without quotes in it that field_check accepts. Before any other row,
 * or one with a quote, fast_path_rows stops: csv_reader_next reads it, and where fast_path_row does
 * not take it, row_check says what is wrong with it, if anything is. So this pass accepts nothing
 * that they would not, and writes and counts what they would.
 */
#ifndef PHASESENTINEL_FAST_PATH_H
#define PHASESENTINEL_FAST_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/value_cache.h"
#include "csv/tally.h"
#include "csv/row_check.h"

struct fast_path_column;
struct fast_path_piece;

/* Reusable from file to file. */
struct fast_path {
    const struct column_map *column_map; /* borrowed from fast_path_open to the file's end */
    uint64_t max_row_bytes;
    struct fast_path_column *columns; /* [sheet->columns] */
    size_t column_cap;
    struct fast_path_piece *pieces; /* what a row is written from, in order */
    size_t piece_count, piece_cap;
    struct buffer constants; /* what stands between and behind the cells */
    size_t tail;             /* of these, where the bytes behind the last piece begin */
    bool as_it_is;           /* rows are written as they came */
    bool no_empty;           /* an empty cell may be a line without content */
    /* Rows that are not in the tally yet, and by the place of their value among the known ones;
     * the last place is the empty value's. */
    uint64_t uncounted;
    struct fast_path_column *counted_columns[TALLY_COUNT];
    size_t counted;
    uint64_t counts[TALLY_COUNT][VALUE_CACHE_PLACES + 1];
};

int fast_path_open(struct fast_path *fast_path, const struct column_map *column_map,
                   uint64_t max_row_bytes, struct cause *cause);

/*
 * Passes over the rows at the beginning of `text`, which has CSV_READER_ZEROS zero bytes behind its
 * end. Returns how many bytes they have; they are added to *rows and, unless out is NULL, written
 * to it and counted for the tally. A buffer without memory is marked failed; for a tally without,
 * -1 is returned.
 */
ptrdiff_t fast_path_rows(struct fast_path *fast_path, const char *text, size_t len,
                         struct buffer *out, struct tally *tally, uint64_t *rows,
                         struct cause *cause);

/* Passes over a sound row that has its line end, in the same way. 1: it is done with; 0: it is not
 * beyond doubt; -1. */
int fast_path_row(struct fast_path *fast_path, const struct row *row, struct buffer *out,
                  struct tally *tally, struct cause *cause);

int fast_path_count(struct fast_path *fast_path, struct tally *tally, struct cause *cause);

void fast_path_close(struct fast_path *fast_path); /* takes zeroed ones */

#endif
