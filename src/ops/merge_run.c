#include "ops/merge_run.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void count_event(void *context, const struct ingest_notice *notice)
{
    struct merge_run *run = context;

    run->files[notice->event]++;
    if (notice->event == INGEST_MERGED || notice->event == INGEST_GROWN)
        run->rows += notice->rows;
    if (run->request.notify != NULL)
        run->request.notify(run->request.notify_context, notice);
}

int merge_run_open(struct merge_run *run, struct session *session,
                   const struct merge_run_request *request, struct cause *cause)
{
    const struct batch_request batch_request = {.config = &session->config,
                                                .schema = &session->schema,
                                                .dir = &session->dir,
                                                .program = request->program,
                                                .notify = count_event,
                                                .notify_context = run};

    *run = (struct merge_run){.request = *request};
    if (batch_open(&run->batch, &batch_request, cause) < 0)
        return -1;
    publisher_init(&run->publisher, &run->batch);
    return 0;
}

void merge_run_close(struct merge_run *run)
{
    batch_close(&run->batch);
}

/* Wait until a file is due or a large file has been read. */
static void wait_for_batch(const struct batch *batch)
{
    struct pollfd ready = {.fd = batch_fd(batch), .events = POLLIN};
    int64_t due = batch_due(batch), now = clock_monotonic();
    struct timespec pause = {0};

    if (due == CLOCK_NEVER)
        ppoll(&ready, 1, NULL, NULL);
    else if (due > now) {
        pause = (struct timespec){(due - now) / CLOCK_SECOND, (due - now) % CLOCK_SECOND};
        ppoll(&ready, 1, &pause, NULL);
    }
}

/* Run batches until nothing is due, or only what has had its time of quiet. */
static int run_batches(struct merge_run *run, struct cause *cause)
{
    struct batch *batch = &run->batch;
    const int64_t quiet = clock_seconds(batch->config->settle) + CLOCK_SECOND / 2;
    int64_t deadline = clock_monotonic();
    bool passed = false, reading;

    while (batch_due(batch) <= deadline || batch_has_large(batch)) {
        wait_for_batch(batch);
        reading = batch_has_large(batch);
        if (batch_run(batch, run->request.wait_ms, cause) < 0)
            return -1;
        /* A file that fails may still be growing: wait once for it to be quiet, counted from the end
         * of the first pass. The time that reading a large file takes does not count. */
        if (reading || !passed)
            deadline = clock_monotonic() + quiet;
        passed = passed || pending_all_checked(&batch->dropdir.pending, clock_monotonic());
    }
    return 0;
}

static int scan(struct merge_run *run, int64_t due, struct cause *cause)
{
    return batch_scan(&run->batch, due, run->request.wait_ms, cause);
}

int merge_run_all(struct merge_run *run, struct cause *cause)
{
    if (scan(run, clock_monotonic(), cause) < 0 || run_batches(run, cause) < 0)
        return -1;
    return publish(&run->publisher, true, run->request.wait_ms, "", cause);
}

int merge_run_file(struct merge_run *run, const char *name, struct cause *cause)
{
    if (batch_arrive(&run->batch, name, true, clock_monotonic(), cause) < 0 ||
        run_batches(run, cause) < 0 || scan(run, CLOCK_NEVER, cause) < 0)
        return -1;
    return publish(&run->publisher, true, run->request.wait_ms, "", cause);
}

int merge_run_adopt(struct merge_run *run, bool drops_merged, struct cause *cause)
{
    if (batch_adopt(&run->batch, drops_merged, cause) < 0 || scan(run, CLOCK_NEVER, cause) < 0)
        return -1;
    return publish(&run->publisher, false, run->request.wait_ms, "", cause);
}

const struct pending *merge_run_pending(const struct merge_run *run)
{
    return &run->batch.dropdir.pending;
}

uint64_t merge_run_training_rows(const struct merge_run *run)
{
    return run->batch.transaction.ledger.training_rows;
}
