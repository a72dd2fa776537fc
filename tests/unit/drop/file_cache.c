#include "drop/file_cache.h"

#include <inttypes.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct file_cache file_cache;

static struct file_id file(uint64_t inode, uint64_t size)
{
    return (struct file_id){5, inode, size, 1000 + (int64_t)size, 2000 + (int64_t)size};
}

static void put(const char *name, struct file_id file_id, uint64_t at, bool racy)
{
    if (file_cache_put(&file_cache, name, &file_id, at, racy, &cause) < 0)
        abort();
}

static bool holds(const char *name, struct file_id file_id, uint64_t at)
{
    return file_cache_holds(&file_cache, name, &file_id, at);
}

static uint64_t inode(uint64_t number)
{
    struct file_id file_id = file(number, 99);

    return file_cache_inode(&file_cache, &file_id);
}

static void reopen(void)
{
    if (file_cache_save(&file_cache, &cause) < 0)
        abort();
    file_cache_close(&file_cache);
    if (file_cache_open(&file_cache, dir, &cause) < 0)
        abort();
}

static void forget(void)
{
    file_cache_close(&file_cache);
    unlinkat(dir, "seen", 0);
    if (file_cache_open(&file_cache, dir, &cause) < 0)
        abort();
}

/* A scan that meets these names; NULL ends them. */
static void scan(const char *first, const char *second)
{
    file_cache_scan_begin(&file_cache);
    if (first != NULL)
        file_cache_scan_meet(&file_cache, first, NULL, 0);
    if (second != NULL)
        file_cache_scan_meet(&file_cache, second, NULL, 0);
    file_cache_scan_end(&file_cache);
}

static void test_holds(void)
{
    struct file_id as_it_was = file(1, 10), other;

    put("a.csv", as_it_was, 100, false);
    check(holds("a.csv", as_it_was, 100), "a file is as it was");
    check(!holds("b.csv", as_it_was, 100), "but not another name");
    check(!holds("a.csv", as_it_was, 200), "nor when the ledger has said more of it");
    check(!holds("a.csv", as_it_was, 0), "nor when it says nothing");
    other = as_it_was;
    other.size++;
    check(!holds("a.csv", other, 100), "nor with another size");
    other = as_it_was;
    other.mtime++;
    check(!holds("a.csv", other, 100), "another mtime");
    other = as_it_was;
    other.ctime++;
    check(!holds("a.csv", other, 100), "another ctime");
    other = as_it_was;
    other.inode++;
    check(!holds("a.csv", other, 100), "another inode");
    other = as_it_was;
    other.device++;
    check(!holds("a.csv", other, 100), "another device");
    put("a.csv", file(1, 20), 300, true);
    check(!holds("a.csv", as_it_was, 100) && holds("a.csv", file(1, 20), 300),
          "a later look replaces the earlier");
    check(file_cache_is_racy(&file_cache, "a.csv") && !file_cache_is_racy(&file_cache, "b.csv"),
          "it was young");
    put("a.csv", file(1, 20), 300, false);
    check(!file_cache_is_racy(&file_cache, "a.csv"), "and is no more");
    check(file_cache_has(&file_cache, "a.csv") && !file_cache_has(&file_cache, "b.csv"),
          "it is there");
    forget();
}

static void test_rename(void)
{
    put("a.csv", file(1, 10), 100, false);
    check(inode(1) == 100 && inode(2) == 0, "what an inode held is known");
    scan("a.csv", NULL);
    check(file_cache_has(&file_cache, "a.csv") && inode(1) == 100,
          "a scan that meets it changes nothing");
    scan("b.csv", NULL);
    check(!file_cache_has(&file_cache, "a.csv") && inode(1) == 100,
          "a name that has left is remembered for one scan");
    put("b.csv", file(1, 10), 200, false);
    check(inode(1) == 200, "its inode has another name now");
    scan("b.csv", NULL);
    check(!holds("a.csv", file(1, 10), 100) && inode(1) == 200 &&
              file_cache_has(&file_cache, "b.csv"),
          "the next scan forgets the old one, and not the new");
    scan(NULL, NULL);
    check(inode(1) == 200, "a directory that is empty for a moment");
    scan("b.csv", NULL);
    check(file_cache_has(&file_cache, "b.csv") && holds("b.csv", file(1, 10), 200) &&
              inode(1) == 200,
          "and is full again: nothing is lost");
    file_cache_leave(&file_cache, "b.csv");
    check(!file_cache_has(&file_cache, "b.csv") && inode(1) == 200, "it is said to have left");
    file_cache_leave(&file_cache, "x.csv");
    scan(NULL, NULL);
    check(inode(1) == 0 && file_cache.count == 0, "and forgotten by the next scan");
    forget();
}

/* A log is rotated: its inode has another name, its name another inode. */
static void test_rotation(void)
{
    put("a.csv", file(1, 10), 100, false);
    put("a.csv", file(2, 5), 200, false);
    check(inode(2) == 200, "the name's new inode");
    check(inode(1) == 100, "the old one is remembered until the next scan: %" PRIu64, inode(1));
    check(file_cache_has(&file_cache, "a.csv") && holds("a.csv", file(2, 5), 200), "beside it");
    put("b.csv", file(1, 12), 300, false);
    check(inode(1) == 300 && inode(2) == 200 && holds("a.csv", file(2, 5), 200), "both are known");
    scan("b.csv", "a.csv");
    scan("b.csv", NULL);
    scan("b.csv", NULL);
    check(inode(1) == 300 && inode(2) == 0, "one leaves");
    forget();
    put("a.csv", file(1, 10), 100, false);
    put("b.csv", file(1, 10), 200, false);
    file_cache_leave(&file_cache, "b.csv");
    scan("a.csv", NULL);
    check(holds("a.csv", file(1, 10), 100) && !file_cache_has(&file_cache, "b.csv"),
          "of two links to one inode one goes");
    forget();
}

static void test_save(void)
{
    check(file_cache_save(&file_cache, &cause) == 0 && place_holds(dir, "seen", NULL),
          "nothing has changed: nothing is written");
    put("a.csv", file(1, 10), 100, false);
    put("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 59, false);
    put("young.csv", file(3, 10), 300, true);
    put("left.csv", file(4, 10), 400, false);
    file_cache_leave(&file_cache, "left.csv");
    reopen();
    check(holds("a.csv", file(1, 10), 100) && file_cache_has(&file_cache, "a.csv") &&
              inode(1) == 100,
          "what is saved is there again");
    check(holds("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 59), "odd names and places too");
    check(holds("young.csv", file(3, 10), 300) && file_cache_is_racy(&file_cache, "young.csv") &&
              !file_cache_is_racy(&file_cache, "a.csv"),
          "what was young still is");
    check(!file_cache_has(&file_cache, "left.csv") && inode(4) == 400,
          "what has left is remembered as such");
    check(!file_cache.changed, "nothing has changed since");
    scan("a.csv", "\xFF\n,.csv");
    check(file_cache.changed && inode(4) == 0, "the scan forgets it");
    forget();
}

/* One block, of four files. */
static void test_damage(void)
{
    struct buffer bytes = {0};
    size_t i, wrong = 0;

    put("a.csv", file(1, 10), 100, false);
    put("b.csv", file(2, 10), 200, false);
    reopen();
    place_get(dir, "seen", &bytes);
    for (i = 0; i < bytes.len; i++) {
        file_cache_close(&file_cache);
        bytes.data[i] ^= 1;
        place_put(dir, "seen", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        if (file_cache_open(&file_cache, dir, &cause) < 0 || file_cache.count > 0 ||
            holds("a.csv", file(1, 10), 100))
            wrong++;
        file_cache_close(&file_cache);
        place_put(dir, "seen", bytes.data, i);
        if (file_cache_open(&file_cache, dir, &cause) < 0 || file_cache.count > 0)
            wrong++;
    }
    check(wrong == 0, "damaged or cut at any byte it is dropped: %zu wrong", wrong);
    put("c.csv", file(3, 10), 300, false);
    reopen();
    check(file_cache.count == 1 && holds("c.csv", file(3, 10), 300), "and made again");
    buffer_free(&bytes);
    forget();
}

/* What is appended later and torn takes nothing with it. */
static void test_torn(void)
{
    struct buffer bytes = {0};
    size_t i, first, wrong = 0;

    put("a.csv", file(1, 10), 100, false);
    reopen();
    place_get(dir, "seen", &bytes);
    first = bytes.len;
    put("b.csv", file(2, 10), 200, false);
    reopen();
    place_get(dir, "seen", &bytes);
    check(bytes.len == first + 8 + 32 + 8, "a block is appended");
    for (i = first; i < bytes.len; i++) {
        file_cache_close(&file_cache);
        place_put(dir, "seen", bytes.data, i);
        wrong += file_cache_open(&file_cache, dir, &cause) < 0 || file_cache.count != 1 ||
                 !holds("a.csv", file(1, 10), 100);
        file_cache_close(&file_cache);
        bytes.data[i] ^= 1;
        place_put(dir, "seen", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        wrong += file_cache_open(&file_cache, dir, &cause) < 0 || file_cache.count != 1 ||
                 !holds("a.csv", file(1, 10), 100);
        put("c.csv", file(3, 10), 300, false);
        reopen();
        wrong += file_cache.count != 2 || !holds("a.csv", file(1, 10), 100) ||
                 !holds("c.csv", file(3, 10), 300);
    }
    check(wrong == 0, "a torn block alone is lost, and written over: %zu wrong", wrong);
    buffer_free(&bytes);
    forget();
}

static off_t size_of_file(void)
{
    struct stat st;

    return fstatat(dir, "seen", &st, 0) == 0 ? st.st_size : 0;
}

/* However many are known, a save writes what has changed; and the file does not grow for ever. */
static void test_growth(void)
{
    enum { FILES = 20000 };
    const size_t rounds = place_rounds(1000);
    off_t before, largest = 0, one;
    char name[32];
    size_t i, k, wrong = 0;

    for (i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%zu.csv", i);
        put(name, file(i, i), i + 1, false);
    }
    file_cache_save(&file_cache, &cause);
    before = size_of_file();
    put("7.csv", file(7, 77), 30000, false);
    file_cache_save(&file_cache, &cause);
    one = size_of_file() - before;
    check(before < FILES * 32 + 1000 && one == 48, "a save of one file writes %d bytes", (int)one);
    for (i = 0; i < rounds; i++) {
        for (k = 0; k < 100; k++) {
            snprintf(name, sizeof name, "%zu.csv", k * 7 % FILES);
            put(name, file(k * 7, 1000 + i), 40000 + i, false);
        }
        file_cache_save(&file_cache, &cause);
        largest = size_of_file() > largest ? size_of_file() : largest;
    }
    check(largest < 2 * before + 4096 * 32 + 10000, "it stays below %d bytes", (int)largest);
    reopen();
    for (k = 0; k < FILES; k++) {
        snprintf(name, sizeof name, "%zu.csv", k);
        wrong += k % 7 == 0 && k < 700
                     ? !holds(name, file(k, 1000 + rounds - 1), 40000 + rounds - 1)
                     : !holds(name, file(k, k), k + 1);
    }
    check(wrong == 0 && file_cache.count == FILES, "and everything is there: %zu wrong", wrong);
    forget();
}

/* The daemon and `merge` by turns. */
static void test_others(void)
{
    struct file_cache theirs;
    struct file_id file_id = file(2, 10);

    put("a.csv", file(1, 10), 100, false);
    file_cache_save(&file_cache, &cause);
    if (file_cache_open(&theirs, dir, &cause) < 0)
        abort();
    file_cache_put(&theirs, "b.csv", &file_id, 200, false, &cause);
    file_cache_save(&theirs, &cause);
    check(!holds("b.csv", file_id, 200), "what another process saw is not known");
    put("c.csv", file(3, 10), 300, false);
    file_cache_save(&file_cache, &cause);
    check(holds("b.csv", file_id, 200), "until the next save");
    file_id = file(4, 10);
    file_cache_put(&theirs, "d.csv", &file_id, 400, false, &cause);
    file_cache_save(&theirs, &cause);
    file_cache_scan_begin(&file_cache);
    check(file_cache_scan_meet(&file_cache, "d.csv", &file_id, 400), "or the next scan");
    file_id = file(9, 9);
    file_cache_put(&theirs, "a.csv", &file_id, 900, false, &cause);
    file_cache_save(&theirs, &cause);
    put("a.csv", file(1, 11), 1000, false);
    file_cache_save(&file_cache, &cause);
    check(holds("a.csv", file(1, 11), 1000), "what is newer here stays");
    file_cache_close(&theirs);
    reopen();
    check(holds("a.csv", file(1, 11), 1000) && holds("b.csv", file(2, 10), 200) &&
              holds("c.csv", file(3, 10), 300) && holds("d.csv", file(4, 10), 400),
          "both have saved everything");
    unlinkat(dir, "seen", 0);
    put("e.csv", file(5, 10), 500, false);
    reopen();
    check(holds("e.csv", file(5, 10), 500) && holds("a.csv", file(1, 11), 1000),
          "a file that is gone is made anew");
    forget();
    put("a.csv", file(1, 10), 100, false);
    if (file_cache_open(&theirs, dir, &cause) < 0)
        abort();
    file_id = file(2, 10);
    file_cache_put(&theirs, "b.csv", &file_id, 200, false, &cause);
    file_cache_save(&theirs, &cause);
    file_cache_close(&theirs);
    reopen();
    check(file_cache.count == 1 && holds("a.csv", file(1, 10), 100),
          "one that was begun with another seed is replaced");
    forget();
}

/* Nobody can choose names that are taken for one another. */
static void test_collision(void)
{
    static const char eva[] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe"
                              "evaevaevaaaaaaaaaaaa.csv";
    static const char udo[] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe"
                              "udoudoudaaaaaaaaaaaa.csv";

    put(eva, file(1, 10), 100, false);
    check(!file_cache_has(&file_cache, udo), "two names of one XXH3 without a seed are two");
    check(!holds(udo, file(2, 10), 100), "and never stand for one another");
    forget();
}

struct file {
    bool there;
    uint64_t inode, size, at;
};

static void scan_names(const struct file *names, size_t count)
{
    char name[32];
    size_t i;

    file_cache_scan_begin(&file_cache);
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%zu.csv", i);
        if (names[i].there)
            file_cache_scan_meet(&file_cache, name, NULL, 0);
    }
    file_cache_scan_end(&file_cache);
}

/* Names and inodes at random: files come, are renamed, replaced, rotated and go; scans in between.
 */
static void test_random(void)
{
    enum { NAMES = 12, INODES = 10 };
    struct file names[NAMES] = {{0}};
    uint64_t last_at[INODES] = {0}, first_at[INODES] = {0}, at = 1000, got;
    size_t i, k, wrong = 0, rounds = place_rounds(100000);
    char name[32];

    for (i = 0; i < rounds; i++) {
        k = place_below(NAMES);
        snprintf(name, sizeof name, "%zu.csv", k);
        switch (place_below(5)) {
        case 0:
            if (names[k].there)
                file_cache_leave(&file_cache, name);
            names[k].there = false;
            break;
        case 1:
            scan_names(names, NAMES);
            break;
        default:
            names[k].there = true;
            names[k].inode = place_below(INODES);
            names[k].size = ++at;
            names[k].at = at;
            last_at[names[k].inode] = at;
            if (first_at[names[k].inode] == 0)
                first_at[names[k].inode] = at;
            put(name, file(names[k].inode, at), at, at % 3 == 0);
        }
        if (place_below(500) == 0)
            file_cache_save(&file_cache, &cause);
        if (place_below(500) == 0) { /* who starts scans first */
            reopen();
            scan_names(names, NAMES);
        }
        for (k = 0; k < NAMES; k++) {
            snprintf(name, sizeof name, "%zu.csv", k);
            wrong += file_cache_has(&file_cache, name) != names[k].there;
            if (!names[k].there)
                continue;
            wrong += !holds(name, file(names[k].inode, names[k].size), names[k].at) ||
                     file_cache_is_racy(&file_cache, name) != (names[k].at % 3 == 0);
            /* Whoever was put last on an inode answers for it, as long as he is there. */
            if (last_at[names[k].inode] == names[k].at)
                wrong += inode(names[k].inode) != names[k].at;
        }
        for (k = 0; k < INODES; k++) {
            got = inode(k);
            wrong += got != 0 && (got < first_at[k] || got > last_at[k]);
        }
        wrong += file_cache.count > 3 * (NAMES + INODES) + 200;
    }
    check(wrong == 0, "%zu random steps: %zu wrong", rounds, wrong);
    forget();
}

static void test_many(void)
{
    const size_t count = place_rounds(100000);
    size_t i, round, wrong = 0;
    char name[64];

    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user_%zu.csv", i);
        put(name, file(i, i), i + 1, false);
    }
    for (round = 0; round < 2; round++) {
        file_cache_scan_begin(&file_cache);
        for (i = 0; i < count; i += 3) {
            snprintf(name, sizeof name, "user_%zu.csv", i);
            file_cache_scan_meet(&file_cache, name, NULL, 0);
        }
        file_cache_scan_end(&file_cache);
    }
    reopen();
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user_%zu.csv", i);
        wrong += file_cache_has(&file_cache, name) != (i % 3 == 0) ||
                 inode(i) != (i % 3 == 0 ? i + 1 : 0) ||
                 holds(name, file(i, i), i + 1) != (i % 3 == 0);
    }
    check(wrong == 0 && file_cache.count == (count + 2) / 3,
          "%zu files, of which a third stays: %zu wrong", count, wrong);
    forget();
}

int main(void)
{
    dir = place_enter();
    if (file_cache_open(&file_cache, dir, &cause) < 0)
        return 1;
    test_holds();
    test_rename();
    test_rotation();
    test_save();
    test_damage();
    test_torn();
    test_growth();
    test_others();
    test_collision();
    test_random();
    test_many();
    file_cache_close(&file_cache);
    file_cache_close(&file_cache);
    close(dir);
    return unit_done();
}
