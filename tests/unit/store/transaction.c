#include "store/transaction.h"

#include "base/log.h"
#include "lib/append.h"
#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "t,v\n"

static struct schema schema;
static struct datadir dir;
static struct transaction transaction;
static struct cause cause;

static void open_dir(void)
{
    static unsigned count;
    char path[64];

    snprintf(path, sizeof path, "%s/%u", place, ++count);
    if (datadir_open(&dir, path, &cause) < 0 || datadir_open_drop(&dir, &cause) < 0 ||
        transaction_open(&transaction, &dir, &schema, NULL, "unit", &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

static void close_dir(void)
{
    transaction_close(&transaction);
    transaction_close(&transaction);
    datadir_close(&dir);
}

/* Begin as the next process. */
static int begin_again(void)
{
    transaction_close(&transaction);
    if (transaction_open(&transaction, &dir, &schema, NULL, "unit", &cause) < 0)
        abort();
    return transaction_begin(&transaction, 0, false, &cause);
}

static void add(const char *name, const char *rows)
{
    static struct ledger_line line;
    struct digest digest;

    line = (struct ledger_line){.verdict = VERDICT_MERGED, .bytes = strlen(rows), .rows = 1};
    line.name = name;
    digest_init(&digest);
    digest_update(&digest, rows, strlen(rows));
    digest_final(&digest, line.sha256);
    append_rows(&transaction.training, rows, strlen(rows), &line);
    if (ledger_add(&transaction.ledger, &line, &cause) < 0)
        abort();
}

static bool file_is(const char *text)
{
    return place_holds(dir.root, DATADIR_TRAINING, text);
}

static void test_batches(void)
{
    struct transaction other;

    open_dir();
    check(file_is(NULL) && place_holds(dir.state, LEDGER_FILE, NULL) &&
              place_holds(dir.state, "lock", NULL),
          "opening changes nothing");
    check(transaction_begin(&transaction, 0, false, &cause) == 0 && !transaction.recovered &&
              file_is(HEADER),
          "the first batch starts the training file");
    check(!place_holds(dir.state, "lock", ""), "the lock is marked meanwhile");
    if (transaction_open(&other, &dir, &schema, NULL, "other", &cause) < 0)
        abort();
    cause = (struct cause){0};
    check(transaction_begin(&other, 20, false, &cause) < 0 && cause.kind == CAUSE_BUSY,
          "only one process has the lock");
    add("a.csv", "1,2\n");
    add("b.csv", "3,4\n");
    check(transaction_commit(&transaction, &cause) == 0 && file_is(HEADER "1,2\n3,4\n"),
          "rows are merged");
    transaction_end(&transaction, true);
    check(place_holds(dir.state, "lock", ""), "the mark is gone");
    check(transaction_begin(&other, 0, false, &cause) == 0 && !other.recovered &&
              ledger_last_at(&other.ledger, "b.csv") != 0 && other.ledger.next_seq == 4,
          "another process sees them");
    transaction_end(&other, true);
    transaction_close(&other);
    check(transaction_begin(&transaction, 0, false, &cause) == 0, "it goes on");
    add("c.csv", "5,6\n");
    check(transaction_rollback(&transaction, &cause) == 0 && file_is(HEADER "1,2\n3,4\n") &&
              ledger_last_at(&transaction.ledger, "c.csv") == 0,
          "a batch is rolled back");
    add("d.csv", "7,8\n");
    check(transaction_commit(&transaction, &cause) == 0 && file_is(HEADER "1,2\n3,4\n7,8\n") &&
              transaction.ledger.next_seq == 5,
          "the next batch is merged");
    transaction_end(&transaction, true);
    check(begin_again() == 0 && !transaction.recovered, "file and ledger agree");
    transaction_end(&transaction, true);
    close_dir();
}

static size_t count_cut(void)
{
    char command[128];
    size_t count = 0;
    FILE *list;

    snprintf(command, sizeof command, "ls %s/state/cut", dir.path);
    list = popen(command, "r");
    while (list != NULL && fgets(command, sizeof command, list) != NULL)
        count++;
    if (list != NULL)
        pclose(list);
    return count;
}

/* Stop after each step of the table in transaction.c: 4 with half a line written. */
static void test_crashes(void)
{
    static const char *const steps[] = {"",
                                        "the lock is marked",
                                        "rows are appended",
                                        "the training file is synced",
                                        "half a line is written",
                                        "the ledger is synced"};
    struct stat before, after;
    struct buffer line = {0};
    int step;

    for (step = 1; step <= 5; step++) {
        open_dir();
        if (transaction_begin(&transaction, 0, false, &cause) < 0)
            abort();
        add("a.csv", "1,2\n");
        if (transaction_commit(&transaction, &cause) < 0)
            abort();
        if (step >= 2)
            add("b.csv", "3,4\n");
        if (step >= 2 && step < 5 && training_commit(&transaction.training, &cause) < 0)
            abort();
        if (step == 4) {
            buffer_clear(&line);
            buffer_append(&line, transaction.ledger.pending.data,
                          transaction.ledger.pending.len / 2);
            place_append(dir.state, LEDGER_FILE, buffer_text(&line));
        }
        if (step == 5 && transaction_commit(&transaction, &cause) < 0)
            abort();
        transaction_end(&transaction, false);
        fstatat(dir.state, LEDGER_FILE, &before, 0);
        check(begin_again() == 0 && transaction.recovered, "stopped after '%s': recovered",
              steps[step]);
        fstatat(dir.state, LEDGER_FILE, &after, 0);
        check(before.st_ino != after.st_ino, "the ledger was copied before it was read");
        check(file_is(step == 5 ? HEADER "1,2\n3,4\n" : HEADER "1,2\n") &&
                  (ledger_last_at(&transaction.ledger, "b.csv") != 0) == (step == 5) &&
                  ledger_last_at(&transaction.ledger, "a.csv") != 0 &&
                  count_cut() == (step >= 2 && step <= 4),
              "rows and lines agree; rows that were never committed are in state/cut");
        add("c.csv", "5,6\n");
        check(transaction_commit(&transaction, &cause) == 0, "it goes on");
        transaction_end(&transaction, true);
        check(begin_again() == 0 && !transaction.recovered && transaction.ledger.cut == 0,
              "and nothing is left to recover");
        transaction_end(&transaction, true);
        close_dir();
    }
    buffer_free(&line);
}

static void test_fails(void)
{
    struct lock_file lock;

    open_dir();
    if (transaction_begin(&transaction, 0, false, &cause) < 0)
        abort();
    add("a.csv", "1,2\n");
    if (transaction_commit(&transaction, &cause) < 0)
        abort();
    transaction_end(&transaction, true);
    place_put_text(dir.root, DATADIR_TRAINING, "t,v\n9,9");
    check(begin_again() < 0 && cause.kind == CAUSE_CORRUPT && file_is("t,v\n9,9"),
          "a file that contradicts the ledger is refused");
    check(lock_file_take(&lock, dir.state, "lock", 0, &cause) == 0 && !lock.died,
          "the lock is released without a mark");
    lock_file_mark(&lock, "dead", &cause);
    lock_file_release(&lock);
    check(begin_again() < 0 && cause.kind == CAUSE_CORRUPT,
          "after the crash of another process, too");
    check(lock_file_take(&lock, dir.state, "lock", 0, &cause) == 0 && lock.died,
          "the mark of that process stays");
    lock_file_release(&lock);
    check(transaction_begin(&transaction, 0, true, &cause) == 0 && file_is("t,v\n9,9\n") &&
              transaction.ledger.start.verdict == VERDICT_ADOPTED,
          "with adopt the file is taken as it is");
    add("b.csv", "5,6\n");
    check(transaction_commit(&transaction, &cause) == 0 && file_is("t,v\n9,9\n5,6\n"),
          "then it goes on");
    transaction_end(&transaction, true);
    close_dir();
}

int main(void)
{
    char path[64];
    int fd = place_enter();

    log_set_level(LOG_LEVEL_ERROR);
    place_put_text(fd, "schema.ini", "[field.1]\nname = t\nrequired = true\n[field.2]\nname = v\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (schema_load(&schema, path, &cause) < 0)
        return 1;
    test_batches();
    test_crashes();
    test_fails();
    schema_free(&schema);
    close(fd);
    return unit_done();
}
