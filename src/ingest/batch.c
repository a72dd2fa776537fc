#include "ingest/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ingest/adopt.h"
#include "ingest/placement_recovery.h"
#include "ingest/classify.h"
#include "ingest/gate.h"
#include "fs/durable.h"
#include "base/log.h"

#define BATCH_FILES 10000
#define BATCH_TIME  INT64_C(500000000) /* a batch that has taken so long is committed */

int batch_open(struct batch *batch, const struct batch_request *request, struct cause *cause)
{
    *batch = (struct batch){.config = request->config, .dir = request->dir, .recover_due = true};
    batch->env = (struct ingest_env){.config = request->config,
                                     .schema = request->schema,
                                     .dir = request->dir,
                                     .transaction = &batch->transaction,
                                     .dropdir = &batch->dropdir};
    if (transaction_open(&batch->transaction, request->dir, request->schema, adopt_has_drops,
                         request->program, cause) < 0 ||
        (batch->reader_pool = reader_pool_new(&batch->env, cause)) == NULL ||
        dropdir_open(&batch->dropdir, request->config, &batch->transaction.ledger,
                     request->dir->state, cause) < 0 ||
        outcome_open(&batch->outcome, &batch->env, request->schema, cause) < 0) {
        batch_close(batch);
        return -1;
    }
    batch->dropdir.notify = request->notify;
    batch->dropdir.notify_context = request->notify_context;
    return 0;
}

void batch_close(struct batch *batch)
{
    outcome_close(&batch->outcome);
    dropdir_close(&batch->dropdir);
    reader_pool_free(batch->reader_pool);
    transaction_close(&batch->transaction);
}

int64_t batch_due(const struct batch *batch)
{
    return reader_pool_background_is_ready(batch->reader_pool) ? 0 : dropdir_due(&batch->dropdir);
}

int batch_fd(const struct batch *batch)
{
    return reader_pool_fd(batch->reader_pool);
}

bool batch_has_large(const struct batch *batch)
{
    return reader_pool_background(batch->reader_pool) != NULL;
}

void batch_set_daemon(struct batch *batch, dropdir_enter_fn *enter, void *enter_context)
{
    batch->dropdir.is_daemon = true;
    batch->dropdir.enter = enter;
    batch->dropdir.enter_context = enter_context;
}

int batch_arrive(struct batch *batch, const char *name, bool writer_closed, int64_t due,
                 struct cause *cause)
{
    return dropdir_arrive(&batch->dropdir, name, writer_closed, due, cause);
}

void batch_gone(struct batch *batch, const char *name)
{
    dropdir_gone(&batch->dropdir, name);
}

void batch_merge_all_now(struct batch *batch)
{
    dropdir_merge_all_now(&batch->dropdir);
}

/* ---- the lock ----------------------------------------------------------------------------- */

static void end(struct batch *batch, bool whole)
{
    transaction_end(&batch->transaction, whole);
    datadir_close_drop(batch->dir);
}

/* Takes the lock, and notes if others have booked lines meanwhile. */
static int take_lock(struct batch *batch, unsigned wait_ms, bool adopt, struct cause *cause)
{
    const uint64_t end_before = batch->transaction.ledger.end;

    if (transaction_begin(&batch->transaction, wait_ms, adopt, cause) < 0)
        return -1;
    batch->recount_due |= batch->transaction.ledger.end != end_before;
    return 0;
}

static int begin(struct batch *batch, unsigned wait_ms, bool adopt, struct cause *cause)
{
    struct transaction *transaction = &batch->transaction;

    if (datadir_open_drop(batch->dir, cause) < 0)
        return -1;
    if (take_lock(batch, wait_ms, adopt, cause) < 0) {
        datadir_close_drop(batch->dir);
        return -1;
    }
    if (batch->recover_due || transaction->recovered) {
        durable_sweep(batch->dir->state);
        durable_sweep(batch->dir->stats);
        durable_sweep(batch->dir->cut);
        if (placement_recover(batch->dir, &transaction->ledger, batch->config, cause) < 0)
            goto fail;
        batch->recover_due = transaction->recovered = false;
        batch->outcome.quarantine_changed = true;
    }
    if (tally_file_catch_up(&batch->outcome.tally_file, &transaction->ledger,
                            &transaction->training, cause) < 0)
        goto fail;
    return 0;
fail:
    end(batch, false);
    return -1;
}

int batch_scan(struct batch *batch, int64_t due, unsigned wait_ms, struct cause *cause)
{
    int result;

    if (begin(batch, wait_ms, false, cause) < 0)
        return -1;
    end(batch, true);
    if (datadir_open_drop(batch->dir, cause) < 0)
        return -1;
    result = dropdir_scan(&batch->dropdir, batch->dir->drop, due, cause);
    datadir_close_drop(batch->dir);
    batch->recount_due &= result < 0;
    return result;
}

int batch_look_into(struct batch *batch, const char *directory, int64_t due, struct cause *cause)
{
    int result;

    if (datadir_open_drop(batch->dir, cause) < 0)
        return -1;
    result = dropdir_scan_directory(&batch->dropdir, batch->dir->drop, directory, due, cause);
    datadir_close_drop(batch->dir);
    return result;
}

/* ---- a batch ------------------------------------------------------------------------------ */

/* Read the file again as long as content that was recorded since may be its beginning, or the
 * beginning that was found does not count. Each time less content is left to be found. */
static enum upload_result settle_prefix(struct batch *batch, struct upload *upload,
                                        struct cause *cause)
{
    struct file_check *file_check = reader_pool_file_check(batch->reader_pool);
    enum upload_result result = UPLOAD_CHECKED;
    bool again = !upload->detached && upload_may_follow_recorded(upload), counts;

    for (;;) {
        if (again)
            result = upload_prepare_reread(upload, cause);
        if (again && result == UPLOAD_CHECKED)
            result = upload_read(upload, file_check, cause);
        if (result != UPLOAD_CHECKED)
            return result;
        if (classify_prefix(upload, &counts, cause) < 0)
            return UPLOAD_FAILED;
        if (counts)
            return UPLOAD_CHECKED;
        again = true;
    }
}

/* The second half of the story: classify a file that was read, and merge or reject it. */
static int finish_file(struct batch *batch, struct upload *upload, enum upload_result result,
                       struct cause *cause)
{
    enum file_class class;
    int done = 0;

    if (result == UPLOAD_CHECKED)
        result = settle_prefix(batch, upload, cause);
    if (result == UPLOAD_CHANGED)
        upload_postpone(upload, cause);
    else if (result == UPLOAD_FAILED || classify(upload, &class, cause) < 0)
        done = -1;
    else
        done = outcome_record(&batch->outcome, upload, class, cause);
    reader_pool_release(batch->reader_pool, upload);
    return done;
}

/* Finish the file that was begun first. Return 1; 0: none is being read; -1. */
static int finish_next(struct batch *batch, struct cause *cause)
{
    enum upload_result result;
    struct upload *upload = reader_pool_next(batch->reader_pool, &result, cause);

    if (upload == NULL)
        return 0;
    return finish_file(batch, upload, result, cause) < 0 ? -1 : 1;
}

/* Finish the large file that was read in the background, if it is ready. */
static int finish_background(struct batch *batch, struct cause *cause)
{
    struct pending *pending = &batch->dropdir.pending;
    enum upload_result result;
    struct upload *upload = reader_pool_take_background(batch->reader_pool, &result, cause);
    struct pending_file *file;
    bool changed;
    int done;

    if (upload == NULL)
        return 0;
    changed = upload->changed_while_reading;
    file = pending_add(pending, upload->name);
    if (file == NULL) {
        reader_pool_release(batch->reader_pool, upload);
        return cause_memory(cause);
    }
    if (result == UPLOAD_CHECKED)
        result = upload_reattach(upload, file, cause);
    upload->file = file;
    if (result == UPLOAD_CHANGED)
        upload->now = clock_monotonic(); /* postpone it by a moment, not by the time it took */
    done = finish_file(batch, upload, result, cause);
    pending_release_queued(pending, clock_monotonic());
    /* The rollback does not requeue a file that was checked before the batch began. */
    if (done < 0 || changed)
        pending_wake(file, clock_monotonic());
    return done;
}

/* Read a large file in the background, or after the one that is there. */
static int begin_background(struct batch *batch, struct upload *upload, struct cause *cause)
{
    const bool queued = reader_pool_background(batch->reader_pool) != NULL;

    pending_hold(upload->file, queued, upload->now);
    if (!queued && reader_pool_read_background(batch->reader_pool, upload, cause) == 0)
        return 0;
    if (!queued) {
        log_warning("%s: %s", upload->name, cause->text);
        pending_wake(upload->file, upload->now + clock_seconds(1));
    }
    reader_pool_release(batch->reader_pool, upload);
    return 0;
}

static int begin_reading(struct batch *batch, struct upload *upload, bool alone,
                         struct cause *cause)
{
    int result = 0;

    if (reader_pool_is_large(upload))
        return begin_background(batch, upload, cause);
    while (result >= 0 && !reader_pool_has_room(batch->reader_pool, upload))
        result = finish_next(batch, cause);
    if (result < 0)
        reader_pool_release(batch->reader_pool, upload);
    else
        reader_pool_read(batch->reader_pool, upload, alone);
    return result < 0 ? -1 : 0;
}

/* The story of a file: pass the gate, read, check; finish_file has the rest. */
static int begin_file(struct batch *batch, struct upload *upload, struct pending_file *file,
                      bool alone, struct cause *cause)
{
    struct upload *large = reader_pool_background(batch->reader_pool);
    int result = 0;

    if (large != NULL && strcmp(large->name, file->name) == 0) {
        large->changed_while_reading = true;
        pending_hold(file, false, clock_monotonic());
    } else {
        switch (gate_pass(upload, file, cause)) {
        case GATE_READ:
            return begin_reading(batch, upload, alone, cause);
        case GATE_UNCHANGED:
            result = outcome_record(&batch->outcome, upload, CLASS_UNCHANGED, cause);
            break;
        case GATE_CLOSED:
            break;
        case GATE_FAILED:
            result = -1;
            break;
        }
    }
    reader_pool_release(batch->reader_pool, upload);
    return result;
}

/* Go through all files that are due, in the order of their arrival. */
static int run_files(struct batch *batch, struct cause *cause)
{
    const int64_t start = batch->batch_start;
    size_t i, count;
    struct pending_file **due = pending_list_due(&batch->dropdir.pending, start, &count);
    struct upload *upload = NULL;
    int result = 0, finished;

    if (due == NULL)
        return cause_memory(cause);
    reader_pool_begin(batch->reader_pool, due, count < BATCH_FILES ? count : BATCH_FILES);
    for (i = 0; i < count && i < BATCH_FILES && result >= 0; i++) {
        if (clock_monotonic() - start >= BATCH_TIME)
            break;
        while (result >= 0 && (upload = reader_pool_open_next(batch->reader_pool)) == NULL)
            result = finish_next(batch, cause);
        if (result >= 0)
            result = begin_file(batch, upload, due[i], count == 1, cause);
    }
    while (result >= 0 && (finished = finish_next(batch, cause)) != 0)
        result = finished;
    reader_pool_end(batch->reader_pool);
    free(due);
    return result < 0 ? -1 : 0;
}

/* Small files that are due go before a large file that is ready, every other time: appending a
 * large file takes as long as the disk needs. */
static bool large_waits(struct batch *batch)
{
    batch->small_first = !batch->small_first &&
                         reader_pool_background_is_ready(batch->reader_pool) &&
                         dropdir_due(&batch->dropdir) <= batch->batch_start;
    return batch->small_first;
}

static int run_batch(struct batch *batch, struct cause *cause)
{
    int result;

    if (upload_begin_batch(&batch->env, cause) < 0)
        return -1;
    result = large_waits(batch) ? 0 : finish_background(batch, cause);
    if (result == 0)
        result = run_files(batch, cause);
    upload_end_batch(&batch->env);
    if (result < 0 || outcome_sync(&batch->outcome, cause) < 0)
        return -1;
    return transaction_commit(&batch->transaction, cause);
}

/* Roll back: requeue the batch's files and reload the counters. */
static void roll_back(struct batch *batch, struct cause *cause)
{
    struct cause second;

    pending_rollback(&batch->dropdir.pending, batch->batch_start);
    if (outcome_discard(&batch->outcome, &second) < 0 ||
        transaction_rollback(&batch->transaction, &second) < 0) {
        *cause = second;
        cause->kind = CAUSE_PANIC;
    }
    batch->recover_due = batch->recount_due = true;
}

int batch_run(struct batch *batch, unsigned wait_ms, struct cause *cause)
{
    int result;

    if (begin(batch, wait_ms, false, cause) < 0)
        return -1;
    batch->batch_start = clock_monotonic();
    dropdir_drop_stale_racy(&batch->dropdir, batch->batch_start);
    result = run_batch(batch, cause);
    if (result < 0) {
        if (cause->kind != CAUSE_PANIC)
            roll_back(batch, cause);
        end(batch, cause->kind != CAUSE_PANIC);
        return -1;
    }
    batch->outcome.tally_file.at = batch->transaction.ledger.end;
    result = outcome_apply(&batch->outcome, cause);
    pending_sweep(&batch->dropdir.pending);
    batch->recover_due |= result < 0;
    end(batch, result == 0);
    return result;
}

/* ---- adopting ----------------------------------------------------------------------------- */

int batch_adopt(struct batch *batch, bool drops_merged, struct cause *cause)
{
    int result;

    if (begin(batch, 30000, true, cause) < 0)
        return -1;
    /* Commit the lines together with the adopted line: after a crash all are there or none. */
    result = drops_merged
                 ? adopt_drops(&batch->env, reader_pool_file_check(batch->reader_pool), cause)
                 : 0;
    if (result == 0)
        result = ledger_commit(&batch->transaction.ledger, cause);
    if (result == 0)
        result = tally_file_catch_up(&batch->outcome.tally_file, &batch->transaction.ledger,
                                     &batch->transaction.training, cause);
    end(batch, result == 0);
    return result;
}

/* ---- publishing --------------------------------------------------------------------------- */

void batch_end_publish(struct batch *batch)
{
    transaction_end(&batch->transaction, !batch->transaction.recovered);
}

int batch_begin_publish(struct batch *batch, unsigned wait_ms, struct cause *cause)
{
    if (take_lock(batch, wait_ms, false, cause) < 0)
        return -1;
    if (batch->recount_due && datadir_open_drop(batch->dir, cause) == 0) {
        batch->recount_due =
            dropdir_scan(&batch->dropdir, batch->dir->drop, CLOCK_NEVER, cause) < 0;
        datadir_close_drop(batch->dir);
    }
    if (tally_file_catch_up(&batch->outcome.tally_file, &batch->transaction.ledger,
                            &batch->transaction.training, cause) < 0) {
        batch_end_publish(batch);
        return -1;
    }
    return 0;
}
