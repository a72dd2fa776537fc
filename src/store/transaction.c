/* clang-format off */
/*
 * Crash recovery: what is on disk after a crash, and what the next transaction_begin does about it. The
 * tests use the numbers of this table for their crash points.
 *
 *   crash after                        on disk                        recovery
 *   1 the lock is marked               the mark                       the ledger is copied before it is read
 *   2 rows are appended                rows behind the ledger's       they are saved in state/cut/ and cut off;
 *                                      training_end                   their files are still dropped: merged again
 *   3 the training file is synced      the same, durable              as 2
 *   4 the ledger lines are written     lines, complete or torn, not   a torn batch is cut off at its first bad line;
 *                                      durable                        a complete one stands: its rows are durable (3)
 *   5 the ledger is synced             the batch is merged            none
 *   6 files are moved or deleted       some files in state/moving/    placement_recover completes the moves
 *   7 the mark is cleared              everything                     none
 *
 * The reasons of bad files are synced before step 3. placement_recover removes those that no ledger
 * line refers to.
 *
 * After a crash in steps 2 to 4, a file whose line was lost is checked again: its content is not
 * known, so it is merged once. From step 5 on its content is known.
 */
/* clang-format on */
#include "store/transaction.h"

#include <inttypes.h>

#include "base/log.h"

int transaction_open(struct transaction *transaction, const struct datadir *dir,
                     const struct schema *schema, training_drops_check *has_drops,
                     const char *program, struct cause *cause)
{
    *transaction = (struct transaction){.dir = dir, .program = program, .lock = {.fd = -1}};
    if (ledger_open(&transaction->ledger, dir->state, cause) < 0)
        return -1;
    training_init(&transaction->training, dir, schema, has_drops);
    return 0;
}

void transaction_close(struct transaction *transaction)
{
    if (transaction->dir == NULL)
        return;
    training_close(&transaction->training);
    ledger_close(&transaction->ledger);
    lock_file_release(&transaction->lock);
    transaction->dir = NULL;
}

/* Read what others appended, and repair what a crash left in the ledger. */
static int refresh_ledger(struct transaction *transaction, struct cause *cause)
{
    struct ledger *ledger = &transaction->ledger;

    if (transaction->recovered) {
        log_notice("the last run ended in the middle of its work (%s): recovering",
                   transaction->lock.holder);
        if (ledger_make_durable(ledger, cause) < 0)
            return -1;
    }
    if (ledger_refresh(ledger, true, cause) < 0)
        return -1;
    if (ledger->cut > 0)
        log_warning("the ledger's last batch is torn: %" PRIu64
                    " bytes of it were cut off. Its files merge "
                    "again from the drop directory; if it was no crash, and they are in archive/ "
                    "already, drop "
                    "them again",
                    ledger->cut);
    ledger->cut = 0;
    return 0;
}

int transaction_begin(struct transaction *transaction, unsigned wait_ms, bool adopt,
                      struct cause *cause)
{
    struct training *training = &transaction->training;

    if (lock_file_take(&transaction->lock, transaction->dir->state, "lock", wait_ms, cause) < 0)
        return -1;
    transaction->recovered = transaction->lock.died;
    if (lock_file_mark(&transaction->lock, transaction->program, cause) == 0 &&
        refresh_ledger(transaction, cause) == 0 &&
        (adopt ? training_adopt(training, &transaction->ledger, cause)
               : training_open(training, &transaction->ledger, cause)) == 0)
        return 0;
    /* Keep the mark of a crashed holder, and after a failed sync our own: the next one recovers. */
    transaction_end(transaction, !transaction->recovered && cause->kind != CAUSE_PANIC);
    return -1;
}

int transaction_commit(struct transaction *transaction, struct cause *cause)
{
    if (training_commit(&transaction->training, cause) < 0)
        return -1;
    return ledger_commit(&transaction->ledger, cause);
}

int transaction_rollback(struct transaction *transaction, struct cause *cause)
{
    if (ledger_rollback(&transaction->ledger, cause) < 0)
        return -1;
    return training_rollback(&transaction->training, transaction->ledger.training_end, cause);
}

void transaction_end(struct transaction *transaction, bool clean)
{
    struct cause ignored;

    if (clean)
        lock_file_clear(&transaction->lock, &ignored);
    lock_file_release(&transaction->lock);
}
