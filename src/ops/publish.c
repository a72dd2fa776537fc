#include "ops/publish.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/beneath.h"
#include "fs/durable.h"
#include "ops/report.h"
#include "drop/pending_file.h"

void publisher_init(struct publisher *publisher, struct batch *batch)
{
    *publisher = (struct publisher){.batch = batch};
}

/* A file that was touched and found unchanged leaves the pending list without changing any count
 * but this one, so compare the count instead of pending.changed. */
bool publisher_due(const struct publisher *publisher)
{
    const struct batch *batch = publisher->batch;

    return batch->dropdir.changed || batch->outcome.quarantine_changed ||
           pending_waiting_count(&batch->dropdir.pending) != publisher->pending;
}

/* Best effort: where state/trouble cannot be written, the log has the same text. */
static void write_trouble(const struct datadir *dir, const char *trouble)
{
    struct cause ignored;

    if (trouble[0] == '\0')
        unlinkat(dir->state, "trouble", 0);
    else
        durable_replace(dir->state, "trouble", trouble, strlen(trouble), false, &ignored);
}

/* Publish again if another process published last: it may have seen less of the drop directory. */
static void detect_other_publisher(struct publisher *publisher)
{
    struct batch *batch = publisher->batch;
    struct file_id now = {0};

    beneath_stat(batch->dir->stats, "stats.json", &now);
    if (!file_id_equal(&now, &publisher->stats_json))
        batch->dropdir.changed = batch->dropdir.pending.changed =
            batch->outcome.quarantine_changed = true;
}

static int write_statistics(struct publisher *publisher, struct cause *cause)
{
    struct batch *batch = publisher->batch;
    struct report report = {.stats = &batch->outcome.tally_file,
                            .ledger = &batch->transaction.ledger,
                            .quarantine = &publisher->summary,
                            .user_files = batch->dropdir.files,
                            .total_user_samples = batch->dropdir.rows,
                            .pending = pending_waiting_count(&batch->dropdir.pending),
                            .training_inode = batch->transaction.training.inode};

    if (batch->outcome.quarantine_changed &&
        quarantine_scan(batch->dir, report.ledger, &publisher->summary, cause) < 0)
        return -1;
    batch->outcome.quarantine_changed = false;
    report.time = clock_real();
    if (tally_file_save(report.stats, cause) < 0 || report_write(&report, batch->dir, cause) < 0)
        return -1;
    beneath_stat(batch->dir->stats, "stats.json", &publisher->stats_json);
    publisher->pending = report.pending;
    batch->dropdir.changed = false;
    return 0;
}

static int write_all(struct publisher *publisher, bool save_cache, struct cause *cause)
{
    struct dropdir *drop = &publisher->batch->dropdir;

    detect_other_publisher(publisher);
    if (pending_save(&drop->pending, publisher->batch->dir->state, cause) < 0 ||
        (save_cache && file_cache_save(&drop->file_cache, cause) < 0))
        return -1;
    return publisher_due(publisher) ? write_statistics(publisher, cause) : 0;
}

int publish(struct publisher *publisher, bool save_cache, unsigned wait_ms, const char *trouble,
            struct cause *cause)
{
    int result;

    write_trouble(publisher->batch->dir, trouble);
    if (batch_begin_publish(publisher->batch, wait_ms, cause) < 0)
        return -1;
    result = write_all(publisher, save_cache, cause);
    batch_end_publish(publisher->batch);
    return result;
}
