#include "ingest/placement_recovery.h"

#include <signal.h>

#include "base/log.h"
#include "ingest/move_out.h"
#include "lib/data_dir.h"
#include "lib/packing.h"
#include "lib/unit.h"

/* Recover, and once more: the second time nothing may be left to do. */
static bool recovered(void)
{
    bool right = placement_recover(&dir, &ledger, &config, &cause) == 0;

    right = right && placement_recover(&dir, &ledger, &config, &cause) == 0;
    if (!right)
        printf("# %s\n", cause.text);
    return right && count_in(dir.moving) == 0;
}

static void put_moving(uint64_t seq, enum moving_file which, const char *text)
{
    char name[MOVING_NAME_SIZE];

    moving_name(name, seq, which);
    place_put_text(dir.moving, name, text);
}

/* Place one file by hand, as placement_finish had done before the crash. */
static void place_one(uint64_t seq, enum moving_file which, const char *to)
{
    char name[MOVING_NAME_SIZE];

    moving_name(name, seq, which);
    renameat(dir.moving, name, dir.quarantine, to);
}

/* ---- the decision table ------------------------------------------------------------------- */

enum { LINE_NONE, LINE_QUARANTINED, LINE_ACCEPTED };

/* A line of the table on top of placement_recovery.c: what is there, and where it is afterwards. */
static const struct decision {
    const char *what;
    int line;
    const char *file; /* in state/moving/; NULL: missing */
    bool dropped;     /* the file is in the drop directory afterwards */
    bool placed;      /* the file is in quarantine/ or archive/ afterwards */
    bool reasons;     /* the reasons are in quarantine/ afterwards */
} decisions[] = {
    {"no line, no file", LINE_NONE, NULL, false, false, false},
    {"no line, a file", LINE_NONE, "data", true, false, false},
    {"quarantined, the content judged", LINE_QUARANTINED, "data", false, true, true},
    {"quarantined, another file", LINE_QUARANTINED, "other", true, false, false},
    {"quarantined, no file", LINE_QUARANTINED, NULL, false, false, false},
    {"accepted, the content judged", LINE_ACCEPTED, "data", false, true, true},
    {"accepted, another file", LINE_ACCEPTED, "other", true, false, true},
    {"accepted, no file", LINE_ACCEPTED, NULL, false, false, true},
};

/* Write the name under which the file, or a sidecar without its file, comes back. */
static void name_returned(char out[64], const struct decision *decision, uint64_t seq)
{
    if (decision->line == LINE_NONE)
        snprintf(out, 64, "recovered.%" PRIu64 ".csv", seq);
    else
        snprintf(out, 64, "a.csv");
}

static void test_decision(const struct decision *decision)
{
    char returned[64];
    uint64_t seq;
    int place_fd;

    data_dir_open();
    config.source = CONFIG_SOURCE_ARCHIVE;
    seq = decision->line == LINE_NONE          ? ledger.next_seq + 9
          : decision->line == LINE_QUARANTINED ? book(VERDICT_QUARANTINED, "a.csv", "data")
                                               : book(VERDICT_MERGED, "a.csv", "data");
    write_reasons(seq, 3);
    put_moving(seq, MOVING_SHA256, "sum");
    put_moving(seq, MOVING_DONE, "");
    if (decision->file != NULL)
        put_moving(seq, MOVING_FILE, decision->file);
    name_returned(returned, decision, seq);
    check(recovered(), "%s: nothing is left in state/moving/", decision->what);
    check(holds(dir.drop, returned, "", decision->dropped ? decision->file : NULL),
          "%s: the file is %sdropped again", decision->what, decision->dropped ? "" : "not ");
    place_fd = decision->line == LINE_ACCEPTED ? dir.archive : dir.quarantine;
    check(holds(place_fd, "a.csv", "", decision->placed ? decision->file : NULL),
          "%s: the file is %splaced", decision->what, decision->placed ? "" : "not ");
    check(decision->placed
              ? holds(place_fd, "a.csv", ".sha256", "sum") && holds(place_fd, "a.csv", ".done", "")
              : holds(dir.drop, returned, ".sha256", "sum") &&
                    holds(dir.drop, returned, ".done", ""),
          "%s: the sidecars go where the file goes", decision->what);
    check(holds(dir.quarantine, "a.csv", ".errors.csv", decision->reasons ? REASONS("3") : NULL),
          "%s: the reasons are %s", decision->what, decision->reasons ? "placed" : "deleted");
    data_dir_close();
}

/* ---- a crash after each step -------------------------------------------------------------- */

static void test_quarantine_steps(void)
{
    static const char *const steps[] = {"its reasons are written", "the line is committed",
                                        "the file is in state/moving/", "its reasons are placed",
                                        "the file is placed"};
    struct file_id read;
    uint64_t seq;
    size_t step;

    for (step = 0; step < sizeof steps / sizeof *steps; step++) {
        data_dir_open();
        quarantine("a.csv", "older", 1);
        read = drop("a.csv", "bad");
        seq = ledger.next_seq;
        write_reasons(seq, 2);
        if (step >= 1)
            book(VERDICT_QUARANTINED, "a.csv", "bad");
        if (step >= 2)
            take_file("a.csv", &read, seq);
        if (step >= 3)
            place_one(seq, MOVING_ERRORS, "a.csv.~2~.errors.csv");
        if (step >= 4)
            place_one(seq, MOVING_FILE, "a.csv.~2~");
        check(recovered(), "a crash after '%s'", steps[step]);
        if (step < 2)
            check(holds(dir.drop, "a.csv", "", "bad") && count_in(dir.quarantine) == 2,
                  "the file is still in the drop directory, to be judged again");
        else
            check(count_in(dir.drop) == 0 && holds(dir.quarantine, "a.csv.~2~", "", "bad") &&
                      holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")) &&
                      count_in(dir.quarantine) == 4,
                  "the file has its place, with its own reasons");
        check(holds(dir.quarantine, "a.csv", "", "older") &&
                  holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
              "the older file is untouched");
        data_dir_close();
    }
}

static void test_sources(void)
{
    static const char *const sources[] = {"keep", "archive", "delete"};
    struct file_id read;
    uint64_t seq;
    int source;

    for (source = 0; source < 3; source++) {
        data_dir_open();
        config.source = (enum config_source)source;
        place_put_text(dir.archive, "a.csv", "older");
        read = drop("a.csv", "good");
        seq = book(VERDICT_MERGED, "a.csv", "good");
        take_file("a.csv", &read, seq);
        check(recovered() && holds(dir.archive, "a.csv", "", "older"),
              "an accepted file in state/moving/, and source = %s", sources[source]);
        check(holds(dir.drop, "a.csv", "", source == CONFIG_SOURCE_KEEP ? "good" : NULL) &&
                  holds(dir.archive, "a.csv.~2~", "",
                        source == CONFIG_SOURCE_ARCHIVE ? "good" : NULL),
              "the file is where the configuration wants it");
        data_dir_close();
    }
}

static void test_rejected_rows(void)
{
    uint64_t seq;
    int placed;

    for (placed = 0; placed < 3; placed++) {
        data_dir_open();
        drop("a.csv", "good\nbad\n");
        seq = ledger.next_seq;
        write_reasons(seq, 2);
        write_rejects(seq, "header\nbad\n");
        book(VERDICT_MERGED, "a.csv", "good\nbad\n");
        if (placed > 0)
            place_one(seq, MOVING_ERRORS, "a.csv.errors.csv");
        if (placed > 1)
            place_one(seq, MOVING_REJECTS, "a.csv.rejects.csv");
        check(recovered() && holds(dir.drop, "a.csv", "", "good\nbad\n") &&
                  holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("2")) &&
                  holds(dir.quarantine, "a.csv", ".rejects.csv", "header\nbad\n") &&
                  count_in(dir.quarantine) == 2,
              "the bad rows of a kept file, %d of 2 placed before the crash", placed);
        data_dir_close();
    }
}

static void test_sidecars(void)
{
    uint64_t seq;
    char name[MOVING_NAME_SIZE];

    data_dir_open();
    take_with_sidecars(VERDICT_QUARANTINED, "q.csv", "bad", "1");
    check(recovered() && count_in(dir.quarantine) == 4 &&
              holds(dir.quarantine, "q.csv", ".sha256", "1"),
          "a file with its sidecars in state/moving/");
    seq = take_with_sidecars(VERDICT_QUARANTINED, "r.csv", "bad", "1");
    place_one(seq, MOVING_ERRORS, "r.csv.errors.csv");
    place_one(seq, MOVING_SHA256, "r.csv.sha256");
    check(recovered() && count_in(dir.quarantine) == 8 &&
              holds(dir.quarantine, "r.csv", ".sha256", "1") &&
              holds(dir.quarantine, "r.csv", "", "bad"),
          "a sidecar was placed before the crash");
    seq = take_with_sidecars(VERDICT_QUARANTINED, "s.csv", "bad", "1");
    moving_name(name, seq, MOVING_FILE);
    renameat(dir.moving, name, dir.drop, "s.csv");
    check(recovered() && count_in(dir.drop) == 3 && holds(dir.drop, "s.csv", ".sha256", "1"),
          "sidecars whose file is in the drop directory are moved back");
    data_dir_close();
}

/* ---- the content of the line -------------------------------------------------------------- */

/* Move a compressed file to state/moving/ whose line was booked for this content. */
static struct buffer take_compressed(enum decompress_format format, const char *inside,
                                     const char *name, const char *booked)
{
    struct buffer bytes = {0};
    struct file_id read;
    uint64_t seq;

    pack(&bytes, format, inside, strlen(inside));
    place_put(dir.drop, name, bytes.data, bytes.len);
    if (beneath_stat(dir.drop, name, &read) != FILE_REGULAR)
        abort();
    seq = book(VERDICT_MERGED, name, booked);
    take_file(name, &read, seq);
    return bytes;
}

/* Return true if the file has these bytes, and free them. */
static bool holds_bytes(int fd, const char *name, struct buffer *want)
{
    struct buffer bytes = {0};
    bool same = place_get(fd, name, &bytes) && bytes.len == want->len &&
                memcmp(bytes.data, want->data, bytes.len) == 0;

    buffer_free(&bytes);
    buffer_free(want);
    return same;
}

static void test_compressed(void)
{
    struct buffer bytes;
    char name[64];

    data_dir_open();
    config.source = CONFIG_SOURCE_ARCHIVE;
    bytes = take_compressed(DECOMPRESS_GZIP, "good", "a.csv.gz", "good");
    check(recovered() && holds_bytes(dir.archive, "a.csv.gz", &bytes),
          "a gzip file is known by what is inside");
    bytes = take_compressed(DECOMPRESS_ZSTD, "good", "a.csv.zst", "good");
    check(recovered() && holds_bytes(dir.archive, "a.csv.zst", &bytes),
          "a zstd file is known by what is inside");
    bytes = take_compressed(DECOMPRESS_PLAIN, "\x1F\x8B\x08", "b.csv.gz", "\x1F\x8B\x08");
    check(recovered() && holds_bytes(dir.archive, "b.csv.gz", &bytes),
          "a damaged gzip file is known by its own bytes");
    bytes = take_compressed(DECOMPRESS_GZIP, "other", "c.csv.gz", "good");
    check(recovered() && holds_bytes(dir.drop, "c.csv.gz", &bytes),
          "a gzip file with something else inside is moved back");
    bytes = (struct buffer){0};
    pack(&bytes, DECOMPRESS_ZSTD, "good", 4);
    moving_name(name, ledger.next_seq + 7, MOVING_FILE);
    place_put(dir.moving, name, bytes.data, bytes.len);
    snprintf(name, sizeof name, "recovered.%" PRIu64 ".csv.zst", ledger.next_seq + 7);
    check(recovered() && holds_bytes(dir.drop, name, &bytes),
          "a zstd file without a line is dropped again as %s", name);
    data_dir_close();
}

static void test_others_changes(void)
{
    struct file_id read;
    uint64_t seq;

    data_dir_open();
    place_put_text(dir.moving, ".7.errors.csv.tmp", "half");
    check(recovered(), "temporary files are deleted");

    read = drop("a.csv", "bad");
    seq = book(VERDICT_QUARANTINED, "a.csv", "what was read");
    take_file("a.csv", &read, seq);
    place_put_text(dir.drop, "a.csv", "newer");
    check(recovered() && holds(dir.drop, "a.csv", "", "newer") && count_in(dir.drop) == 2,
          "a file is moved back beside a newer one of its name");

    read = drop("b.csv", "bad");
    seq = book(VERDICT_QUARANTINED, "b.csv", "bad");
    take_file("b.csv", &read, seq);
    check(recovered() && holds(dir.quarantine, "b.csv", "", "bad"),
          "a file is placed although its reasons were deleted from quarantine");
    seq = ledger.next_seq;
    write_rejects(seq, "header\nbad\n");
    book(VERDICT_MERGED, "c.csv", "good\nbad\n");
    check(recovered() && holds(dir.quarantine, "c.csv", ".rejects.csv", "header\nbad\n"),
          "rejected rows are placed although their reasons were deleted");
    data_dir_close();
}

/* ---- from another file system ------------------------------------------------------------- */

/* Do the first steps of a move by hand: 1 hide the file, 2 copy it, 3 unlink the hidden one. */
static void move_across_until(int step)
{
    uint64_t seq = ledger.next_seq;
    char name[MOVING_NAME_SIZE];

    drop("eva/c.csv", "late");
    write_reasons(seq, 7);
    book(VERDICT_QUARANTINED, "eva/c.csv", "late");
    snprintf(name, sizeof name, "%" PRIu64 MOVE_OUT_MARKER, seq);
    place_put_text(dir.moving, name, "eva/c.csv");
    mkdirat(dir.drop, "eva/.phasesentinel", 0700);
    if (step >= 1)
        renameat(dir.drop, "eva/c.csv", dir.drop, "eva/.phasesentinel/c.csv");
    if (step >= 2)
        put_moving(seq, MOVING_FILE, "late");
    if (step >= 3)
        unlinkat(dir.drop, "eva/.phasesentinel/c.csv", 0);
    place_put_text(dir.moving, ".1-2.tmp", "la");
}

static void test_across(void)
{
    int step;

    if (!data_dir_open_across()) {
        check(true, "no second file system here # SKIP");
        data_dir_close_across();
        return;
    }
    for (step = 0; step <= 3; step++) {
        move_across_until(step);
        check(recovered(), "across file systems, a crash after step %d", step);
        check(faccessat(dir.drop, "eva/.phasesentinel", F_OK, 0) < 0, "nothing is hidden any more");
        check(holds(dir.drop, "eva/c.csv", "", step < 3 ? "late" : NULL),
              "a file that was not unlinked is dropped again");
        check(
            holds(dir.quarantine, "eva/c.csv", "", step >= 2 ? "late" : NULL) &&
                holds(dir.quarantine, "eva/c.csv", ".errors.csv", step >= 2 ? REASONS("7") : NULL),
            "a file that was copied is placed");
        unlinkat(dir.quarantine, "eva/c.csv", 0);
        unlinkat(dir.quarantine, "eva/c.csv.errors.csv", 0);
    }
    data_dir_close_across();
}

int main(void)
{
    size_t i;
    int fd;

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGIO, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    fd = place_enter();
    for (i = 0; i < sizeof decisions / sizeof *decisions; i++)
        test_decision(&decisions[i]);
    test_quarantine_steps();
    test_sources();
    test_rejected_rows();
    test_sidecars();
    test_compressed();
    test_others_changes();
    test_across();
    close(fd);
    return unit_done();
}
