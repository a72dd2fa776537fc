/*
 * merge: a batch of verdicts becomes true, all at once and only once.
 *
 *     transaction_begin     takes state/lock, recovers what a crash left, reads what others booked
 *     ... training_append, ledger_add for each file ...
 *     transaction_commit    rows durable, then the lines that book them durable
 *     transaction_end       gives the lock back
 *
 * After an error of kind CAUSE_RETRY transaction_rollback undoes the batch; after CAUSE_PANIC
 * nothing may be touched any more.
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

struct transaction {
    const struct datadir *dir;
    const char *program; /* for the mark in the lock */
    struct lock_file lock;
    struct ledger ledger;
    struct training training;
    bool recovered; /* the last transaction_begin found that a holder had died */
};

/* Opens, takes no lock and changes nothing. Borrows all it is given. */
int transaction_open(struct transaction *merge, const struct datadir *dir,
                     const struct schema *schema, const char *program, struct cause *cause);
void transaction_close(struct transaction *merge);

/* adopt: take the training file as it is instead of comparing it with the ledger. CAUSE_BUSY after
 * wait_ms. */
int transaction_begin(struct transaction *merge, unsigned wait_ms, bool adopt, struct cause *cause);
int transaction_commit(struct transaction *merge, struct cause *cause);
int transaction_rollback(struct transaction *merge, struct cause *cause);

/* `whole`: nothing is in doubt. Else the mark stays and the next holder recovers. */
void transaction_end(struct transaction *merge, bool whole);

#endif
