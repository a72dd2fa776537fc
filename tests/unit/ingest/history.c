#include "ingest/history.h"

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct ledger ledger;
static struct file_cache file_cache;
static struct history history;
static struct file_id file_id = {.device = 1, .inode = 1};

static const struct content_meta none = {false, 0}, other = {true, 7};

/* Record content of that many bytes; the same number means the same content. */
static uint64_t record(enum verdict verdict, const char *name, uint64_t bytes)
{
    struct ledger_line line = {.verdict = verdict,
                               .name = name,
                               .time = INT64_C(1704110400) * 1000000000,
                               .bytes = bytes,
                               .rows = bytes};
    struct digest digest;

    digest_init(&digest);
    digest_update(&digest, &bytes, sizeof bytes);
    digest_final(&digest, line.sha256);
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0)
        abort();
    return line.at;
}

static void load(const char *name)
{
    if (history_load(&history, &ledger, &file_cache, name, &file_id, &cause) < 0)
        abort();
}

/* Take the number of an inode that the cache does not know. */
static void next_inode(void)
{
    file_id.inode++;
}

static void test_name(void)
{
    uint64_t own = record(VERDICT_MERGED, "a.csv", 100), last;

    load("none.csv");
    check(!history.has_last && !history.has_own && !history.has_inode && history.longest_at == 0,
          "a new name has no history");
    check(!history_last_is(&history, history.last.sha256, none), "nor empty content");
    check(history_is_current(&history, &ledger, "none.csv"), "a moment later either");
    load("a.csv");
    check(history.has_last && history.has_own && history.own.at == own && history.own_rows == 100 &&
              history.longest_at == own,
          "a merged file has its line");
    check(history_last_is(&history, history.own.sha256, none) &&
              !history_last_is(&history, history.own.sha256, other) &&
              !history_last_is(&history, (unsigned char[DIGEST_SIZE]){0}, none),
          "which is about its content and metadata");
    last = record(VERDICT_DUPLICATE, "a.csv", 60);
    check(!history_is_current(&history, &ledger, "a.csv"), "a new line makes it outdated");
    load("a.csv");
    check(history.own.at == own && history.last.at == last && history.own_rows == 100,
          "after a duplicate its own content is the longest that was merged");
    record(VERDICT_QUARANTINED, "a.csv", 70);
    load("a.csv");
    check(history.has_last && history.own.at == own, "after bad content, too");
    last = record(VERDICT_MERGED, "a.csv", 30);
    load("a.csv");
    check(history.own.at == last && history.own_rows == 30 && history.longest_at == own,
          "when it was merged anew, its own content is the last");
}

static void test_inode(void)
{
    uint64_t at = record(VERDICT_MERGED, "c.csv", 400);
    int fd = openat(dir, LEDGER_FILE, O_RDONLY | O_CLOEXEC);

    next_inode();
    if (fd < 0 || file_cache_put(&file_cache, "c.csv", &file_id, at, false, &cause) < 0)
        abort();
    load("c.csv");
    check(history.inode_has_name && !history.has_inode, "its own inode is no other file");
    load("d.csv");
    check(!history.inode_has_name && history.has_inode && history.inode.at == at &&
              history.inode_rows == 400,
          "a renamed file has the content of its old name");
    check(!history_inode_was_reused(&history, fd, none), "if it has the same metadata");
    check(history_inode_was_reused(&history, fd, other),
          "with other metadata and created after the line it is another file");
    history.inode.time = INT64_MAX / 2;
    check(history_inode_was_reused(&history, fd, other) == (file_id_birth_time(fd) < 0),
          "created before the line it was renamed");
    close(fd);
    next_inode();
    at = record(VERDICT_QUARANTINED, "e.csv", 500);
    if (file_cache_put(&file_cache, "e.csv", &file_id, at, false, &cause) < 0)
        abort();
    load("f.csv");
    check(!history.has_inode, "quarantined content is no history");
    next_inode();
    if (file_cache_put(&file_cache, "g.csv", &file_id, ledger.end + 1000, false, &cause) < 0)
        abort();
    load("h.csv");
    check(!history.has_inode, "a cache that points behind the end of the ledger is stale");
}

int main(void)
{
    dir = place_enter();
    if (dir < 0 || ledger_open(&ledger, dir, &cause) < 0 || ledger_create(&ledger, &cause) < 0 ||
        file_cache_open(&file_cache, dir, &cause) < 0)
        abort();
    record(VERDICT_STARTED, "training_data.csv", 0);
    test_name();
    test_inode();
    file_cache_close(&file_cache);
    ledger_close(&ledger);
    close(dir);
    return unit_done();
}
