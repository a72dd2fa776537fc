/*
 * transaction: record a batch of verdicts, all of them and once, or none.
 *
 *     transaction_open
 *     transaction_begin       take state/lock, recover what a crash left, read what others recorded
 *     training_append, ledger_add ...                              for each file
 *     transaction_commit      make the rows durable, then the lines that record them
 *     transaction_rollback    instead, or after an error of kind CAUSE_RETRY: undo the batch
 *     transaction_end         release the lock
 *     transaction_close
 *
 * After CAUSE_PANIC nothing more may be written: end with clean = false and exit.
 *
 * The table on top of transaction.c is the order of all writes, and says what a crash after each of
 * them leaves and how the next transaction_begin recovers.
 */
#ifndef PHASESENTINEL_TRANSACTION_H
#define PHASESENTINEL_TRANSACTION_H

#include <stdbool.h>

#include "base/cause.h"
#include "fs/lock_file.h"
#include "schema/schema.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "store/training.h"

struct transaction {
    const struct datadir *dir; /* borrowed; NULL: closed */
    const char *program;       /* borrowed: name for the mark in the lock */
    struct lock_file lock;
    struct ledger ledger;
    struct training training;
    bool recovered; /* true if the last transaction_begin found that a holder had died */
};

/* Open the ledger, without the lock; nothing is changed. All arguments are borrowed. has_drops: see
 * training_open. */
int transaction_open(struct transaction *transaction, const struct datadir *dir,
                     const struct schema *schema, training_drops_check *has_drops,
                     const char *program, struct cause *cause);
void transaction_close(struct transaction *transaction);

/* Begin a batch. With `adopt` take the training file as it is instead of comparing it with the
 * ledger. Return -1, without the lock, with CAUSE_BUSY if others hold it for wait_ms. */
int transaction_begin(struct transaction *transaction, unsigned wait_ms, bool adopt,
                      struct cause *cause);
int transaction_commit(struct transaction *transaction, struct cause *cause);
int transaction_rollback(struct transaction *transaction, struct cause *cause);

/* Release the lock. Unless `clean`, its mark stays, and the next holder recovers. */
void transaction_end(struct transaction *transaction, bool clean);

#endif
