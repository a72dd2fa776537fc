/*
 * training_header: the header of training_data.csv.
 *
 * A new file gets the fields of the schema as its columns. From then on the header of the file
 * itself, and not the schema, decides which columns are written and in which order.
 */
#ifndef PHASESENTINEL_TRAINING_HEADER_H
#define PHASESENTINEL_TRAINING_HEADER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/column_map.h"
#include "csv/tally.h"
#include "schema/schema.h"

#define TRAINING_MAX_ROW_BYTES (16 * 1024 * 1024)
#define TRAINING_MAX_COLUMNS   (1 << 20)

/* Columns of a training file, according to its header. A zeroed struct has none. */
struct training_header {
    struct training_columns columns; /* owned */
    size_t
        tally_column[TALLY_COUNT]; /* column of each field that is counted; columns.count: none */
};

void training_header_free(struct training_header *header);

/* Append the header that a new file gets. */
int training_header_print(const struct schema *schema, struct buffer *out, struct cause *cause);

/*
 * Read the header of an open file in the data directory `data_dir`. Return -1 with CAUSE_CORRUPT if
 * the file does not begin with a CSV header, with CAUSE_CONFIG if a column is missing that the
 * schema requires.
 */
int training_header_read(struct training_header *header, int fd, const struct schema *schema,
                         const char *data_dir, struct cause *cause);

/*
 * Return 1 if the file, of `size` bytes, is the header that a new file gets, but short or with NUL
 * bytes in it, as a crash leaves it; 0 if it is something else or whole; or -1.
 */
int training_header_is_torn(int fd, uint64_t size, const struct schema *schema,
                            struct cause *cause);

#endif
