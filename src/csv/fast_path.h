/*
 * fast_path: check and write rows while they are scanned, without the CSV machinery.
 *
 *     fast_path_open     for a file whose header is without a violation
 *     fast_path_rows     as many whole rows as are certainly valid
 *     fast_path_row      one row that csv_reader_next gave, if it is certainly valid
 *     fast_path_count    before row_tally, and at the end of the file: add the rows to the tally
 *     fast_path_close    once, after the last file
 *
 * A row is certainly valid if each cell is a plain number within the bounds of its field, a value
 * in the value_cache, or a text without quotes that field_check accepts. fast_path_rows stops before
 * any other row and before a row with a quote: csv_reader_next reads that one, and where
 * fast_path_row does not take it, row_check decides. So fast_path accepts no row that they would
 * reject, and writes and counts the same as they do.
 */
#ifndef PHASESENTINEL_FAST_PATH_H
#define PHASESENTINEL_FAST_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/column_map.h"
#include "csv/csv_reader.h"
#include "csv/tally.h"
#include "schema/value_cache.h"

struct fast_path_column;
struct fast_path_piece;

/* Reusable for many files. A zeroed struct is ready for fast_path_open. */
struct fast_path {
    const struct column_map *column_map; /* borrowed until the end of the file */
    uint64_t max_row_bytes;
    struct fast_path_column *columns; /* [column_map->columns] */
    struct fast_path_piece *pieces;   /* the parts of a row that is written, in order */
    size_t piece_count;
    size_t cap;              /* capacity of columns, and of pieces */
    struct buffer constants; /* the bytes between the pieces and after the last one */
    size_t tail;             /* offset in constants of the bytes after the last piece */
    bool verbatim;           /* rows are written as they stand in the file */
    bool no_empty;           /* a row may be one empty cell: leave empty cells to csv_reader */
    /* Rows that are not in the tally yet: all of them, and by the value_cache slot of the value;
     * the last slot counts empty values. */
    uint64_t uncounted;
    struct fast_path_column *counted_columns[TALLY_COUNT];
    size_t counted;
    uint64_t counts[TALLY_COUNT][VALUE_CACHE_SLOTS + 1];
};

int fast_path_open(struct fast_path *fast_path, const struct column_map *column_map,
                   uint64_t max_row_bytes, struct cause *cause);

/* The destination of rows that are certainly valid. */
struct fast_path_sink {
    struct buffer *out; /* NULL: rows are neither written nor added to the tally */
    struct tally *tally;
    uint64_t rows; /* their number is added */
};

/*
 * Pass over the rows at the beginning of `text`, which is followed by CSV_READER_ZEROS zero bytes.
 * Return how many bytes they have, or -1 if the tally has no memory; an `out` without memory is
 * marked failed.
 */
ptrdiff_t fast_path_rows(struct fast_path *fast_path, const char *text, size_t len,
                         struct fast_path_sink *sink, struct cause *cause);

/* Pass over a sound row that has a line end, in the same way. Return 1 if it was certainly valid, 0
 * if not, or -1. */
int fast_path_row(struct fast_path *fast_path, const struct row *row, struct fast_path_sink *sink,
                  struct cause *cause);

/* Add the rows passed since the last call to the tally. */
int fast_path_count(struct fast_path *fast_path, struct tally *tally, struct cause *cause);

void fast_path_close(struct fast_path *fast_path); /* accepts a zeroed one */

#endif
