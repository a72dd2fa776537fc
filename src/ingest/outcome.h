/*
 * outcome: what follows from the class of a file: a ledger line, and what is done once the line is
 * durable.
 *
 *     outcome_record     append the rows, add the ledger line, write reasons; queue what follows
 *     outcome_sync       make the reasons durable, before the lines that need them
 *     ... transaction_commit ...
 *     outcome_apply      log, fill the cache, archive, delete or quarantine
 *
 * or outcome_discard, when the batch is rolled back. What a crash leaves undone between the commit
 * and outcome_apply is completed by placement_recover and by the next check of the file.
 */
#ifndef PHASESENTINEL_OUTCOME_H
#define PHASESENTINEL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "fs/durable.h"
#include "ingest/classify.h"
#include "ingest/upload.h"
#include "store/tally_file.h"

struct post_commit; /* the work for one file after the commit */

struct outcome {
    struct ingest_env *env; /* borrowed */
    struct tally_file tally_file;
    struct post_commit *list; /* owned */
    size_t count, cap;
    bool quarantine_changed;      /* since the reader of the flag cleared it */
    uint64_t quarantined_files;   /* since outcome_open */
    struct durable_group reasons; /* NAME.errors.csv and NAME.rejects.csv of the batch */
};

int outcome_open(struct outcome *outcome, struct ingest_env *env, const struct schema *schema,
                 struct cause *cause);
void outcome_close(struct outcome *outcome);

int outcome_record(struct outcome *outcome, struct upload *upload, enum file_class class,
                   struct cause *cause);
int outcome_sync(struct outcome *outcome, struct cause *cause);
int outcome_apply(struct outcome *outcome, struct cause *cause);

/* Drop what was queued, and reload the counts from state/tally.csv. tally_file_catch_up counts the
 * lines that were committed since. */
int outcome_discard(struct outcome *outcome, struct cause *cause);

/* Fill in a line for content that was checked just now, under a name that is borrowed. The caller
 * sets rows and range. */
void outcome_fill_line(const char *name, const struct check_result *result, enum verdict verdict,
                       struct ledger_line *line);

#endif
