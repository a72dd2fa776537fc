#include "ingest/quarantine_scan.h"

#include <signal.h>

#include "base/log.h"
#include "lib/data_dir.h"
#include "lib/unit.h"

static struct quarantine_summary summary;

/* Scan, and return true if there are so many files. */
static bool counts(uint64_t files, uint64_t resolved)
{
    bool right;

    summary = (struct quarantine_summary){.files = 99};
    right = quarantine_scan(&dir, &ledger, &summary, &cause) == 0 && summary.files == files &&
            summary.resolved == resolved;
    if (!right)
        printf("# %" PRIu64 " files to be looked at, %" PRIu64 " resolved\n", summary.files,
               summary.resolved);
    return right;
}

static void test_violations(void)
{
    uint64_t total = 0;
    size_t i;

    data_dir_open();
    quarantine("a.csv", "1", 1);
    quarantine("a.csv", "2", 2);
    place_put_text(dir.quarantine, "k.csv.errors.csv",
                   "line,column,field,code,value,message\n"
                   "2,3,v,type-error,\"x\ny\",\"no, number\"\n"
                   "3,3,v,type-error,5,5 is 5\n"
                   ",,,type-error,,41 more are not listed\n"
                   ",,,file-too-large,,\"9 bytes, more than max_file_mib = 1 allows\"\n"
                   "4,,,no-such-code,,x\n,,\n\"\n");
    place_put_text(dir.quarantine, "k.csv.rejects.csv", "t\nx\n");
    place_put_text(dir.quarantine, "empty.csv.errors.csv", "");
    check(counts(2, 0), "lists of violations without a data file");
    for (i = 0; i < VIOLATION_CODE_COUNT; i++)
        total += summary.violations[i];
    check(summary.violations[VIOLATION_BLANK_ROW] == 2 &&
              summary.violations[VIOLATION_TYPE_ERROR] == 43 &&
              summary.violations[VIOLATION_FILE_TOO_LARGE] == 1 && total == 46,
          "violations by code, those that are not listed too: %" PRIu64, total);
    data_dir_close();
}

static void test_files(void)
{
    char longest[256];

    data_dir_open();
    check(counts(0, 0), "an empty quarantine");
    quarantine("a.csv", "1", 1);
    quarantine("a.csv", "2", 2);
    quarantine("b.csv", "3", 3);
    quarantine("c.csv", "4", 4);
    book(VERDICT_MERGED, "c.csv", "good");
    check(counts(3, 1), "a file accepted under its name resolves a file");
    place_put_text(dir.quarantine, "notes.txt", "mine");
    place_put_text(dir.quarantine, "stranger.csv", "mine");
    mkdirat(dir.quarantine, "x.errors.csv", 0777);
    check(counts(3, 1), "files without a list of violations do not count");
    place_put_text(dir.quarantine, "stranger.csv.errors.csv", "");
    check(counts(4, 1), "a file that no line explains is to be looked at");
    book(VERDICT_MERGED, "a.csv", "good");
    check(counts(2, 3), "a later file resolves all files of its name");
    unlinkat(dir.quarantine, "a.csv", 0);
    unlinkat(dir.quarantine, "a.csv.errors.csv", 0);
    check(counts(2, 2), "the second file of the name is found without the first");
    quarantine("a.csv", "5", 5);
    check(counts(4, 1), "a file quarantined later is to be looked at, with all of its name");
    memset(longest, 'x', 255);
    memcpy(longest + 251, ".csv", 5);
    quarantine(longest, "5", 5);
    quarantine(longest, "6", 6);
    check(counts(6, 1), "a name of 255 bytes");
    book(VERDICT_MERGED, longest, "good");
    check(counts(4, 3), "a name of 255 bytes is resolved");
    data_dir_close();
}

static void test_directories(void)
{
    data_dir_open();
    mkdirat(dir.drop, "eva", 0777);
    quarantine("b.csv", "1", 1);
    mkdirat(dir.drop, "b.csv", 0777);
    quarantine("eva/b.csv", "2", 2);
    quarantine("eva/b.csv", "3", 3);
    quarantine("b.csv/c.csv", "4", 4);
    check(counts(4, 0) && summary.violations[VIOLATION_BLANK_ROW] == 4, "files in directories");
    book(VERDICT_MERGED, "b.csv", "good");
    check(counts(3, 1), "b.csv does not resolve eva/b.csv");
    book(VERDICT_MERGED, "eva/b.csv", "good");
    check(counts(1, 3), "eva/b.csv resolves its own");
    book(VERDICT_MERGED, "b.csv/c.csv", "good");
    check(counts(0, 4), "a directory that has become b.csv.d");
    datadir_close(&dir);
    dir.quarantine = -1;
    check(counts(0, 0), "no quarantine");
    ledger_close(&ledger);
}

int main(void)
{
    int fd;

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGIO, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    fd = place_enter();
    test_violations();
    test_files();
    test_directories();
    close(fd);
    return unit_done();
}
