/*
 * intake: the life of a dropped file, from its first sign to its last place.
 *
 * intake_file in intake.c is the story: claim, read, check, merge or reject. A batch of files is
 * decided under the lock and committed at once. The daemon calls this when something arrives or
 * falls due, `merge` from cron until nothing is left; both may do so at the same time.
 *
 *     intake_open
 *     intake_scan, intake_arrive, intake_gone     what there is to do
 *     intake_run, as often as intake_due says     one batch
 *     intake_report                               statistics and state files
 *     intake_close
 */
#ifndef PHASESENTINEL_INTAKE_H
#define PHASESENTINEL_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "cause.h"
#include "config.h"
#include "datadir.h"
#include "disposal.h"
#include "judge.h"
#include "merge.h"
#include "schema.h"
#include "seen.h"
#include "stats.h"
#include "waiting.h"

/* Each verdict, and each new reason to wait, is told once: "merged", NAME, "3 rows". */
typedef void intake_tell(void *context, const char *what, const char *name, uint64_t rows,
                         const char *detail);

struct booked; /* what is left to do for a file once its batch is durable */

struct intake {
    const struct config *config;
    const struct schema *schema;
    struct datadir *dir;
    struct merge merge;
    struct judge judge;
    struct seen seen;
    struct waiting waiting;
    struct stats stats;
    struct quarantine_survey quarantine;
    bool quarantine_changed;
    bool recover_due;   /* state/moving/ is to be looked at */
    bool lease_unknown; /* the kernel would not say who writes: said once */
    intake_tell *tell;
    void *tell_context;

    uint64_t
        user_files; /* in the drop directory, as of the last scan and what came and went since */
    uint64_t ignored;
    uint64_t user_rows;

    struct booked *booked;
    size_t booked_count, booked_cap;
    int64_t batch_start;
    uint64_t accepted_files, quarantined_files; /* since intake_open */
    bool report_due;
};

/* All borrowed until intake_close. tell may be NULL. */
int intake_open(struct intake *intake, const struct config *config, const struct schema *schema,
                struct datadir *dir, const char *program, intake_tell *tell, void *tell_context,
                struct cause *cause);
void intake_close(struct intake *intake);

/* An event: something of this name appeared, or was closed or moved here by its writer. Not before
 * `due`. */
int intake_arrive(struct intake *intake, const char *name, bool closed, int64_t due,
                  struct cause *cause);
void intake_gone(struct intake *intake, const char *name);

/*
 * Everything in the drop directory that is not known to be done is due then. Takes the lock for a
 * moment, to know what is booked; fails as intake_run does.
 */
int intake_scan(struct intake *intake, int64_t due, unsigned wait_ms, struct cause *cause);

/* When there is work again (waiting_now's clock), or WAITING_NEVER. */
int64_t intake_due(const struct intake *intake);

/* All that waits for the next merge is due now. */
void intake_hurry(struct intake *intake);

/*
 * One batch of what is due. CAUSE_BUSY: the lock was held for wait_ms, nothing was done.
 * CAUSE_TROUBLE: the batch was undone, its files are due again. Everything else ends the program.
 */
int intake_run(struct intake *intake, unsigned wait_ms, struct cause *cause);

/* Takes the training file as it is; with drops_merged the files that lie there count as merged
 * already. */
int intake_adopt(struct intake *intake, bool drops_merged, struct cause *cause);

/* Writes statistics, state/waiting.csv and, with `seen`, the cache. `trouble`: what hinders us, ""
 * for nothing. */
int intake_report(struct intake *intake, bool seen, const char *trouble, struct cause *cause);

#endif
