/*
 * csv_file: the rows of an open file, of a range of it, or of bytes in memory.
 *
 *     csv_file_open
 *     csv_file_next      until CSV_READER_END
 *     csv_file_close     not needed where csv_file_open failed
 *
 * csv_file reads the bytes itself and hands them to a csv_reader. The source is borrowed and must
 * stay until csv_file_close; csv_file does not close the descriptor nor move its position. A UTF-8
 * BOM at offset 0 is skipped. A range that reaches past the end of the file ends there.
 */
#ifndef PHASESENTINEL_CSV_FILE_H
#define PHASESENTINEL_CSV_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "csv/csv_reader.h"

struct csv_file_request {
    const char *bytes;    /* the source in memory; NULL: the source is fd */
    int fd;               /* a regular file */
    const char *name;     /* name of the source, for error messages */
    uint64_t offset, end; /* the range to read; end UINT64_MAX: to the end of the file */
    uint64_t max_row_bytes;
    size_t max_columns;
};

struct csv_file {
    struct csv_file_request source;
    struct csv_reader *reader; /* owned */
};

/* Return 0, or -1 when memory is out. */
int csv_file_open(struct csv_file *file, const struct csv_file_request *request,
                  struct cause *cause);

/*
 * Read the next row into *ret_row, which borrows its text until the next call. Return CSV_READER_ROW
 * or CSV_READER_END; or -1 with CAUSE_RETRY when the file cannot be read or memory is out. A row
 * that is no CSV is a row with a fault.
 */
int csv_file_next(struct csv_file *file, struct row *ret_row, struct cause *cause);

/* Free the reader. A zeroed struct is accepted. */
void csv_file_close(struct csv_file *file);

#endif
