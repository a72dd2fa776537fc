/*
 * booking: decisions become ledger lines, and what the lines promise is done once they are durable.
 *
 *     outcome_record   books a decided file: its line and reasons wait in the batch
 *     outcome_sync        the reasons are durable, before the lines that book them
 *     ... the batch is committed ...
 *     outcome_apply      told, remembered as seen, archived, deleted, quarantined
 *
 * or outcome_discard, where the batch is undone. What a crash leaves between commit and finish is
 * completed by placement_recover and by the next look at the file.
 */
#ifndef PHASESENTINEL_OUTCOME_H
#define PHASESENTINEL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "ingest/classify.h"
#include "fs/durable.h"
#include "ingest/upload.h"
#include "store/tally_file.h"

struct post_commit; /* what is left to do for one file */

struct outcome {
    struct ingest_env *env; /* borrowed */
    struct tally_file stats;
    struct post_commit *list; /* owned */
    size_t count, cap;
    bool quarantine_changed;    /* since whoever surveys it cleared this */
    uint64_t quarantined_files; /* since outcome_open */
    struct durable_group reasons;
};

int outcome_open(struct outcome *outcome, struct ingest_env *env, const struct schema *schema,
                 struct cause *cause);
void outcome_close(struct outcome *outcome);

int outcome_record(struct outcome *outcome, struct upload *upload, enum file_class decision,
                   struct cause *cause);
int outcome_sync(struct outcome *outcome, struct cause *cause);
int outcome_apply(struct outcome *outcome, struct cause *cause);

/* The counts go back to what stands in state/tally.csv; tally_file_catch_up makes up for the rest.
 */
int outcome_discard(struct outcome *outcome, struct cause *cause);

/* Fill in a line for content that was checked just now, under a name that is borrowed. The caller
 * sets rows and range. */
void outcome_fill_line(const char *name, const struct check_result *result, enum verdict verdict,
                       struct ledger_line *line);

#endif
