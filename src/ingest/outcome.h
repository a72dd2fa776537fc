/*
 * booking: decisions become ledger lines, and what the lines promise is done once they are durable.
 *
 *     booking_carry_out   books a decided file: its line and reasons wait in the batch
 *     booking_sync        the reasons are durable, before the lines that book them
 *     ... the batch is committed ...
 *     booking_finish      told, remembered as seen, archived, deleted, quarantined
 *
 * or booking_forget, where the batch is undone. What a crash leaves between commit and finish is
 * completed by disposal_recover and by the next look at the file.
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

struct booked; /* what is left to do for one file */

struct booking {
    struct desk *desk; /* borrowed */
    struct stats stats;
    struct booked *list; /* owned */
    size_t count, cap;
    bool quarantine_changed;    /* since whoever surveys it cleared this */
    uint64_t quarantined_files; /* since booking_open */
    struct durable_group reasons;
};

int booking_open(struct booking *booking, struct desk *desk, const struct schema *schema,
                 struct cause *cause);
void booking_close(struct booking *booking);

int booking_carry_out(struct booking *booking, struct look *look, enum decision decision,
                      struct cause *cause);
int booking_sync(struct booking *booking, struct cause *cause);
int booking_finish(struct booking *booking, struct cause *cause);

/* The counts go back to what stands in state/tally.csv; stats_catch_up makes up for the rest. */
int booking_forget(struct booking *booking, struct cause *cause);

/* A line for content that was judged just now; rows, range and name's place are the caller's. */
void booking_fill_line(const char *name, const struct judgement *result, enum verdict verdict,
                       struct ledger_line *line);

#endif
