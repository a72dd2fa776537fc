/*
 * batch: the files that are due, checked under the lock and committed at once.
 *
 * The story of a file stands in batch.c: begin_file and finish_file. The daemon runs a batch when
 * something arrives or falls due, `merge` until nothing is due; both may run at the same time.
 *
 *     batch_open
 *     batch_scan, batch_arrive, batch_gone         what is due
 *     batch_run                                    one batch, whenever batch_due says so
 *     batch_close
 *
 * A crash leaves what the table on top of store/transaction.c says; the next batch recovers.
 *
 * A large file is read in the background, over several batches: it is due when batch_fd is
 * readable.
 */
#ifndef PHASESENTINEL_BATCH_H
#define PHASESENTINEL_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/outcome.h"
#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "ingest/placement.h"
#include "drop/dropdir.h"
#include "ingest/upload.h"
#include "store/transaction.h"
#include "ingest/reader_pool.h"
#include "schema/schema.h"

struct batch {
    const struct config *config;
    struct datadir *dir;
    struct transaction transaction;
    struct dropdir dropdir;
    struct ingest_env env;
    struct reader_pool *reader_pool;
    struct outcome outcome;
    bool recover_due;    /* complete or undo what is in state/moving/ */
    bool recount_due;    /* count the drop directory again: another process added lines */
    bool small_first;    /* the last batch left out a large file that was ready */
    int64_t batch_start; /* time of clock_monotonic() */
};

/* Open in place: the parts of an open batch point to each other. All that the request points to is
 * borrowed until batch_close. */
struct batch_request {
    const struct config *config;
    const struct schema *schema;
    struct datadir *dir;
    const char *program;      /* written into the lock */
    ingest_notice_fn *notify; /* called for each event; may be NULL */
    void *notify_context;
};

int batch_open(struct batch *batch, const struct batch_request *request, struct cause *cause);
void batch_close(struct batch *batch);

/*
 * Scan the drop directory: make all files due at `due` that are not known to be done, or only count
 * them if that is CLOCK_NEVER. Take the lock for a moment to read what others added to the ledger.
 * Fail as batch_run does.
 */
int batch_scan(struct batch *batch, int64_t due, unsigned wait_ms, struct cause *cause);

/* Scan one directory below the drop directory that is new, back or readable now, without the lock
 * and without counting. */
int batch_look_into(struct batch *batch, const char *directory, int64_t due, struct cause *cause);

/* Make the batch a daemon's, which lives long enough to check racy files once more. `enter` is called
 * with each directory before it is listed. */
void batch_set_daemon(struct batch *batch, dropdir_enter_fn *enter, void *enter_context);

/* For the daemon: an event named a file, or removed it; or all files are to be merged now. */
int batch_arrive(struct batch *batch, const char *name, bool writer_closed, int64_t due,
                 struct cause *cause);
void batch_gone(struct batch *batch, const char *name);
void batch_merge_all_now(struct batch *batch);

/* Return when there is work again, or CLOCK_NEVER. */
int64_t batch_due(const struct batch *batch);

/* Return true if a large file is in the background. batch_fd is readable once it is read. */
bool batch_has_large(const struct batch *batch);
int batch_fd(const struct batch *batch);

/*
 * Run one batch of the files that are due. CAUSE_BUSY: another process held the lock for wait_ms.
 * CAUSE_RETRY: the batch was rolled back and its files are due again. Any other cause must end the
 * program.
 */
int batch_run(struct batch *batch, unsigned wait_ms, struct cause *cause);

/* Adopt the training file as it is. drops_merged: record the files in the drop directory and the
 * archive as merged. */
int batch_adopt(struct batch *batch, bool drops_merged, struct cause *cause);

/* Take the lock and bring the counts up to date, for ops/publish to write the statistics. Fails as
 * batch_run does, and then holds no lock. */
int batch_begin_publish(struct batch *batch, unsigned wait_ms, struct cause *cause);
void batch_end_publish(struct batch *batch);

#endif
