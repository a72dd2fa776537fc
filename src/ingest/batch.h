/*
 * intake: the life of a dropped file, from its first sign to its last place.
 *
 * intake_file in intake.c is the story: claim, read, check, merge or reject. A batch of files is
 * decided under the lock and committed at once. The daemon calls this when something arrives or
 * falls due, `merge` from cron until nothing is left; both may do so at the same time.
 *
 *     intake_open
 *     intake_scan; drop_arrive, drop_gone         what there is to do
 *     intake_run, as often as intake_due says     one batch; a large file takes several: it is due
 *                                                 again when intake_fd is readable
 *     intake_report                               statistics and state files
 *     intake_close
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
#include "ingest/quarantine_scan.h"

struct intake {
    const struct config *config;
    struct datadir *dir;
    struct merge merge;
    struct drop drop;
    struct desk desk;
    struct readers *readers;
    struct booking booking;
    struct quarantine_survey quarantine;
    bool recover_due;    /* state/moving/ is to be looked at */
    bool recount_due;    /* others booked lines: what lies in the drop directory is counted anew */
    bool paused;         /* a large file's rows are booked in part: the lock is kept ... */
    bool others_first;   /* ... and others have their turn */
    int64_t batch_start; /* waiting_now's clock */
    struct signature reported; /* stats.json as we wrote it */
    uint64_t reported_waiting; /* what it says */
};

/* Not to be moved while open: its parts point to each other. All arguments are borrowed until
 * intake_close; tell may be NULL. */
int intake_open(struct intake *intake, const struct config *config, const struct schema *schema,
                struct datadir *dir, const char *program, drop_tell *tell, void *tell_context,
                struct cause *cause);
void intake_close(struct intake *intake);

/*
 * Everything in the drop directory that is not known to be done is due then (WAITING_NEVER: it is
 * only counted). Takes the lock for a
 * moment, to know what is booked; fails as intake_run does.
 */
int intake_scan(struct intake *intake, int64_t due, unsigned wait_ms, struct cause *cause);

/* As intake_scan, for a directory below that is new, back or readable now; without the lock, and
 * counting nothing. */
int intake_look_into(struct intake *intake, const char *directory, int64_t due,
                     struct cause *cause);

/* When there is work again (waiting_now's clock), or WAITING_NEVER. */
int64_t intake_due(const struct intake *intake);

/* Is a large file being read? The descriptor becomes readable when it has been: then there is work.
 */
bool intake_is_reading(const struct intake *intake);
int intake_fd(const struct intake *intake);

/*
 * One batch of what is due. CAUSE_BUSY: the lock was held for wait_ms, nothing was done.
 * CAUSE_TROUBLE: the batch was undone, its files are due again. Everything else ends the program.
 */
int intake_run(struct intake *intake, unsigned wait_ms, struct cause *cause);

/* Takes the training file as it is; with drops_merged the files that lie there count as merged. */
int intake_adopt(struct intake *intake, bool drops_merged, struct cause *cause);

/* Are there statistics to be written? */
bool intake_report_due(const struct intake *intake);

/*
 * Writes statistics, state/waiting.csv and, with `seen`, the cache. `trouble`: what hinders us, ""
 * for nothing. Fails as intake_run does.
 */
int intake_report(struct intake *intake, bool seen, unsigned wait_ms, const char *trouble,
                  struct cause *cause);

#endif
