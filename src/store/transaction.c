/* clang-format off */
/*
 * What a crash leaves, and what the next transaction_begin makes of it. The tests' crash points carry
 * these numbers.
 *
 *   after                              on disk                        recovery
 *   1 the lock is marked               a mark                         the ledger is copied before it is believed
 *   2 rows are appended                a tail behind the ledger's     kept in state/cut/, cut off; the files, still
 *                                      end                            dropped and not booked, merge again
 *   3 the training file is synced      the same, durable              as 2
 *   4 the ledger lines are written     lines, whole or torn, not      a torn batch is cut at the first bad line;
 *                                      durable                        whole lines stand: their rows are durable (3)
 *   5 the ledger is synced             the batch is merged            nothing to do
 *   6 moves, deletions                 some in state/moving/          placement_recover completes them
 *   7 the lock's mark is cleared       all done                       nothing to do
 *
 * The reasons of bad files are synced before 3; where no line books them, placement_recover takes
 * them away.
 *
 * A file is judged again after 2 to 4 and its content is not known yet, so it is new: merged once.
 * After 5 it is known.
 */
/* clang-format on */
#include "store/transaction.h"

#include <inttypes.h>

#include "base/log.h"

int transaction_open(struct transaction *merge, const struct datadir *dir,
                     const struct schema *schema, const char *program, struct cause *cause)
{
    *merge = (struct transaction){.dir = dir, .program = program, .lock = {.fd = -1}};
    if (ledger_open(&merge->ledger, dir->state, cause) < 0)
        return -1;
    training_init(&merge->training, dir, schema);
    return 0;
}

void transaction_close(struct transaction *merge)
{
    if (merge->dir == NULL)
        return;
    training_close(&merge->training);
    ledger_close(&merge->ledger);
    lock_file_release(&merge->lock);
    merge->dir = NULL;
}

int transaction_begin(struct transaction *merge, unsigned wait_ms, bool adopt, struct cause *cause)
{
    if (lock_file_take(&merge->lock, merge->dir->state, "lock", wait_ms, cause) < 0)
        return -1;
    merge->recovered = merge->lock.died;
    if (lock_file_mark(&merge->lock, merge->program, cause) < 0)
        goto fail;
    if (merge->recovered) {
        log_notice("the last run ended in the middle of its work (%s): recovering",
                   merge->lock.holder);
        if (ledger_make_durable(&merge->ledger, cause) < 0)
            goto fail;
    }
    if (ledger_refresh(&merge->ledger, true, cause) < 0)
        goto fail;
    if (merge->ledger.cut > 0)
        log_warning("the ledger's last batch is torn: %" PRIu64
                    " bytes of it were cut off. Its files merge "
                    "again from the drop directory; if it was no crash, and they are in archive/ "
                    "already, drop "
                    "them again",
                    merge->ledger.cut);
    merge->ledger.cut = 0;
    if ((adopt ? training_adopt(&merge->training, &merge->ledger, cause)
               : training_open(&merge->training, &merge->ledger, cause)) < 0)
        goto fail;
    return 0;
fail:
    /* Another holder's crash must not be forgotten, nor our own doubt. */
    transaction_end(merge, !merge->recovered && cause->kind != CAUSE_PANIC);
    return -1;
}

int transaction_commit(struct transaction *merge, struct cause *cause)
{
    if (training_commit(&merge->training, cause) < 0)
        return -1;
    return ledger_commit(&merge->ledger, cause);
}

int transaction_rollback(struct transaction *merge, struct cause *cause)
{
    if (ledger_rollback(&merge->ledger, cause) < 0)
        return -1;
    return training_rollback(&merge->training, merge->ledger.training_end, cause);
}

void transaction_end(struct transaction *merge, bool whole)
{
    struct cause ignored;

    if (whole)
        lock_file_clear(&merge->lock, &ignored);
    lock_file_release(&merge->lock);
}
