#include "ingest/placement.h"
#include "ingest/placement_recovery.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "lib/packing.h"
#include "lib/place.h"
#include "ingest/quarantine_scan.h"
#include "lib/unit.h"
#include "base/csv_name.h"
#include "fs/beneath.h"
#include "fs/lease.h"

#define REASONS(line)                                                                              \
    "line,column,field,code,value,message\n" line ",,,blank-row,,a line too many\n"

static struct datadir dir;
static struct ledger ledger;
static struct config config;
static struct cause cause;

/* ---- a data directory of its own ---------------------------------------------------------- */

static void open_dir(void)
{
    static unsigned count;
    static struct ledger_line line;
    char path[64];

    snprintf(path, sizeof path, "%s/%u", place, ++count);
    line = (struct ledger_line){.verdict = VERDICT_STARTED, .length = 10, .name = "x"};
    config = (struct config){0};
    if (datadir_open(&dir, path, &cause) < 0 || datadir_open_drop(&dir, &cause) < 0 ||
        ledger_open(&ledger, dir.state, &cause) < 0 || ledger_create(&ledger, &cause) < 0 ||
        ledger_add(&ledger, &line, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

static void close_dir(void)
{
    ledger_close(&ledger);
    datadir_close(&dir);
}

static size_t count_in(int fd)
{
    DIR *list = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(list)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return count;
}

static bool holds(int fd, const char *name, const char *suffix, const char *text)
{
    char full[512];

    snprintf(full, sizeof full, "%s%s", name, suffix);
    return place_holds(fd, full, text);
}

static struct file_id drop(const char *name, const char *text)
{
    struct file_id file_id;

    place_put_text(dir.drop, name, text);
    if (beneath_stat(dir.drop, name, &file_id) != FILE_REGULAR)
        abort();
    return file_id;
}

/* Books a verdict on the content; the number of its line. */
static uint64_t book(enum verdict verdict, const char *name, const char *text)
{
    static struct ledger_line line;
    struct digest digest;

    line = (struct ledger_line){.verdict = verdict, .bytes = strlen(text)};
    line.name = name;
    digest_init(&digest);
    digest_update(&digest, text, strlen(text));
    digest_final(&digest, line.sha256);
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0)
        abort();
    return line.seq;
}

static void write_reasons(uint64_t seq, uint64_t line)
{
    struct violations violations;
    struct buffer *message;

    violations_init(&violations, 10);
    message = violations_add(&violations, VIOLATION_BLANK_ROW, line, 0, NULL, NULL, 0);
    buffer_string(message, "a line too many");
    violations_added(&violations);
    if (placement_write_reasons(&dir, seq, &violations, NULL, NULL, &cause) < 0)
        abort();
    violations_free(&violations);
}

static void write_rejects(uint64_t seq, const char *text)
{
    char name[64];

    snprintf(name, sizeof name, "%" PRIu64 ".rejects.csv", seq);
    place_put_text(dir.moving, name, text);
}

static int quarantine(const char *name, const char *text, uint64_t line)
{
    struct file_id file_id = drop(name, text);
    uint64_t seq = ledger.next_seq;

    write_reasons(seq, line);
    book(VERDICT_QUARANTINED, name, text);
    if (placement_take(&dir, name, &file_id, seq, &cause) < 0)
        return -1;
    return placement_finish(&dir, name, seq, PLACE_QUARANTINE, &cause);
}

static int accept_as(enum placement disposal, const char *name, const char *text)
{
    struct file_id file_id = drop(name, text);
    uint64_t seq = book(VERDICT_MERGED, name, text);

    if (placement_take(&dir, name, &file_id, seq, &cause) < 0)
        return -1;
    return placement_finish(&dir, name, seq, disposal, &cause);
}

/* ---- places ------------------------------------------------------------------------------- */

static void test_quarantine(void)
{
    open_dir();
    check(quarantine("a.csv", "first", 1) == 0 && holds(dir.quarantine, "a.csv", "", "first") &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "a bad file and its reasons");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 0, "leave nothing behind");
    check(quarantine("a.csv", "second", 2) == 0 &&
              holds(dir.quarantine, "a.csv.~2~", "", "second") &&
              holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "a.csv", "", "first") &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "a second one of the name stands beside it");
    check(quarantine("a.csv", "third", 3) == 0 && holds(dir.quarantine, "a.csv.~3~", "", "third") &&
              holds(dir.quarantine, "a.csv.~3~", ".errors.csv", REASONS("3")),
          "so does a third");
    check(quarantine("a.csv", "first", 4) == 0 && quarantine("a.csv", "second", 5) == 0 &&
              quarantine("a.csv", "third", 6) == 0 && count_in(dir.quarantine) == 6 &&
              count_in(dir.drop) == 0 && count_in(dir.moving) == 0 &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
          "equal copies are dropped");
    check(quarantine("b.csv", "first", 7) == 0 && count_in(dir.quarantine) == 8,
          "but not under another name");
    check(quarantine("a.csv", "firs", 8) == 0 && holds(dir.quarantine, "a.csv.~4~", "", "firs"),
          "nor where one is shorter");
    unlinkat(dir.quarantine, "a.csv.~2~", 0);
    unlinkat(dir.quarantine, "a.csv.~2~.errors.csv", 0);
    check(quarantine("a.csv", "fifth", 9) == 0 && holds(dir.quarantine, "a.csv.~2~", "", "fifth"),
          "a place that was emptied is taken again");
    check(quarantine("c.csv.errors.csv", "data", 1) == 0 && quarantine("c.csv", "c", 2) == 0 &&
              holds(dir.quarantine, "c.csv.errors.csv", "", "data") &&
              holds(dir.quarantine, "c.csv.~2~", "", "c") &&
              holds(dir.quarantine, "c.csv.~2~", ".errors.csv", REASONS("2")),
          "a file named as another's reasons is not written over");
    close_dir();
}

static void test_accepted(void)
{
    uint64_t seq;

    open_dir();
    check(accept_as(PLACE_ARCHIVE, "a.csv", "first") == 0 &&
              holds(dir.archive, "a.csv", "", "first"),
          "an accepted file is archived");
    check(accept_as(PLACE_ARCHIVE, "a.csv", "second") == 0 &&
              accept_as(PLACE_ARCHIVE, "a.csv", "third") == 0 &&
              holds(dir.archive, "a.csv", "", "first") &&
              holds(dir.archive, "a.csv.~2~", "", "second") &&
              holds(dir.archive, "a.csv.~3~", "", "third"),
          "a second one of the name beside it");
    check(accept_as(PLACE_ARCHIVE, "a.csv", "second") == 0 && count_in(dir.archive) == 3,
          "an equal one is dropped");
    check(accept_as(PLACE_DELETE, "b.csv", "data") == 0 && count_in(dir.archive) == 3, "deleted");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 0 && count_in(dir.quarantine) == 0,
          "nothing is left of these");
    drop("k.csv", "good\nbad\n");
    seq = ledger.next_seq;
    write_reasons(seq, 2);
    write_rejects(seq, "header\nwrong and longer\n");
    write_rejects(seq, "header\nbad\n");
    book(VERDICT_MERGED, "k.csv", "good\nbad\n");
    check(placement_finish(&dir, "k.csv", seq, PLACE_KEEP, &cause) == 0 &&
              holds(dir.drop, "k.csv", "", "good\nbad\n") &&
              holds(dir.quarantine, "k.csv", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "k.csv", ".rejects.csv", "header\nbad\n") &&
              count_in(dir.quarantine) == 2 && count_in(dir.moving) == 0,
          "a kept file's bad rows and their reasons");
    check(quarantine("k.csv", "bad", 5) == 0 && holds(dir.quarantine, "k.csv.~2~", "", "bad") &&
              holds(dir.quarantine, "k.csv", ".rejects.csv", "header\nbad\n"),
          "keep their place");
    config.source = CONFIG_SOURCE_KEEP;
    check(placement_of_accepted(&config) == PLACE_KEEP, "source = keep");
    config.source = CONFIG_SOURCE_ARCHIVE;
    check(placement_of_accepted(&config) == PLACE_ARCHIVE, "source = archive");
    config.source = CONFIG_SOURCE_DELETE;
    check(placement_of_accepted(&config) == PLACE_DELETE, "source = delete");
    write_reasons(77, 1);
    write_rejects(77, "x");
    placement_drop_reasons(&dir, 77);
    placement_drop_reasons(&dir, 78);
    check(count_in(dir.moving) == 0, "reasons can be taken back");
    close_dir();
}

/* Names of the greatest length. */
/* Takes a file with what is beside it; the number of its line. */
static uint64_t take_with_sidecars(enum verdict verdict, const char *name, const char *text,
                                   const char *sum)
{
    struct file_id file_id = drop(name, text);
    struct sidecars sidecars;
    char path[64];
    uint64_t seq;

    snprintf(path, sizeof path, "%s.sha256", name);
    place_put_text(dir.drop, path, sum);
    snprintf(path, sizeof path, "%s.done", name);
    place_put_text(dir.drop, path, "");
    if (sidecar_look(dir.drop, name, geteuid(), &sidecars) != FILE_REGULAR)
        abort();
    if (verdict == VERDICT_QUARANTINED)
        write_reasons(ledger.next_seq, 1);
    seq = book(verdict, name, text);
    if (placement_take_sidecars(&dir, name, &sidecars, seq, &cause) < 0 ||
        placement_take(&dir, name, &file_id, seq, &cause) < 0)
        abort();
    return seq;
}

static void test_sidecars(void)
{
    struct sidecars sidecars;
    uint64_t seq;

    open_dir();
    config.source = CONFIG_SOURCE_ARCHIVE;
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "1");
    check(count_in(dir.drop) == 0 && count_in(dir.moving) == 3, "sidecars go with their file");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".sha256", "1") &&
              holds(dir.archive, "a.csv", ".done", "") && count_in(dir.moving) == 0,
          "to the archive");
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "1");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              count_in(dir.archive) == 3 && count_in(dir.moving) == 0,
          "a copy of all of them is dropped");
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "one", "2");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".~2~", "one") &&
              holds(dir.archive, "a.csv", ".~2~.sha256", "2") && count_in(dir.archive) == 6,
          "with another checksum it is no copy");
    unlinkat(dir.archive, "a.csv", 0);
    seq = take_with_sidecars(VERDICT_MERGED, "a.csv", "two", "3");
    check(placement_finish(&dir, "a.csv", seq, PLACE_ARCHIVE, &cause) == 0 &&
              holds(dir.archive, "a.csv", ".~3~.sha256", "3") &&
              holds(dir.archive, "a.csv", ".sha256", "1"),
          "a checksum that was left alone is not overwritten");
    seq = take_with_sidecars(VERDICT_MERGED, "d.csv", "one", "1");
    check(placement_finish(&dir, "d.csv", seq, PLACE_DELETE, &cause) == 0 &&
              count_in(dir.moving) == 0,
          "or are deleted");
    seq = take_with_sidecars(VERDICT_MERGED, "k.csv", "one", "1");
    check(placement_finish(&dir, "k.csv", seq, PLACE_KEEP, &cause) == 0 &&
              count_in(dir.moving) == 0 && count_in(dir.drop) == 3,
          "or come back");
    close_dir();

    open_dir();
    seq = take_with_sidecars(VERDICT_QUARANTINED, "q.csv", "bad", "1");
    check(placement_recover(&dir, &ledger, &config, &cause) == 0 && count_in(dir.moving) == 0 &&
              count_in(dir.quarantine) == 4 && holds(dir.quarantine, "q.csv", ".sha256", "1"),
          "a crash before they are placed");
    seq = take_with_sidecars(VERDICT_QUARANTINED, "r.csv", "bad", "1");
    {
        char name[64];

        snprintf(name, sizeof name, "%" PRIu64 ".csv", seq);
        renameat(dir.moving, name, dir.drop, "r.csv");
    }
    check(placement_recover(&dir, &ledger, &config, &cause) == 0 && count_in(dir.moving) == 0 &&
              count_in(dir.drop) == 3 && holds(dir.drop, "r.csv", ".sha256", "1"),
          "without their file they come back");
    sidecar_look(dir.drop, "r.csv", geteuid(), &sidecars);
    place_put_text(dir.drop, "r.csv.sha256", "another");
    check(placement_take_sidecars(&dir, "r.csv", &sidecars, 90, &cause) == 0 &&
              count_in(dir.moving) == 1 && holds(dir.drop, "r.csv", ".sha256", "another"),
          "one that is another by now stays");
    place_put_text(dir.drop, "r.csv.done", "newer");
    check(placement_return_sidecars(&dir, "r.csv", 90, &cause) == 0 && count_in(dir.moving) == 0 &&
              holds(dir.drop, "r.csv", ".done", "newer"),
          "and one that comes back overwrites nothing");
    close_dir();
}

static void test_long_names(void)
{
    char eva[256], udo[256];

    open_dir();
    memset(eva, 'x', 255);
    memcpy(eva + 251, ".csv", 5);
    memcpy(udo, eva, 256);
    udo[248] = 'y';
    check(quarantine(eva, "eva", 1) == 0 && quarantine(udo, "udo", 2) == 0 &&
              count_in(dir.quarantine) == 4 && count_in(dir.drop) == 0 && count_in(dir.moving) == 0,
          "two names of 255 bytes that differ at their end: %s", cause.text);
    check(quarantine(eva, "more", 3) == 0 && count_in(dir.quarantine) == 6, "and a second copy");
    check(quarantine(eva, "eva", 4) == 0 && count_in(dir.quarantine) == 6,
          "equal ones are dropped");
    check(accept_as(PLACE_ARCHIVE, eva, "eva") == 0 && count_in(dir.archive) == 1 &&
              accept_as(PLACE_ARCHIVE, eva, "udo") == 0 && count_in(dir.archive) == 2,
          "in the archive too");
    eva[0] = '\xFF';
    eva[1] = '\n';
    check(quarantine(eva, "odd", 1) == 0 && count_in(dir.quarantine) == 8, "with odd bytes");
    close_dir();
}

/* The same name in two directories is two files, and so is one that only looks like it. */
static void test_directories(void)
{
    open_dir();
    mkdirat(dir.drop, "eva", 0777);
    mkdirat(dir.drop, "eva/2024", 0777);
    mkdirat(dir.drop, "udo", 0777);
    check(quarantine("eva/a.csv", "same", 1) == 0 && quarantine("udo/a.csv", "same", 2) == 0 &&
              quarantine("eva_a.csv", "same", 3) == 0 && quarantine("a.csv", "same", 4) == 0 &&
              quarantine("eva/2024/a.csv", "same", 5) == 0,
          "five files of one content");
    check(holds(dir.quarantine, "eva/a.csv", "", "same") &&
              holds(dir.quarantine, "eva/a.csv", ".errors.csv", REASONS("1")) &&
              holds(dir.quarantine, "udo/a.csv", ".errors.csv", REASONS("2")) &&
              holds(dir.quarantine, "eva_a.csv", ".errors.csv", REASONS("3")) &&
              holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("4")) &&
              holds(dir.quarantine, "eva/2024/a.csv", ".errors.csv", REASONS("5")),
          "are five in quarantine, in directories as in the drop directory");
    check(quarantine("eva/a.csv", "other", 6) == 0 &&
              holds(dir.quarantine, "eva/a.csv.~2~", "", "other") &&
              holds(dir.quarantine, "eva/a.csv.~2~", ".errors.csv", REASONS("6")) &&
              quarantine("eva/a.csv", "other", 7) == 0 && count_in(dir.moving) == 0,
          "with the numbers of each directory");
    check(accept_as(PLACE_ARCHIVE, "eva/a.csv", "one") == 0 &&
              accept_as(PLACE_ARCHIVE, "eva/a.csv", "two") == 0 &&
              accept_as(PLACE_ARCHIVE, "udo/a.csv", "one") == 0 &&
              holds(dir.archive, "eva/a.csv", "", "one") &&
              holds(dir.archive, "eva/a.csv.~2~", "", "two") &&
              holds(dir.archive, "udo/a.csv", "", "one"),
          "and so in the archive");
    /* A directory is called as a file is, and the other way round. */
    mkdirat(dir.drop, "d.csv", 0777);
    check(quarantine("f.csv", "file", 1) == 0 && quarantine("d.csv/a.csv", "in", 2) == 0,
          "a directory d.csv");
    mkdirat(dir.drop, "f.csv", 0777);
    check(quarantine("f.csv/a.csv", "in", 3) == 0 &&
              holds(dir.quarantine, "f.csv.d/a.csv", "", "in") &&
              holds(dir.quarantine, "f.csv.d/a.csv", ".errors.csv", REASONS("3")),
          "where a file has its name it is called f.csv.d");
    unlinkat(dir.drop, "d.csv", AT_REMOVEDIR);
    check(quarantine("d.csv", "file", 4) == 0 && holds(dir.quarantine, "d.csv.~2~", "", "file") &&
              holds(dir.quarantine, "d.csv/a.csv", "", "in"),
          "and a file stands beside a directory");
    symlinkat("/tmp", dir.quarantine, "kim");
    mkdirat(dir.drop, "kim", 0777);
    check(quarantine("kim/a.csv", "in", 5) == 0 && holds(dir.quarantine, "kim.d/a.csv", "", "in"),
          "links are not followed");
    close_dir();
}

/* ---- what comes between reading and taking ------------------------------------------------ */

static void (*before_rename)(void);
static const char *victim;

/* Ours instead of libc's: something happens at the last instant. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    void (*hook)(void) = before_rename;

    before_rename = NULL;
    if (hook != NULL)
        hook();
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void replace_victim(void)
{
    place_put_text(dir.drop, ".new", "other");
    renameat(dir.drop, ".new", dir.drop, victim);
}

static bool somebody_waits_for_a_lease(void)
{
    char text[65536];
    int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "BREAKING") != NULL;
}

static pid_t writer;

/* Another process writes; it has to wait while the file is held. */
static void write_beside(void (*work)(void))
{
    writer = fork();
    if (writer == 0) {
        work();
        _exit(0);
    }
    while (writer > 0 && waitpid(writer, NULL, WNOHANG) == 0 && !somebody_waits_for_a_lease())
        usleep(1000);
}

static void rewrite(void)
{
    place_put_text(dir.drop, victim, "other");
}

static void rewrite_victim(void)
{
    write_beside(rewrite);
}

static void append(void)
{
    place_append(dir.drop, victim, " and more");
}

static void append_victim(void)
{
    write_beside(append);
}

static void remove_victim(void)
{
    unlinkat(dir.drop, victim, 0);
}

static int held = -1;

static void open_victim(void)
{
    held = openat(dir.drop, victim, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Its own name is taken while it is away. */
static void drop_again(void)
{
    place_put_text(dir.drop, victim, "newest");
}

static void replace_and_drop(void)
{
    replace_victim();
    before_rename = NULL;
}

static bool take_fails(const char *name, const struct file_id *read)
{
    int result;

    cause = (struct cause){0};
    result = placement_take(&dir, name, read, 5, &cause);
    if (writer > 0)
        waitpid(writer, NULL, 0);
    writer = 0;
    return result < 0 && cause.kind == CAUSE_CHANGED && count_in(dir.moving) == 0;
}

static void test_take(void)
{
    struct file_id read, other;

    open_dir();
    victim = "a.csv";
    read = drop("a.csv", "first");
    check(placement_take(&dir, "a.csv", &read, 5, &cause) == 0 && count_in(dir.drop) == 0 &&
              holds(dir.moving, "5.csv", "", "first"),
          "what was read is taken");
    unlinkat(dir.moving, "5.csv", 0);
    check(take_fails("a.csv", &read), "what is gone is not");
    other = drop("a.csv", "other");
    check(take_fails("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "what is another file is not");
    place_append(dir.drop, "a.csv", "!");
    check(take_fails("a.csv", &other) && holds(dir.drop, "a.csv", "", "other!"),
          "nor what has grown");
    read = drop("a.csv", "first");
    before_rename = remove_victim;
    check(take_fails("a.csv", &read), "it vanishes at the last instant");
    read = drop("a.csv", "first");
    before_rename = replace_victim;
    check(take_fails("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "replaced at the last instant: put back");
    read = drop("a.csv", "first");
    before_rename = append_victim;
    check(take_fails("a.csv", &read) && holds(dir.drop, "a.csv", "", "first and more"),
          "appended to at the last instant: put back");
    read = drop("a.csv", "first");
    usleep(20000);
    before_rename = rewrite_victim;
    check(take_fails("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "rewritten in place with the same size at the last instant: put back");
    read = drop("a.csv", "first");
    before_rename = open_victim;
    if (placement_take(&dir, "a.csv", &read, 5, &cause) == 0) {
        check(lease_probe(held) == LEASE_UNKNOWN, "leases are not to be had # SKIP");
    } else {
        check(cause.kind == CAUSE_CHANGED && count_in(dir.moving) == 0 &&
                  holds(dir.drop, "a.csv", "", "first"),
              "opened for writing at the last instant: put back");
    }
    if (held >= 0)
        close(held);
    close_dir();
}

/* The second rename of a take is the one that puts back. */
static void replace_then_drop_again(void)
{
    replace_and_drop();
    before_rename = drop_again;
}

static void test_put_back_beside(const char *name, const char *what)
{
    struct buffer content = {0};
    struct file_id read;
    DIR *list;
    const struct dirent *entry;
    bool newest = false, other = false;
    int result;

    open_dir();
    victim = name;
    read = drop(name, "first");
    before_rename = replace_then_drop_again;
    cause = (struct cause){0};
    result = placement_take(&dir, name, &read, 5, &cause);
    check(result < 0 && cause.kind == CAUSE_CHANGED && count_in(dir.moving) == 0,
          "%s: a file whose name was taken meanwhile goes back: %s", what, cause.text);
    list = fdopendir(openat(dir.drop, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while ((entry = readdir(list)) != NULL) {
        if (!csv_name_is_accepted(entry->d_name) || !place_get(dir.drop, entry->d_name, &content))
            continue;
        newest |= strcmp(buffer_text(&content), "newest") == 0 && strcmp(entry->d_name, name) == 0;
        other |= strcmp(buffer_text(&content), "other") == 0 && strcmp(entry->d_name, name) != 0;
    }
    closedir(list);
    check(newest && other, "%s: beside the newer one, as a file that counts", what);
    buffer_free(&content);
    close_dir();
}

static void drop_longer(void)
{
    place_put_text(dir.drop, victim, "other, and more");
}

static void replace_then_drop_longer(void)
{
    replace_and_drop();
    before_rename = drop_longer;
}

/* What goes on from the file that came under our hands has all of it: there is nothing to put back.
 */
static void test_put_back_into_longer(void)
{
    struct file_id read;

    open_dir();
    victim = "a.csv";
    read = drop("a.csv", "first");
    before_rename = replace_then_drop_longer;
    check(take_fails("a.csv", &read) && count_in(dir.drop) == 1,
          "a file that its sender replaced by a longer version is not put back beside it");
    close_dir();
}

/* Directories of the drop directory go, come back, and are replaced by links. */
static void test_take_from_directory(void)
{
    struct file_id read, in;
    uint64_t seq;

    open_dir();
    mkdirat(dir.drop, "eva", 0777);
    read = drop("eva/a.csv", "first");
    renameat(dir.drop, "eva", dir.root, "elsewhere");
    check(take_fails("eva/a.csv", &read), "its directory is gone");
    symlinkat("../elsewhere", dir.drop, "eva");
    check(take_fails("eva/a.csv", &read) && holds(dir.root, "elsewhere/a.csv", "", "first"),
          "or a link to where it is now");
    unlinkat(dir.drop, "eva", 0);
    renameat(dir.root, "elsewhere", dir.drop, "eva");
    victim = "eva/a.csv";
    beneath_stat(dir.drop, "eva/a.csv", &read);
    before_rename = append_victim;
    check(take_fails("eva/a.csv", &read) && holds(dir.drop, "eva/a.csv", "", "first and more"),
          "appended to at the last instant: back in its directory");
    beneath_stat(dir.drop, "eva/a.csv", &in);
    seq = book(VERDICT_MERGED, "eva/a.csv", "first and more");
    if (placement_take(&dir, "eva/a.csv", &in, seq, &cause) < 0)
        abort();
    unlinkat(dir.drop, "eva", AT_REMOVEDIR);
    check(placement_finish(&dir, "eva/a.csv", seq, PLACE_KEEP, &cause) == 0 &&
              holds(dir.drop, "eva/a.csv", "", "first and more"),
          "a file goes back into a directory that was removed meanwhile");
    close_dir();
}

/* ---- across file systems ------------------------------------------------------------------ */

static char other_place[] = "/dev/shm/phasesentinel-unit.XXXXXX";

/* A drop directory of its own file system; false: there is none. */
static bool open_across(void)
{
    struct stat here, there;

    open_dir();
    memcpy(other_place + sizeof other_place - 7, "XXXXXX", 6);
    if (mkdtemp(other_place) == NULL)
        return false;
    close(dir.drop);
    dir.drop = open(other_place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(dir.drop, "eva", 0777);
    return fstat(dir.drop, &there) == 0 && fstat(dir.root, &here) == 0 &&
           here.st_dev != there.st_dev;
}

static void close_across(void)
{
    close_dir();
    nftw(other_place, place_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool recovered(void);

/* Others may have made something of the names that we hide files under. */
static void test_squatters(void)
{
    struct file_id read = drop("d.csv", "taken");

    place_put_text(dir.drop, ".phasesentinel", "mine");
    symlinkat("eva", dir.drop, ".phasesentinel.~2~");
    mkdirat(dir.drop, ".phasesentinel.~3~", 0755);
    place_put_text(dir.drop, ".phasesentinel.~3~/mine.csv", "mine");
    check(placement_take(&dir, "d.csv", &read, 5, &cause) == 0 &&
              holds(dir.moving, "5.csv", "", "taken") && holds(dir.drop, "d.csv", "", NULL),
          "what stands in the way of a hiding is passed by");
    check(recovered() && holds(dir.drop, ".phasesentinel", "", "mine") &&
              holds(dir.drop, ".phasesentinel.~3~/mine.csv", "", "mine") &&
              faccessat(dir.drop, "mine.csv", F_OK, 0) < 0,
          "and left alone");
}

static void test_across(void)
{
    struct file_id read;
    char name[64];
    uint64_t seq;
    int step;

    if (!open_across()) {
        check(true, "no second file system here # SKIP");
        close_across();
        return;
    }
    check(quarantine("eva/a.csv", "bad", 1) == 0 && holds(dir.quarantine, "eva/a.csv", "", "bad") &&
              accept_as(PLACE_ARCHIVE, "b.csv", "good") == 0 &&
              holds(dir.archive, "b.csv", "", "good") && count_in(dir.moving) == 0 &&
              count_in(dir.drop) == 1,
          "from another file system");
    victim = "eva/a.csv";
    read = drop(victim, "first");
    before_rename = append_victim;
    check(take_fails(victim, &read) && holds(dir.drop, victim, "", "first and more"),
          "put back there what changed at the last instant");
    for (step = 0; step < 4; step++) {
        read = drop("eva/c.csv", "late");
        seq = ledger.next_seq;
        write_reasons(seq, 7);
        book(VERDICT_QUARANTINED, "eva/c.csv", "late");
        snprintf(name, sizeof name, "%" PRIu64 ".hidden", seq);
        place_put_text(dir.moving, name, "eva/c.csv");
        mkdirat(dir.drop, "eva/.phasesentinel", 0700);
        if (step >= 1)
            renameat(dir.drop, "eva/c.csv", dir.drop, "eva/.phasesentinel/c.csv");
        snprintf(name, sizeof name, "%" PRIu64 ".csv", seq);
        if (step >= 2)
            place_put_text(dir.moving, name, "late");
        if (step == 3)
            unlinkat(dir.drop, "eva/.phasesentinel/c.csv", 0);
        place_put_text(dir.moving, ".1-2.tmp", "la");
        check(recovered(), "it stops at step %d", step);
        check(faccessat(dir.drop, "eva/.phasesentinel", F_OK, 0) < 0, "nothing is hidden any more");
        check(holds(dir.drop, "eva/c.csv", "", step < 3 ? "late" : NULL),
              "what was not copied, or not away yet, is dropped again");
        check(
            holds(dir.quarantine, "eva/c.csv", "", step >= 2 ? "late" : NULL) &&
                holds(dir.quarantine, "eva/c.csv", ".errors.csv", step >= 2 ? REASONS("7") : NULL),
            "what was copied comes to its place");
        unlinkat(dir.quarantine, "eva/c.csv", 0);
        unlinkat(dir.quarantine, "eva/c.csv.errors.csv", 0);
    }
    test_squatters();
    close_across();
}

/* ---- resolving ---------------------------------------------------------------------------- */

static void resolve(const char *name, const char *text)
{
    int fd;

    place_put_text(dir.drop, name, text);
    fd = openat(dir.drop, name, O_RDONLY | O_CLOEXEC);
    if (placement_resolve(&dir, name, fd, strlen(text), &cause) < 0)
        abort();
    close(fd);
}

static void test_resolve(void)
{
    open_dir();
    quarantine("a.csv", "t,v\n1,", 2);
    place_put_text(dir.quarantine, "a.csv.rejects.csv", "t,v\n1,\n");
    quarantine("a.csv", "t,v\nx,2\n", 2);
    quarantine("a.csv", "t,v\n1,2\n3", 3);
    quarantine("a.csv", "t,v\n1,2\n3,4\n", 4);
    quarantine("a.csv", "t,v\n1,2\n3,4\n5", 5);
    quarantine("b.csv", "t,v\n1,", 6);
    resolve("a.csv", "t,v\n1,2\n3,4\n");
    check(holds(dir.quarantine, "a.csv", "", NULL) &&
              holds(dir.quarantine, "a.csv", ".errors.csv", NULL) &&
              holds(dir.quarantine, "a.csv", ".rejects.csv", NULL),
          "a cut copy is taken away with its companions");
    check(holds(dir.quarantine, "a.csv.~2~", "", "t,v\nx,2\n") &&
              holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")),
          "one that is no prefix stays");
    check(holds(dir.quarantine, "a.csv.~3~", "", NULL) &&
              holds(dir.quarantine, "a.csv.~3~", ".errors.csv", NULL),
          "a second cut copy goes too");
    check(holds(dir.quarantine, "a.csv.~4~", "", NULL), "so does an equal one");
    check(holds(dir.quarantine, "a.csv.~5~", "", "t,v\n1,2\n3,4\n5"), "a longer one stays");
    check(holds(dir.quarantine, "b.csv", "", "t,v\n1,"), "and that of another name");
    resolve("c.csv", "x");
    check(count_in(dir.quarantine) == 6, "a name without copies changes nothing");
    mkdirat(dir.drop, "eva", 0777);
    resolve("eva/b.csv", "t,v\n1,2\n");
    check(holds(dir.quarantine, "b.csv", "", "t,v\n1,") && count_in(dir.quarantine) == 6,
          "nor does one of the same name in a directory");
    quarantine("eva/b.csv", "t,v\n1,", 6);
    resolve("eva/b.csv", "t,v\n1,2\n");
    check(holds(dir.quarantine, "eva/b.csv", "", NULL) &&
              holds(dir.quarantine, "eva/b.csv", ".errors.csv", NULL) &&
              holds(dir.quarantine, "b.csv", "", "t,v\n1,"),
          "a cut copy of that one goes");
    close_dir();
}

/* ---- recovering --------------------------------------------------------------------------- */

static bool recovered(void)
{
    bool right = placement_recover(&dir, &ledger, &config, &cause) == 0;

    right = right && placement_recover(&dir, &ledger, &config, &cause) == 0;
    if (!right)
        printf("# %s\n", cause.text);
    return right && count_in(dir.moving) == 0;
}

/* What has been done of a quarantine when the machine stops, step by step. */
static void test_recover_quarantine(void)
{
    static const char *const steps[] = {"its reasons are written", "the line is booked",
                                        "the file is taken", "its reasons are placed",
                                        "it is placed"};
    struct file_id read;
    uint64_t seq;
    char from[32];
    size_t step;

    for (step = 0; step < sizeof steps / sizeof *steps; step++) {
        open_dir();
        quarantine("a.csv", "older", 1);
        read = drop("a.csv", "bad");
        seq = ledger.next_seq;
        write_reasons(seq, 2);
        if (step >= 1)
            book(VERDICT_QUARANTINED, "a.csv", "bad");
        if (step >= 2 && placement_take(&dir, "a.csv", &read, seq, &cause) < 0)
            abort();
        snprintf(from, sizeof from, "%" PRIu64 ".errors.csv", seq);
        if (step >= 3)
            renameat(dir.moving, from, dir.quarantine, "a.csv.~2~.errors.csv");
        snprintf(from, sizeof from, "%" PRIu64 ".csv", seq);
        if (step >= 4)
            renameat(dir.moving, from, dir.quarantine, "a.csv.~2~");
        check(recovered(), "after '%s' the rest is done", steps[step]);
        if (step < 2)
            check(holds(dir.drop, "a.csv", "", "bad") && count_in(dir.quarantine) == 2,
                  "the file is still dropped: to be judged once more");
        else
            check(count_in(dir.drop) == 0 && holds(dir.quarantine, "a.csv.~2~", "", "bad") &&
                      holds(dir.quarantine, "a.csv.~2~", ".errors.csv", REASONS("2")) &&
                      count_in(dir.quarantine) == 4,
                  "it has its place, with its own reasons");
        check(holds(dir.quarantine, "a.csv", "", "older") &&
                  holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("1")),
              "the older one is untouched");
        close_dir();
    }
}

static void test_recover_accepted(void)
{
    static const char *const sources[] = {"keep", "archive", "delete"};
    struct file_id read;
    uint64_t seq;
    char from[32];
    int source, placed;

    for (source = 0; source < 3; source++) {
        open_dir();
        config.source = (enum config_source)source;
        place_put_text(dir.archive, "a.csv", "older");
        read = drop("a.csv", "good");
        seq = book(VERDICT_MERGED, "a.csv", "good");
        if (placement_take(&dir, "a.csv", &read, seq, &cause) < 0)
            abort();
        check(recovered() && holds(dir.archive, "a.csv", "", "older"), "taken, and source = %s",
              sources[source]);
        check(holds(dir.drop, "a.csv", "", source == 0 ? "good" : NULL) &&
                  holds(dir.archive, "a.csv.~2~", "", source == 1 ? "good" : NULL),
              "that is what becomes of it");
        close_dir();
    }
    for (placed = 0; placed < 3; placed++) {
        open_dir();
        drop("a.csv", "good\nbad\n");
        seq = ledger.next_seq;
        write_reasons(seq, 2);
        write_rejects(seq, "header\nbad\n");
        book(VERDICT_MERGED, "a.csv", "good\nbad\n");
        snprintf(from, sizeof from, "%" PRIu64 ".errors.csv", seq);
        if (placed > 0)
            renameat(dir.moving, from, dir.quarantine, "a.csv.errors.csv");
        snprintf(from, sizeof from, "%" PRIu64 ".rejects.csv", seq);
        if (placed > 1)
            renameat(dir.moving, from, dir.quarantine, "a.csv.rejects.csv");
        check(recovered() && holds(dir.drop, "a.csv", "", "good\nbad\n") &&
                  holds(dir.quarantine, "a.csv", ".errors.csv", REASONS("2")) &&
                  holds(dir.quarantine, "a.csv", ".rejects.csv", "header\nbad\n") &&
                  count_in(dir.quarantine) == 2,
              "a kept file's bad rows, %d of 2 placed", placed);
        close_dir();
    }
}

/* Takes a packed file with this inside, of which the line says `booked`. */
static struct buffer take_packed(enum decompress_format format, const char *inside,
                                 const char *name, const char *post_commit)
{
    struct buffer packed = {0};
    struct file_id read;
    uint64_t seq;

    pack(&packed, format, inside, strlen(inside));
    place_put(dir.drop, name, packed.data, packed.len);
    if (beneath_stat(dir.drop, name, &read) != FILE_REGULAR)
        abort();
    seq = book(VERDICT_MERGED, name, post_commit);
    if (placement_take(&dir, name, &read, seq, &cause) < 0)
        abort();
    return packed;
}

static bool holds_packed(int fd, const char *name, struct buffer *packed)
{
    struct buffer bytes = {0};
    bool same = place_get(fd, name, &bytes) && bytes.len == packed->len &&
                memcmp(bytes.data, packed->data, bytes.len) == 0;

    buffer_free(&bytes);
    buffer_free(packed);
    return same;
}

/* A packed file is known by what is inside, or by its own bytes where it cannot be unpacked. */
static void test_recover_packed(void)
{
    struct buffer packed;
    char from[32];

    open_dir();
    config.source = CONFIG_SOURCE_ARCHIVE;
    packed = take_packed(DECOMPRESS_GZIP, "good", "a.csv.gz", "good");
    check(recovered() && holds_packed(dir.archive, "a.csv.gz", &packed), "a packed file goes on");
    packed = take_packed(DECOMPRESS_ZSTD, "good", "a.csv.zst", "good");
    check(recovered() && holds_packed(dir.archive, "a.csv.zst", &packed), "of either kind");
    packed = take_packed(DECOMPRESS_PLAIN, "\x1F\x8B\x08", "b.csv.gz", "\x1F\x8B\x08");
    check(recovered() && holds_packed(dir.archive, "b.csv.gz", &packed), "or known by its bytes");
    packed = take_packed(DECOMPRESS_GZIP, "other", "c.csv.gz", "good");
    check(recovered() && holds_packed(dir.drop, "c.csv.gz", &packed), "another one goes back");
    packed = (struct buffer){0};
    pack(&packed, DECOMPRESS_ZSTD, "good", 4);
    snprintf(from, sizeof from, "%" PRIu64 ".csv", ledger.next_seq + 7);
    place_put(dir.moving, from, packed.data, packed.len);
    snprintf(from, sizeof from, "recovered.%" PRIu64 ".csv.zst", ledger.next_seq + 7);
    check(recovered() && holds_packed(dir.drop, from, &packed),
          "what nobody knows is dropped as %s", from);
    close_dir();
}

static void test_recover_odd(void)
{
    struct file_id read;
    uint64_t seq;

    open_dir();
    place_put_text(dir.moving, ".7.errors.csv.tmp", "half");
    write_reasons(99, 1);
    write_rejects(99, "x");
    check(recovered(), "what was never booked, and temporary files, go away");

    read = drop("a.csv", "bad");
    write_reasons(ledger.next_seq, 1);
    seq = book(VERDICT_QUARANTINED, "a.csv", "what was read");
    if (placement_take(&dir, "a.csv", &read, seq, &cause) < 0)
        abort();
    check(recovered() && holds(dir.drop, "a.csv", "", "bad") && count_in(dir.quarantine) == 0,
          "what is not what was booked goes back");
    read = drop("a.csv", "bad");
    if (placement_take(&dir, "a.csv", &read, seq, &cause) < 0)
        abort();
    place_put_text(dir.drop, "a.csv", "newer");
    check(recovered() && holds(dir.drop, "a.csv", "", "newer") && count_in(dir.drop) == 2,
          "beside what has come there since");

    write_reasons(ledger.next_seq, 1);
    book(VERDICT_QUARANTINED, "b.csv", "bad");
    check(recovered() && count_in(dir.quarantine) == 0, "its owner has taken it away");
    close_dir();
}

/* Somebody clears the quarantine before the next start. */
static void test_recover_cleared(void)
{
    struct file_id read;
    uint64_t seq;

    open_dir();
    read = drop("a.csv", "bad");
    seq = book(VERDICT_QUARANTINED, "a.csv", "bad");
    if (placement_take(&dir, "a.csv", &read, seq, &cause) < 0)
        abort();
    check(recovered() && holds(dir.quarantine, "a.csv", "", "bad"),
          "a file whose reasons are gone has its place still");
    seq = ledger.next_seq;
    write_rejects(seq, "header\nbad\n");
    book(VERDICT_MERGED, "b.csv", "good\nbad\n");
    check(recovered() && holds(dir.quarantine, "b.csv", ".rejects.csv", "header\nbad\n"),
          "so have rejected rows");
    close_dir();
}

/* ---- survey ------------------------------------------------------------------------------- */

static void test_survey(void)
{
    struct quarantine_summary survey = {.files = 9};
    char longest[256];
    uint64_t total = 0;
    size_t i;

    open_dir();
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
    char longest[256];
    int fd;

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGIO, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    fd = place_enter();
    memset(longest, 'x', 255);
    memcpy(longest + 251, ".csv", 5);
    test_quarantine();
    test_accepted();
    test_sidecars();
    test_long_names();
    test_directories();
    test_take();
    test_take_from_directory();
    test_across();
    test_put_back_beside("a.csv", "a short name");
    test_put_back_beside(longest, "a name of 255 bytes");
    test_put_back_into_longer();
    test_resolve();
    test_recover_accepted();
    test_recover_odd();
    test_recover_packed();
    test_survey();
    test_recover_quarantine();
    test_recover_cleared();
    close(fd);
    return unit_done();
}
