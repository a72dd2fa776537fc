/*
 * file_check: read a file once; hash, parse, check and write its rows in the same pass.
 *
 *     file_check_init
 *     file_check_run      for each file
 *     file_check_free
 *
 * The bytes that are hashed are those that are checked and written: each is read once, up to the
 * size in the request. For a compressed file these are the bytes of its content. file_check knows
 * neither ledger nor training file: accepted rows go to a sink while the file is read, and the owner
 * of the sink discards them if the file is rejected. Without a sink the verdict is the same.
 *
 * A file may begin with content that was merged before (`prefix`). The rows of that are hashed, but
 * neither checked nor written. If the file does not begin with it, it is read again as a whole.
 */
#ifndef PHASESENTINEL_FILE_CHECK_H
#define PHASESENTINEL_FILE_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/config.h"
#include "base/digest.h"
#include "csv/check_result.h"
#include "csv/content_hash.h"
#include "schema/value_cache.h"
#include "base/thread_pool.h"
#include "csv/fast_path.h"
#include "csv/csv_reader.h"
#include "schema/schema.h"
#include "csv/tally.h"
#include "csv/decompress.h"
#include "csv/row_check.h"
#include "csv/violations.h"

/*
 * Functions that take the rows; NULL: they are dropped. A function returns -1 with a cause to end
 * the reading. accept may keep the rows by putting another buffer in their place, which is cleared.
 */
struct file_check_sink {
    int (*accept)(void *context, struct buffer *rows, struct cause *cause);
    int (*reject)(void *context, const char *raw, size_t len, struct cause *cause);
    void *context;
};

struct file_check_request {
    int fd;
    const char
        *name; /* name of the dropped file; gives its format, and values of missing columns */
    const struct training_columns *layout; /* columns of a row that is written; NULL: none is */
    uint64_t size;                         /* how many bytes of the file to read */
    bool complete_only; /* leave out an incomplete last row: the file may still be growing */
    struct content_prefix prefix; /* merged content that the file may begin with: its rows are not
                                     checked again; bytes 0: none */
    const struct sorted_snapshot *known; /* content to search for (content_hash.h); NULL: do not */
    uint64_t shorter_than;               /* search for shorter content only; 0: for any */
    struct file_check_sink sink;
    struct thread_pool *pool; /* threads that help with a large file; NULL: none */
    const atomic_bool *stop;  /* end the reading with CAUSE_CHANGED when set; NULL: never */
};

/* Memory for a reading, reusable for many files by one thread at a time. */
struct file_check {
    const struct schema *schema;
    const struct config *config;
    struct decompress decompress;
    struct csv_reader *rows;
    struct buffer name; /* NAME.csv without a suffix of compression */
    struct column_map column_map;
    struct value_cache *caches; /* [schema->count] */
    struct fast_path fast_path;
    struct buffer accepted;
    bool rejecting; /* true if the file will be rejected: rows are counted, not written */
};

/* schema and config are borrowed. */
int file_check_init(struct file_check *file_check, const struct schema *schema,
                    const struct config *config, struct cause *cause);
void file_check_free(struct file_check *file_check);

/*
 * Check a file. *result was initialised by check_result_init. Return -1 with CAUSE_CHANGED if the
 * file became shorter or the reading was stopped, or CAUSE_RETRY if it cannot be read or the sink
 * failed.
 */
int file_check_run(struct file_check *file_check, const struct file_check_request *request,
                   struct check_result *result, struct cause *cause);

#endif
