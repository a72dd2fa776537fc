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

/* Put a file into the drop directory, accepted with so many rows. Return its ledger line. */
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

/* Return true if a second read of this file is scheduled. */
static bool is_racy(const char *name)
{
    const struct pending_file *file = pending_find(&drop.pending, name);

    return file != NULL && !file->done && file->reason == PENDING_RACY;
}

static void clear_pending(void)
{
    size_t i;

    for (i = 0; i < drop.pending.count; i++)
        pending_done(&drop.pending.files[i]);
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
              dropdir_due(&drop) == CLOCK_NEVER,
          "a scan that only counts makes nothing due");
    check(dropdir_scan(&drop, files, now, &cause) == 0 && drop.files == 4 && drop.rows == 15,
          "the next scan counts the same");
    check(is_due("new.csv") && is_due("changed.csv") && !is_due("known.csv") &&
              drop.pending.count == 3,
          "new and changed files are due, unchanged files are not");
    check(is_due("young.csv") && is_racy("young.csv") && pending_waiting_count(&drop.pending) == 2,
          "an unchanged racy file is due, and does not count as waiting");
    check(dropdir_scan(&drop, files, now, &cause) == 0 && drop.pending.count == 3 &&
              drop.files == 4 && is_racy("young.csv"),
          "a scan leaves a racy file as it is");
    place_append(files, "young.csv", "more");
    check(dropdir_scan(&drop, files, now, &cause) == 0 && !is_racy("young.csv") &&
              is_due("young.csv") && pending_waiting_count(&drop.pending) == 3,
          "a racy file that changed waits for a verdict");
    dropdir_count_out(&drop, "known.csv");
    check(drop.files == 3 && drop.rows == 12, "a file that leaves is no longer counted");
    clear_pending();
}

static void test_recheck(void)
{
    struct file_id small = {.size = 100}, large = {.size = UINT64_C(1) << 30};
    uint64_t at = book("once.csv", 1, true), again = book("twice.csv", 1, true);
    int64_t now = clock_monotonic();

    dropdir_recheck(&drop, "once.csv", &small, at);
    check(drop.pending.count == 0, "no second read where the process ends soon");
    drop.is_daemon = true;
    dropdir_recheck(&drop, "large.csv", &large, at);
    check(drop.pending.count == 0, "no second read of a large file");
    dropdir_recheck(&drop, "once.csv", &small, at);
    check(is_racy("once.csv") && dropdir_due(&drop) >= now + FILE_CACHE_RACY_AGE,
          "a small file is read again when its timestamps can be trusted");
    check(pending_waiting_count(&drop.pending) == 0,
          "an accepted file that is read again does not count as waiting");
    clear_pending();
    pending_recheck(&drop.pending, "once.csv", now, at);
    pending_recheck(&drop.pending, "twice.csv", now, again - 1);
    pending_recheck(&drop.pending, "known.csv", now, 1);
    pending_recheck(&drop.pending, "never.csv", now, 1);
    dropdir_drop_stale_racy(&drop, now);
    pending_sweep(&drop.pending);
    check(is_due("once.csv") && drop.pending.count == 1,
          "a file that was accepted or read again meanwhile is not");
    dropdir_gone(&drop, "once.csv.sha256");
    check(is_racy("once.csv"), "the end of a sidecar changes nothing");
    dropdir_count_in(&drop, pending_find(&drop.pending, "once.csv"));
    now = (int64_t)drop.files;
    dropdir_gone(&drop, "once.csv");
    check(!is_due("once.csv") && (int64_t)drop.files == now - 1,
          "a racy file that leaves is no longer counted");
    clear_pending();
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
