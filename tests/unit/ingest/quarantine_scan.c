#include "ingest/quarantine_scan.h"

#include <signal.h>

#include "base/log.h"
#include "lib/data_dir.h"
#include "lib/unit.h"

static void test_survey(void)
{
    struct quarantine_summary survey = {.files = 9};
    char longest[256];
    uint64_t total = 0;
    size_t i;

    data_dir_open();
    check(quarantine_scan(&dir, &ledger, &survey, &cause) == 0 && survey.files == 0, "nothing yet");
    quarantine("a.csv", "1", 1);
    quarantine("a.csv", "2", 2);
    quarantine("b.csv", "3", 3);
    quarantine("c.csv", "4", 4);
    book(VERDICT_MERGED, "c.csv", "good");
    place_put_text(dir.quarantine, "k.csv.errors.csv",
                   "line,column,field,code,value,message\n"
                   "2,3,v,type-error,\"x\ny\",\"no, number\"\n"
                   "3,3,v,type-error,5,5 is 5\n"
                   ",,,type-error,,41 more are not listed\n"
                   ",,,file-too-large,,\"9 bytes, more than max_file_mib = 1 allows\"\n"
                   "4,,,no-such-code,,x\n,,\n\"\n");
    place_put_text(dir.quarantine, "k.csv.rejects.csv", "t\nx\n");
    place_put_text(dir.quarantine, "empty.csv.errors.csv", "");
    place_put_text(dir.quarantine, "notes.txt", "mine");
    place_put_text(dir.quarantine, "stranger.csv", "mine");
    mkdirat(dir.quarantine, "x.errors.csv", 0777);
    check(quarantine_scan(&dir, &ledger, &survey, &cause) == 0 && survey.files == 3,
          "%" PRIu64 " files to look at", survey.files);
    check(survey.resolved == 1, "%" PRIu64 " resolved", survey.resolved);
    for (i = 0; i < VIOLATION_CODE_COUNT; i++)
        total += survey.violations[i];
    check(survey.violations[VIOLATION_BLANK_ROW] == 4 &&
              survey.violations[VIOLATION_TYPE_ERROR] == 43 &&
              survey.violations[VIOLATION_FILE_TOO_LARGE] == 1 && total == 48,
          "%" PRIu64 " violations, those that are not listed too", total);
    book(VERDICT_MERGED, "a.csv", "good");
    quarantine_scan(&dir, &ledger, &survey, &cause);
    check(survey.files == 1 && survey.resolved == 3, "a later file resolves all of its name");
    memset(longest, 'x', 255);
    memcpy(longest + 251, ".csv", 5);
    quarantine(longest, "5", 5);
    quarantine_scan(&dir, &ledger, &survey, &cause);
    check(survey.files == 2, "a name of 255 bytes");
    mkdirat(dir.drop, "eva", 0777);
    mkdirat(dir.drop, "b.csv", 0777);
    quarantine("eva/b.csv", "6", 6);
    quarantine("eva/b.csv", "7", 7);
    quarantine("b.csv/c.csv", "8", 8);
    quarantine_scan(&dir, &ledger, &survey, &cause);
    check(survey.files == 5 && survey.resolved == 3 && survey.violations[VIOLATION_BLANK_ROW] == 8,
          "and in directories: %" PRIu64, survey.files);
    book(VERDICT_MERGED, "b.csv", "good");
    quarantine_scan(&dir, &ledger, &survey, &cause);
    check(survey.files == 4 && survey.resolved == 4, "b.csv is not eva/b.csv");
    book(VERDICT_MERGED, "eva/b.csv", "good");
    book(VERDICT_MERGED, "b.csv/c.csv", "good");
    quarantine_scan(&dir, &ledger, &survey, &cause);
    check(survey.files == 1 && survey.resolved == 7, "their own later files resolve them");
    datadir_close(&dir);
    dir.quarantine = -1;
    check(quarantine_scan(&dir, &ledger, &survey, &cause) == 0 && survey.files == 0,
          "where there is no quarantine there is nothing in it");
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
    test_survey();
    close(fd);
    return unit_done();
}
