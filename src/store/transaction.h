/*
 * merge: a batch of verdicts becomes true, all at once and only once.
 *
 *     merge_begin     takes state/lock, recovers what a crash left, reads what others booked
 *     ... training_append, ledger_add for each file ...
 *     merge_commit    rows durable, then the lines that book them durable
 *     merge_end       gives the lock back
 *
 * After an error of kind CAUSE_TROUBLE merge_abandon undoes the batch; after CAUSE_STOP nothing may
 * be touched any more.
 */
#ifndef PHASESENTINEL_TRANSACTION_H
#define PHASESENTINEL_TRANSACTION_H

#include <stdbool.h>

#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "fs/lock_file.h"
#include "schema/schema.h"
#include "store/training.h"

struct merge {
    const struct datadir *dir;
    const char *program; /* for the mark in the lock */
    struct lock lock;
    struct ledger ledger;
    struct training training;
    bool recovered; /* the last merge_begin found that a holder had died */
};

/* Opens, takes no lock and changes nothing. Borrows all it is given. */
int merge_open(struct merge *merge, const struct datadir *dir, const struct schema *schema,
               const char *program, struct cause *cause);
void merge_close(struct merge *merge);

/* adopt: take the training file as it is instead of comparing it with the ledger. CAUSE_BUSY after
 * wait_ms. */
int merge_begin(struct merge *merge, unsigned wait_ms, bool adopt, struct cause *cause);
int merge_go_on(struct merge *merge, struct cause *cause); /* the lock was kept since */
int merge_commit(struct merge *merge, struct cause *cause);
int merge_abandon(struct merge *merge, struct cause *cause);

/* `whole`: nothing is in doubt. Else the mark stays and the next holder recovers. */
void merge_end(struct merge *merge, bool whole);

#endif
