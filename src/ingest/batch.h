/*
 * intake: the life of a dropped file, from its first sign to its last place.
 *
 * intake_file in intake.c is the story: claim, read, check, merge or reject. A batch of files is
 * decided under the lock and committed at once. The daemon calls this when something arrives or
 * falls due, `merge` from cron until nothing is left; both may do so at the same time.
 *
 *     batch_open
 *     batch_scan; dropdir_arrive, dropdir_gone         what there is to do
 *     batch_run, as often as batch_due says     one batch; a large file takes several: it is due
 *                                                 again when batch_fd is readable
 *     batch_close
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
    struct transaction merge;
    struct dropdir drop;
    struct ingest_env env;
    struct reader_pool *reader_pool;
    struct outcome outcome;
    bool recover_due;    /* state/moving/ is to be looked at */
    bool recount_due;    /* others booked lines: what lies in the drop directory is counted anew */
    bool small_first;    /* the last batch left out a large file that was ready */
    int64_t batch_start; /* clock_monotonic's clock */
};

/* Not to be moved while open: its parts point to each other. All arguments are borrowed until
 * batch_close; notify may be NULL. */
int batch_open(struct batch *batch, const struct config *config, const struct schema *schema,
               struct datadir *dir, const char *program, ingest_notice_fn *notify,
               void *notify_context, struct cause *cause);
void batch_close(struct batch *batch);

/*
 * Everything in the drop directory that is not known to be done is due then (CLOCK_NEVER: it is
 * only counted). Takes the lock for a
 * moment, to know what is booked; fails as batch_run does.
 */
int batch_scan(struct batch *batch, int64_t due, unsigned wait_ms, struct cause *cause);

/* As batch_scan, for a directory below that is new, back or readable now; without the lock, and
 * counting nothing. */
int batch_look_into(struct batch *batch, const char *directory, int64_t due, struct cause *cause);

/* Make the batch a daemon's, which lives long enough to check racy files once more. `enter` is called
 * with each directory before it is listed. */
void batch_set_daemon(struct batch *batch, dropdir_enter_fn *enter, void *enter_context);

/* For the daemon: an event named a file, or removed it; or all files are to be merged now. */
int batch_arrive(struct batch *batch, const char *name, bool writer_closed, int64_t due,
                 struct cause *cause);
void batch_gone(struct batch *batch, const char *name);
void batch_merge_all_now(struct batch *batch);

/* When there is work again (clock_monotonic's clock), or CLOCK_NEVER. */
int64_t batch_due(const struct batch *batch);

/* Is a large file being read? The descriptor becomes readable when it has been: then there is work.
 */
bool batch_has_large(const struct batch *batch);
int batch_fd(const struct batch *batch);

/*
 * One batch of what is due. CAUSE_BUSY: the lock was held for wait_ms, nothing was done.
 * CAUSE_RETRY: the batch was undone, its files are due again. Everything else ends the program.
 */
int batch_run(struct batch *batch, unsigned wait_ms, struct cause *cause);

/* Takes the training file as it is; with drops_merged the files that lie there count as merged. */
int batch_adopt(struct batch *batch, bool drops_merged, struct cause *cause);

/* Take the lock and bring the counts up to date, for ops/publish to write the statistics. Fails as
 * batch_run does, and then holds no lock. */
int batch_begin_publish(struct batch *batch, unsigned wait_ms, struct cause *cause);
void batch_end_publish(struct batch *batch);

#endif
