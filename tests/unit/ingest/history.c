#include "ingest/history.h"

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct ledger ledger;
static struct file_cache file_cache;
static struct history history;
static struct file_id file_id = {.device = 1, .inode = 1};

/* Content of so many bytes; as many, the same content. */
static uint64_t book(enum verdict verdict, const char *name, uint64_t bytes)
{
    static struct ledger_line line;
    struct digest digest;

    line = (struct ledger_line){
        .verdict = verdict, .time = INT64_C(1704110400) * 1000000000, .bytes = bytes, .rows = 3};
    digest_init(&digest);
    digest_update(&digest, &bytes, sizeof bytes);
    digest_final(&digest, line.sha256);
    line.name = name;
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0)
        abort();
    return line.at;
}

static bool remember(const char *name)
{
    return history_file(&history, &ledger, &file_cache, name, &file_id, &cause) == 0;
}

static int again(const char *name)
{
    return history_recheck(&history, &ledger, &file_cache, name, &file_id, &cause);
}

/* An inode that nobody knows. */
static void next_inode(void)
{
    file_id.inode++;
}

static void test_name(void)
{
    uint64_t own = book(VERDICT_MERGED, "a.csv", 100), last;

    check(remember("none.csv") && !history.has_last && !history.has_own && !history.has_inode &&
              history.base_count == 0 && history.base == NULL,
          "of a new name nothing is known");
    check(!history_last_is(&history, history.last.sha256, false, 0), "not even that it is empty");
    check(again("none.csv") == 1 && history.base == NULL, "and nothing a moment later");
    check(remember("a.csv") && history.has_last && history.own.at == own &&
              history.base_count == 1 && history.base == &history.own,
          "of a booked one its line");
    check(!history_base_is_foreign(&history) && history_base_rows(&history) == 3,
          "whose rows are its own");
    check(history_last_is(&history, history.own.sha256, false, 0) &&
              !history_last_is(&history, history.own.sha256, true, 0) &&
              !history_last_is(&history, (unsigned char[DIGEST_SIZE]){0}, false, 0),
          "and whose content it is");
    last = book(VERDICT_DUPLICATE, "a.csv", 60);
    check(again("a.csv") == 0, "which is not what it was once more is booked");
    check(remember("a.csv") && history.own.at == own && history.last.at == last &&
              history.base_count == 2 && history.bases[0] == &history.own &&
              history.bases[1] == &history.last,
          "the longest content goes first");
    history.base = history.bases[1];
    check(again("a.csv") == 1 && history.base == &history.last, "a base that was found stays");
    history.base = NULL;
    check(again("a.csv") == 1 && history.base == NULL, "as does that there is none");
    book(VERDICT_QUARANTINED, "a.csv", 70);
    check(remember("a.csv") && history.has_last && history.base_count == 1 &&
              history.base == &history.own,
          "nothing goes on from bad content");
}

static void test_packed_names(void)
{
    uint64_t packed;

    book(VERDICT_MERGED, "b.csv", 200);
    check(remember("b.csv") && !history_is_overtaken(&history, &ledger, "b.csv"),
          "no packed name yet");
    packed = book(VERDICT_GROWN, "b.csv.gz", 300);
    check(history_is_overtaken(&history, &ledger, "b.csv"),
          "the packed file overtakes the plain one");
    check(again("b.csv") == 0, "so what was read of the plain one does not count");
    check(remember("b.csv") && !history_is_overtaken(&history, &ledger, "b.csv") &&
              history.base_count == 2 && history.base == &history.others[0] &&
              history.base->at == packed && history.bases[1] == &history.own,
          "the plain file may go on from the packed one");
    check(history_base_is_foreign(&history), "whose rows are of another name");
    check(remember("b.csv.zst") && history.base_count == 2 && !history.has_own &&
              history.bases[0]->at == packed && history.bases[1]->bytes == 200,
          "a third name may go on from both");
    book(VERDICT_DUPLICATE, "b.csv.zst", 200);
    check(remember("b.csv") && history.base_count == 2 && history.bases[1] == &history.own,
          "the same content is no base twice: its own name comes first");
    check(remember("B.csv") && history.base_count == 0, "a name in other case has none of them");
}

static void test_inode(void)
{
    uint64_t at = book(VERDICT_MERGED, "c.csv", 400);
    int fd = openat(dir, LEDGER_FILE, O_RDONLY | O_CLOEXEC);

    next_inode();
    if (fd < 0 || file_cache_put(&file_cache, "c.csv", &file_id, at, false, &cause) < 0)
        abort();
    check(remember("c.csv") && history.is_ours && !history.has_inode &&
              history.base == &history.own,
          "its own inode is no other file");
    check(remember("d.csv") && !history.is_ours && history.has_inode &&
              history.base == &history.inode && history_base_is_foreign(&history) &&
              history_base_rows(&history) == 3,
          "a renamed file goes on from what it was");
    check(!history_is_of_another(&history, fd, false, 0), "if it says the same of its rows");
    check(history_is_of_another(&history, fd, true, 7),
          "if not, and it is younger than the line, it is another one");
    history.inode.time = INT64_MAX / 2;
    check(history_is_of_another(&history, fd, true, 7) == (file_id_birth_time(fd) < 0),
          "an older one was renamed");
    history.base = NULL;
    check(!history_is_of_another(&history, fd, true, 7), "without a base there is no other");
    close(fd);
    next_inode();
    at = book(VERDICT_QUARANTINED, "e.csv", 500);
    if (file_cache_put(&file_cache, "e.csv", &file_id, at, false, &cause) < 0)
        abort();
    check(remember("f.csv") && !history.has_inode && history.base == NULL,
          "nor does a file go on from what was quarantined");
    next_inode();
    if (file_cache_put(&file_cache, "g.csv", &file_id, ledger.end + 1000, false, &cause) < 0)
        abort();
    check(remember("h.csv") && !history.has_inode, "a cache that points behind the end is stale");
}

int main(void)
{
    dir = place_enter();
    if (dir < 0 || ledger_open(&ledger, dir, &cause) < 0 || ledger_create(&ledger, &cause) < 0 ||
        file_cache_open(&file_cache, dir, &cause) < 0)
        abort();
    book(VERDICT_STARTED, "training_data.csv", 0);
    test_name();
    test_packed_names();
    test_inode();
    file_cache_close(&file_cache);
    ledger_close(&ledger);
    close(dir);
    return unit_done();
}
