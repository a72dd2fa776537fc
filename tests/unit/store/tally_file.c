#include "store/tally_file.h"

#include <inttypes.h>

#include "base/log.h"
#include "lib/append.h"
#include "lib/place.h"
#include "lib/unit.h"

#define SECOND INT64_C(1000000000)

static struct schema schema;
static struct datadir dir;
static struct ledger ledger;
static struct training training;
static struct tally_file stats;
static struct cause cause;

static void open_dir(const char *own)
{
    static unsigned count;
    char path[64];

    snprintf(path, sizeof path, "%s/%u", place, ++count);
    if (datadir_open(&dir, path, &cause) < 0 || datadir_open_drop(&dir, &cause) < 0)
        abort();
    if (own != NULL)
        place_put_text(dir.root, DATADIR_TRAINING, own);
    if (ledger_open(&ledger, dir.state, &cause) < 0 ||
        (training_init(&training, &dir, &schema, NULL), false) ||
        training_open(&training, &ledger, &cause) < 0 ||
        tally_file_open(&stats, &dir, &schema, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

static void close_dir(void)
{
    tally_file_close(&stats);
    tally_file_close(&stats);
    training_close(&training);
    ledger_close(&ledger);
    datadir_close(&dir);
}

/* Merge rows. Count them at once if `counted`; else tally_file_catch_up has to. */
static void merge(enum verdict verdict, const char *name, const char *rows, int64_t time,
                  bool counted)
{
    static struct ledger_line line;
    static unsigned number;
    struct tally tally = {0};
    uint64_t mark = training.appender.end;
    bool has_rows = verdict == VERDICT_MERGED || verdict == VERDICT_GROWN;

    line = (struct ledger_line){.verdict = verdict, .bytes = ++number, .time = time * SECOND};
    memcpy(line.sha256, &number, sizeof number);
    line.name = name;
    append_rows(&training, has_rows ? rows : "", has_rows ? strlen(rows) : 0, &line);
    if (training_commit(&training, &cause) < 0 ||
        (has_rows && training_tally(&training, mark, line.length, &tally, &cause) < 0))
        abort();
    line.rows = tally.rows;
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0 ||
        (counted && tally_file_apply(&stats, &line, &tally, &cause) < 0))
        abort();
    if (counted)
        stats.at = ledger.end;
    tally_free(&tally);
}

static void catch_up(void)
{
    if (tally_file_catch_up(&stats, &ledger, &training, &cause) < 0) {
        check(false, "catch up: %s", cause.text);
        exit(1);
    }
}

static void reopen(void)
{
    tally_file_close(&stats);
    if (tally_file_open(&stats, &dir, &schema, &cause) < 0)
        abort();
}

static uint64_t get(const struct counter *counter, const char *value)
{
    return counter_get(counter, value, strlen(value));
}

static void check_counts(const char *when)
{
    const struct tally *tally = &stats.tally;

    check(tally->rows == 6 && get(&tally->by[TALLY_USERS], "eva") == 3 &&
              get(&tally->by[TALLY_USERS], "udo") == 1 &&
              get(&tally->by[TALLY_USERS], "a,\n\"b") == 1,
          "%s: rows by user", when);
    check(get(&tally->by[TALLY_PHASES], "idle") == 5 && get(&tally->by[TALLY_PHASES], "") == 1 &&
              tally->by[TALLY_LABELS].count == 0,
          "%s: rows by phase; no labels", when);
    check(get(&stats.files, "eva") == 2 && get(&stats.files, "udo") == 1 &&
              get(&stats.files, "a,\n\"b") == 1,
          "%s: accepted files; one that grew is one", when);
    check(get(&stats.files, "pia") == 1, "%s: a user whose rows came as a file grew has a file",
          when);
    check(get(&stats.rejected, "eva") == 1 && get(&stats.rejected, "anonymous") == 1 &&
              get(&stats.rejected, "udo") == 0,
          "%s: rejected files, by the user in their names", when);
    check(get(&stats.arrivals, "eva") == (uint64_t)(50 * SECOND) &&
              get(&stats.arrivals, "udo") == (uint64_t)(20 * SECOND) &&
              get(&stats.arrivals, "anonymous") == (uint64_t)(40 * SECOND),
          "%s: time of the last arrival", when);
    check(stats.at == ledger.end, "%s: up to the end of the ledger", when);
}

/* Merge files of which one grows, and one has rows of two users. */
static void merge_all(bool counted)
{
    merge(VERDICT_MERGED, "eva_1.csv", "1,eva,idle\n", 10, counted);
    merge(VERDICT_MERGED, "both.csv", "2,eva,idle\n3,udo,\n", 20, counted);
    merge(VERDICT_QUARANTINED, "eva_2.csv", "", 30, counted);
    merge(VERDICT_QUARANTINED, "no name.csv", "", 40, counted);
    merge(VERDICT_DUPLICATE, "udo_2.csv", "", 45, counted);
    merge(VERDICT_GROWN, "eva_1.csv", "4,eva,idle\n", 50, counted);
    merge(VERDICT_GROWN, "eva_1.csv", "5,pia,idle\n", 55, counted);
    merge(VERDICT_MERGED, "odd.csv", "5,\"a,\n\"\"b\",idle\n", 15, counted);
}

static void test_counts(void)
{
    struct buffer bytes = {0};
    size_t i, wrong = 0;

    open_dir(NULL);
    catch_up();
    check(stats.tally.rows == 0 && stats.at == ledger.end, "a new tally is empty");
    merge_all(true);
    check_counts("while merged");
    check(tally_file_save(&stats, &cause) == 0, "saved");
    reopen();
    check_counts("read again");
    catch_up();
    check_counts("with nothing to catch up");
    place_get(dir.state, "tally.csv", &bytes);
    for (i = 0; i < bytes.len; i++) {
        place_put(dir.state, "tally.csv", bytes.data, i);
        reopen();
        wrong += stats.at != 0 || stats.tally.rows != 0 || stats.files.count != 0;
        bytes.data[i] ^= 1;
        place_put(dir.state, "tally.csv", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        reopen();
        wrong += stats.at != 0 || stats.tally.rows != 0 || stats.files.count != 0;
    }
    check(wrong == 0, "a file cut or altered at any byte is ignored: %zu wrong", wrong);
    catch_up();
    check_counts("counted from the ledger's beginning");
    buffer_free(&bytes);
    close_dir();

    open_dir(NULL);
    merge_all(false);
    catch_up();
    check_counts("counted afterwards");
    close_dir();

    open_dir(NULL);
    merge(VERDICT_MERGED, "eva_1.csv", "1,eva,idle\n", 10, true);
    tally_file_save(&stats, &cause);
    merge(VERDICT_MERGED, "both.csv", "2,eva,idle\n3,udo,\n", 20, true);
    merge(VERDICT_QUARANTINED, "eva_2.csv", "", 30, true);
    reopen();
    merge(VERDICT_QUARANTINED, "no name.csv", "", 40, false);
    merge(VERDICT_DUPLICATE, "udo_2.csv", "", 45, false);
    catch_up();
    merge(VERDICT_GROWN, "eva_1.csv", "4,eva,idle\n", 50, true);
    merge(VERDICT_GROWN, "eva_1.csv", "5,pia,idle\n", 55, true);
    merge(VERDICT_MERGED, "odd.csv", "5,\"a,\n\"\"b\",idle\n", 15, true);
    check_counts("after a crash between");
    close_dir();
}

static void test_starts(void)
{
    open_dir("phase,user_id\nidle,eva\nmixed,old\n");
    catch_up();
    check(stats.tally.rows == 2 && get(&stats.tally.by[TALLY_USERS], "old") == 1 &&
              get(&stats.files, "old") == 0,
          "rows of an adopted file are counted, by its own header");
    merge(VERDICT_MERGED, "eva_1.csv", "idle,eva\n", 10, true);
    check(stats.tally.rows == 3 && get(&stats.tally.by[TALLY_USERS], "eva") == 2,
          "rows merged later are added");
    tally_file_save(&stats, &cause);
    unlinkat(dir.root, DATADIR_TRAINING, 0);
    if (training_open(&training, &ledger, &cause) < 0)
        abort();
    catch_up();
    check(stats.tally.rows == 0 && get(&stats.tally.by[TALLY_USERS], "eva") == 0 &&
              get(&stats.files, "eva") == 1,
          "a new training file has no rows; files stay counted");
    merge(VERDICT_MERGED, "udo_1.csv", "1,udo,idle\n", 20, true);
    reopen();
    catch_up();
    check(stats.tally.rows == 1 && get(&stats.tally.by[TALLY_USERS], "udo") == 1 &&
              get(&stats.tally.by[TALLY_USERS], "old") == 0,
          "counts of the old training file do not mix with those of the new one");
    unlinkat(dir.state, "tally.csv", 0);
    reopen();
    catch_up();
    check(stats.tally.rows == 1 && get(&stats.tally.by[TALLY_USERS], "udo") == 1,
          "ranges of a missing training file are not read");
    stats.at = ledger.end + 1000;
    tally_file_save(&stats, &cause);
    reopen();
    catch_up();
    check(stats.tally.rows == 1 && stats.at == ledger.end,
          "counts that reach past the end of the ledger are dropped");
    close_dir();
}

int main(void)
{
    char path[64];
    int fd = place_enter();

    alarm(300);
    log_set_level(LOG_LEVEL_ERROR);
    place_put_text(fd, "schema.ini",
                   "[schema]\nfilename = {user_id}_{t}.csv\n"
                   "[field.1]\nname = t\n[field.2]\nname = user_id\ndefault = anonymous\n"
                   "[field.3]\nname = phase\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (schema_load(&schema, path, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        return 1;
    }
    test_counts();
    test_starts();
    schema_free(&schema);
    close(fd);
    return unit_done();
}
