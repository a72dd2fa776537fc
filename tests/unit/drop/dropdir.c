#include "drop/dropdir.h"

#include "lib/place.h"
#include "lib/unit.h"

static int state, files;
static struct cause cause;
static struct config config; /* zeroed: accepted files are kept */
static struct ledger ledger;
static struct drop drop;

/* A file in the drop directory that was booked with so many rows, and read too soon or not. */
static uint64_t book(const char *name, uint64_t rows, bool young)
{
    static struct ledger_line line;
    struct signature signature;

    place_put_text(files, name, name);
    line = (struct ledger_line){.verdict = VERDICT_MERGED, .bytes = strlen(name), .rows = rows};
    snprintf(line.name, sizeof line.name, "%s", name);
    if (ledger_add(&ledger, &line, &cause) < 0 ||
        spool_look(files, name, &signature) != SPOOL_FILE ||
        seen_put(&drop.seen, name, &signature, line.at, young, &cause) < 0)
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
    snprintf(line->name, sizeof line->name, "training_data.csv");
    if (ledger_add(&ledger, line, &cause) < 0 ||
        drop_open(&drop, &config, &ledger, state, &cause) < 0)
        abort();
    free(line);
}

static bool is_due(const char *name)
{
    const struct waiting_file *file = waiting_find(&drop.waiting, name);

    return file != NULL && !file->done && file->due <= waiting_now();
}

static void forget_waiting(void)
{
    size_t i;

    for (i = 0; i < drop.waiting.count; i++)
        drop.waiting.files[i].done = true;
    waiting_sweep(&drop.waiting);
}

static void test_scan(void)
{
    int64_t now = waiting_now();

    book("known.csv", 3, false);
    book("young.csv", 5, true);
    book("changed.csv", 7, false);
    book("gone.csv", 9, false);
    place_append(files, "changed.csv", "more");
    unlinkat(files, "gone.csv", 0);
    place_put_text(files, "new.csv", "new");
    place_put_text(files, "note.txt", "none");
    check(drop_scan(&drop, files, WAITING_NEVER, &cause) == 0 && drop.files == 4 &&
              drop.rows == 15 && drop.ignored == 1 && drop.waiting.count == 0 &&
              drop.recheck.count == 0 && drop_due(&drop) == WAITING_NEVER,
          "a scan that counts makes nothing due");
    check(drop_scan(&drop, files, now, &cause) == 0 && drop.files == 4 && drop.rows == 15,
          "another counts the same");
    check(is_due("new.csv") && is_due("changed.csv") && drop.waiting.count == 2,
          "what is new or another one is due, what is known is not");
    check(drop.recheck.count == 1 && drop_due(&drop) == now,
          "what was read too soon is in no hurry");
    check(drop_wake(&drop, &cause) == 0 && is_due("young.csv") && drop.recheck.count == 0,
          "but is due, too");
    drop_count_out(&drop, "known.csv");
    check(drop.files == 3 && drop.rows == 12, "one leaves");
    forget_waiting();
}

static void test_recheck(void)
{
    struct signature small = {.size = 100}, large = {.size = UINT64_C(1) << 30};
    uint64_t at = book("once.csv", 1, true), again = book("twice.csv", 1, true);
    int64_t now = waiting_now();
    size_t i;

    drop_recheck(&drop, "once.csv", &small, at);
    check(drop.recheck.count == 0, "who ends soon does not wait for files to grow old");
    drop.lingers = true;
    drop_recheck(&drop, "large.csv", &large, at);
    check(drop.recheck.count == 0, "a large file is not read again at once");
    drop_recheck(&drop, "once.csv", &small, at);
    check(drop_due(&drop) > now && drop_wake(&drop, &cause) == 0 && drop.waiting.count == 0 &&
              drop.recheck.count == 1,
          "a small one is, in time");
    recheck_free(&drop.recheck);
    recheck_add(&drop.recheck, "once.csv", at, now);
    recheck_add(&drop.recheck, "twice.csv", again - 1, now);
    recheck_add(&drop.recheck, "known.csv", 1, now);
    recheck_add(&drop.recheck, "never.csv", 1, now);
    check(drop_wake(&drop, &cause) == 0 && is_due("once.csv") && drop.waiting.count == 1 &&
              drop.recheck.count == 0,
          "but not what was booked or looked at since");
    forget_waiting();
    for (i = 0; i < 2000; i++)
        recheck_add(&drop.recheck, "once.csv", at, now);
    check(drop_wake(&drop, &cause) == 0 && drop.recheck.count > 1000 && drop_due(&drop) == now,
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
    drop_close(&drop);
    ledger_close(&ledger);
    close(files);
    close(state);
    return unit_done();
}
