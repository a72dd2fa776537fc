#include "base/clock.h"
#include "drop/dropdir.h"

#include "lib/place.h"
#include "lib/unit.h"
#include "fs/beneath.h"

static int state, files;
static struct cause cause;
static struct config config; /* zeroed: accepted files are kept */
static struct ledger ledger;
static struct dropdir drop;

/* A file in the drop directory that was booked with so many rows, and read too soon or not. */
static uint64_t book(const char *name, uint64_t rows, bool racy)
{
    static struct ledger_line line;
    struct file_id file_id;

    place_put_text(files, name, name);
    line = (struct ledger_line){.verdict = VERDICT_MERGED, .bytes = strlen(name), .rows = rows};
    line.name = name;
    if (ledger_add(&ledger, &line, &cause) < 0 ||
        beneath_stat(files, name, &file_id) != FILE_REGULAR ||
        file_cache_put(&drop.file_cache, name, &file_id, line.at, racy, &cause) < 0)
        abort();
    return line.at;
}

static void begin(void)
{
    struct ledger_line *line = calloc(1, sizeof *line);

    state = place_directory(AT_FDCWD, "state");
    files = place_directory(AT_FDCWD, "files");
    if (line == NULL || ledger_open(&ledger, state, &cause) < 0 ||
        ledger_create(&ledger, &cause) < 0)
        abort();
    line->verdict = VERDICT_STARTED;
    line->name = "training_data.csv";
    if (ledger_add(&ledger, line, &cause) < 0 ||
        dropdir_open(&drop, &config, &ledger, state, &cause) < 0)
        abort();
    free(line);
}

static bool is_due(const char *name)
{
    const struct pending_file *file = pending_find(&drop.pending, name);

    return file != NULL && !file->done && file->due <= clock_monotonic();
}

static void forget_waiting(void)
{
    size_t i;

    for (i = 0; i < drop.pending.count; i++)
        drop.pending.files[i].done = true;
    pending_sweep(&drop.pending);
}

static void test_scan(void)
{
    int64_t now = clock_monotonic();

    book("known.csv", 3, false);
    book("young.csv", 5, true);
    book("changed.csv", 7, false);
    book("gone.csv", 9, false);
    place_append(files, "changed.csv", "more");
    unlinkat(files, "gone.csv", 0);
    place_put_text(files, "new.csv", "new");
    place_put_text(files, "note.txt", "none");
    check(dropdir_scan(&drop, files, CLOCK_NEVER, &cause) == 0 && drop.files == 4 &&
              drop.rows == 15 && drop.ignored == 1 && drop.pending.count == 0 &&
              drop.racy_queue.count == 0 && dropdir_due(&drop) == CLOCK_NEVER,
          "a scan that counts makes nothing due");
    check(dropdir_scan(&drop, files, now, &cause) == 0 && drop.files == 4 && drop.rows == 15,
          "another counts the same");
    check(is_due("new.csv") && is_due("changed.csv") && drop.pending.count == 2,
          "what is new or another one is due, what is known is not");
    check(drop.racy_queue.count == 1 && dropdir_due(&drop) == now,
          "what was read too soon is in no hurry");
    check(dropdir_requeue_racy(&drop, &cause) == 0 && is_due("young.csv") &&
              drop.racy_queue.count == 0,
          "but is due, too");
    dropdir_count_out(&drop, "known.csv");
    check(drop.files == 3 && drop.rows == 12, "one leaves");
    forget_waiting();
}

static void test_recheck(void)
{
    struct file_id small = {.size = 100}, large = {.size = UINT64_C(1) << 30};
    uint64_t at = book("once.csv", 1, true), again = book("twice.csv", 1, true);
    int64_t now = clock_monotonic();
    size_t i;

    dropdir_recheck(&drop, "once.csv", &small, at);
    check(drop.racy_queue.count == 0, "who ends soon does not wait for files to grow old");
    drop.is_daemon = true;
    dropdir_recheck(&drop, "large.csv", &large, at);
    check(drop.racy_queue.count == 0, "a large file is not read again at once");
    dropdir_recheck(&drop, "once.csv", &small, at);
    check(dropdir_due(&drop) > now && dropdir_requeue_racy(&drop, &cause) == 0 &&
              drop.pending.count == 0 && drop.racy_queue.count == 1,
          "a small one is, in time");
    racy_queue_free(&drop.racy_queue);
    racy_queue_add(&drop.racy_queue, "once.csv", at, now);
    racy_queue_add(&drop.racy_queue, "twice.csv", again - 1, now);
    racy_queue_add(&drop.racy_queue, "known.csv", 1, now);
    racy_queue_add(&drop.racy_queue, "never.csv", 1, now);
    check(dropdir_requeue_racy(&drop, &cause) == 0 && is_due("once.csv") &&
              drop.pending.count == 1 && drop.racy_queue.count == 0,
          "but not what was booked or looked at since");
    forget_waiting();
    for (i = 0; i < 2000; i++)
        racy_queue_add(&drop.racy_queue, "once.csv", at, now);
    check(dropdir_requeue_racy(&drop, &cause) == 0 && drop.racy_queue.count > 1000 &&
              dropdir_due(&drop) == now,
          "never too many at once");
    forget_waiting();
}

int main(void)
{
    close(place_enter());
    if (chdir(place) < 0)
        return 1;
    begin();
    test_scan();
    test_recheck();
    dropdir_close(&drop);
    ledger_close(&ledger);
    close(files);
    close(state);
    return unit_done();
}
