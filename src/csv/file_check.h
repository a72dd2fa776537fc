/*
 * judge: one reading of a file. Hashed, parsed, checked and written out in the same pass.
 *
 * What is hashed is what is checked is what is written: the bytes are read once, up to the size of
 * the first look; of a packed file those inside it, and all of this speaks of these. A judgement
 * knows nothing of ledger or training file; the accepted rows go to a sink in pieces while reading,
 * and whoever gave the sink takes them back when the verdict is another one. `check` gives no sink:
 * same verdict, no trace.
 *
 * Content that is booked already under this name may be a prefix of the file: then only what
 * follows it is parsed and checked, and the rows before it cost no more than their hash.
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
 * All return -1 with a cause to end the reading. NULL: the bytes are dropped. accept may keep the
 * rows by putting another buffer in their place; what it leaves is cleared.
 */
struct file_check_sink {
    int (*accept)(void *context, struct buffer *rows, struct cause *cause);
    int (*reject)(void *context, const char *raw, size_t len, struct cause *cause);
    void *context;
};

struct file_check_request {
    int fd;
    const char *name; /* as dropped: it tells if the file is packed, and metadata may
                         come from it */
    const struct training_columns *layout; /* of the rows that are written; NULL: none are */
    uint64_t size;                         /* so many bytes of the file are judged */
    bool complete_only; /* an incomplete last row is left out: the file may still be growing */
    struct content_prefix prefix; /* merged content that the file may begin with: its rows are not
                                     checked again; bytes 0: none */
    const struct sorted_snapshot *known; /* content to search for (content_hash.h); NULL: do not */
    uint64_t shorter_than;               /* search for shorter content only; 0: for any */
    struct file_check_sink sink;
    struct thread_pool *pool; /* its threads may help with a large file; NULL: they may not */
    const atomic_bool *stop;  /* set: the reading ends with CAUSE_CHANGED; NULL: it never is */
};

/* What it takes to read; reusable from file to file. One thread uses it at a time. */
struct file_check {
    const struct schema *schema;
    const struct config *config;
    struct decompress decompress;
    struct csv_reader *rows;
    struct buffer name; /* of the CSV */
    struct column_map column_map;
    struct value_cache *caches; /* [schema->count] */
    struct fast_path fast_path;
    struct buffer accepted;
    bool rejecting; /* reject-file and something is wrong: rows are counted, not written */
};

/* All are borrowed. */
int file_check_init(struct file_check *file_check, const struct schema *schema,
                    const struct config *config, struct cause *cause);
void file_check_free(struct file_check *file_check);

/*
 * Fills *result, which has been initialised. CAUSE_CHANGED: the file became shorter while it was
 * read, or the reading was stopped. CAUSE_RETRY: it could not be read, or the sink failed.
 */
int file_check_run(struct file_check *file_check, const struct file_check_request *request,
                   struct check_result *result, struct cause *cause);

#endif
