#include "ingest/history.h"

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct ledger ledger;
static struct seen seen;
static struct recall recall;
static struct signature signature = {.device = 1, .inode = 1};

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
    snprintf(line.name, sizeof line.name, "%s", name);
    if (ledger_add(&ledger, &line, &cause) < 0 || ledger_commit(&ledger, &cause) < 0)
        abort();
    return line.at;
}

static bool remember(const char *name)
{
    return recall_file(&recall, &ledger, &seen, name, &signature, &cause) == 0;
}

static int again(const char *name)
{
    return recall_again(&recall, &ledger, &seen, name, &signature, &cause);
}

/* An inode that nobody knows. */
static void next_inode(void)
{
    signature.inode++;
}

static void test_name(void)
{
    uint64_t own = book(VERDICT_MERGED, "a.csv", 100), last;

    check(remember("none.csv") && !recall.has_last && !recall.has_own && !recall.has_inode &&
              recall.base_count == 0 && recall.base == NULL,
          "of a new name nothing is known");
    check(!recall_last_is(&recall, recall.last.sha256, false, 0), "not even that it is empty");
    check(again("none.csv") == 1 && recall.base == NULL, "and nothing a moment later");
    check(remember("a.csv") && recall.has_last && recall.own.at == own && recall.base_count == 1 &&
              recall.base == &recall.own,
          "of a booked one its line");
    check(!recall_base_is_foreign(&recall) && recall_base_rows(&recall, &ledger) == 3,
          "whose rows are its own");
    check(recall_last_is(&recall, recall.own.sha256, false, 0) &&
              !recall_last_is(&recall, recall.own.sha256, true, 0) &&
              !recall_last_is(&recall, (unsigned char[DIGEST_SIZE]){0}, false, 0),
          "and whose content it is");
    last = book(VERDICT_DUPLICATE, "a.csv", 60);
    check(again("a.csv") == 0, "which is not what it was once more is booked");
    check(remember("a.csv") && recall.own.at == own && recall.last.at == last &&
              recall.base_count == 2 && recall.bases[0] == &recall.own &&
              recall.bases[1] == &recall.last,
          "the longest content goes first");
    recall.base = recall.bases[1];
    check(again("a.csv") == 1 && recall.base == &recall.last, "a base that was found stays");
    recall.base = NULL;
    check(again("a.csv") == 1 && recall.base == NULL, "as does that there is none");
    book(VERDICT_QUARANTINED, "a.csv", 70);
    check(remember("a.csv") && recall.has_last && recall.base_count == 1 &&
              recall.base == &recall.own,
          "nothing goes on from bad content");
}

static void test_siblings(void)
{
    uint64_t packed;

    book(VERDICT_MERGED, "b.csv", 200);
    check(remember("b.csv") && !recall_is_overtaken(&recall, &ledger, "b.csv"), "no sibling yet");
    packed = book(VERDICT_GROWN, "b.csv.gz", 300);
    check(recall_is_overtaken(&recall, &ledger, "b.csv"), "one that is booked overtakes it");
    check(again("b.csv") == 0, "and what was read does not count");
    check(remember("b.csv") && !recall_is_overtaken(&recall, &ledger, "b.csv") &&
              recall.base_count == 2 && recall.base == &recall.siblings[0] &&
              recall.base->at == packed && recall.bases[1] == &recall.own,
          "it may go on from it");
    check(recall_base_is_foreign(&recall), "whose rows are of another name");
    check(remember("b.csv.zst") && recall.base_count == 2 && !recall.has_own &&
              recall.bases[0] == &recall.siblings[1] && recall.bases[1] == &recall.siblings[0],
          "of a third one both are siblings");
    book(VERDICT_MERGED, "b.csv.zst", 200);
    check(remember("b.csv") && recall.base_count == 2 && recall.siblings[1].at != 0,
          "the same content is no base twice");
    check(remember("B.csv") && recall.base_count == 0, "another name has none of them");
}

static void test_inode(void)
{
    uint64_t at = book(VERDICT_MERGED, "c.csv", 400);
    int fd = openat(dir, LEDGER_FILE, O_RDONLY | O_CLOEXEC);

    next_inode();
    if (fd < 0 || seen_put(&seen, "c.csv", &signature, at, false, &cause) < 0)
        abort();
    check(remember("c.csv") && recall.is_ours && !recall.has_inode && recall.base == &recall.own,
          "its own inode is no other file");
    check(remember("d.csv") && !recall.is_ours && recall.has_inode &&
              recall.base == &recall.inode && recall_base_is_foreign(&recall) &&
              recall_base_rows(&recall, &ledger) == 3,
          "a renamed file goes on from what it was");
    check(!recall_is_of_another(&recall, fd, false, 0), "if it says the same of its rows");
    check(recall_is_of_another(&recall, fd, true, 7),
          "if not, and it is younger than the line, it is another one");
    recall.inode.time = INT64_MAX / 2;
    check(recall_is_of_another(&recall, fd, true, 7) == (spool_born(fd) < 0),
          "an older one was renamed");
    recall.base = NULL;
    check(!recall_is_of_another(&recall, fd, true, 7), "without a base there is no other");
    close(fd);
    next_inode();
    at = book(VERDICT_QUARANTINED, "e.csv", 500);
    if (seen_put(&seen, "e.csv", &signature, at, false, &cause) < 0)
        abort();
    check(remember("f.csv") && !recall.has_inode && recall.base == NULL,
          "nor does a file go on from what was quarantined");
    next_inode();
    if (seen_put(&seen, "g.csv", &signature, ledger.end + 1000, false, &cause) < 0)
        abort();
    check(remember("h.csv") && !recall.has_inode, "a cache that points behind the end is stale");
}

int main(void)
{
    dir = place_enter();
    if (dir < 0 || ledger_open(&ledger, dir, &cause) < 0 || ledger_create(&ledger, &cause) < 0 ||
        seen_open(&seen, dir, &cause) < 0)
        abort();
    book(VERDICT_STARTED, "training_data.csv", 0);
    test_name();
    test_siblings();
    test_inode();
    seen_close(&seen);
    ledger_close(&ledger);
    close(dir);
    return unit_done();
}
