/*
 * row_check: one row of a file, checked against the schema, written, and counted.
 *
 *     row_check      check each cell; add violations
 *     row_write      append an accepted row in the columns of the training file
 *     row_tally      count an accepted row
 *
 * All of them take a column_map bound to the file's header; row_write and row_tally need a header
 * without a violation. Cells are written byte for byte, quoted only where they must be.
 */
#ifndef PHASESENTINEL_ROW_CHECK_H
#define PHASESENTINEL_ROW_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/column_map.h"
#include "csv/csv_reader.h"
#include "csv/tally.h"
#include "csv/violations.h"

enum row_check_result {
    ROW_CHECK_VALID,
    ROW_CHECK_INVALID,   /* violations were added */
    ROW_CHECK_NO_MEMORY, /* a pattern could not be tried: no verdict */
};

/*
 * Check a row; none is valid if the header is no row. A row without a line end is the last one of
 * the file: if it is invalid, or newline_required, it is reported as truncated-file only, whatever
 * its cells look like. But NUL bytes are no row that was cut off, and a quote that opened on an
 * earlier line has swallowed whole rows: these are reported as they are.
 */
enum row_check_result row_check(const struct column_map *map, const struct row *row,
                                bool newline_required, struct violations *violations);

/* Add `count` blank lines from line `first` on. */
void row_check_blanks(uint64_t first, uint64_t count, struct violations *violations);

/* Return true if a row without a line end has a fault that more bytes cannot mend. */
bool row_is_beyond_repair(const struct row *row);

/* Add the fault that csv_reader found in a row. */
void row_check_fault(const struct row *row, struct violations *violations);

void row_write(const struct column_map *map, const struct row *row, struct buffer *out);

int row_tally(const struct column_map *map, const struct row *row, struct tally *tally,
              struct cause *cause);

#endif
