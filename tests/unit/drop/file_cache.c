#include "drop/file_cache.h"

#include <inttypes.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct file_cache cache;

static struct file_id file(uint64_t inode, uint64_t size)
{
    return (struct file_id){5, inode, size, 1000 + (int64_t)size, 2000 + (int64_t)size};
}

static void put(const char *name, struct file_id file_id, uint64_t at, bool racy)
{
    if (file_cache_put(&cache, name, &file_id, at, racy, &cause) < 0)
        abort();
}

static bool holds(const char *name, struct file_id file_id, uint64_t at)
{
    return file_cache_holds(&cache, name, &file_id, at);
}

static uint64_t inode(uint64_t number)
{
    struct file_id file_id = file(number, 99);

    return file_cache_inode(&cache, &file_id);
}

static void reopen(void)
{
    if (file_cache_save(&cache, &cause) < 0)
        abort();
    file_cache_close(&cache);
    if (file_cache_open(&cache, dir, &cause) < 0)
        abort();
}

static void forget(void)
{
    file_cache_close(&cache);
    unlinkat(dir, "seen", 0);
    if (file_cache_open(&cache, dir, &cause) < 0)
        abort();
}

/* Scan a directory that holds these names; NULL: none. */
static void scan(const char *first, const char *second)
{
    file_cache_scan_begin(&cache);
    if (first != NULL)
        file_cache_scan_found(&cache, first, NULL, 0);
    if (second != NULL)
        file_cache_scan_found(&cache, second, NULL, 0);
    file_cache_scan_end(&cache);
}

static void test_holds(void)
{
    struct file_id read = file(1, 10), other;

    put("a.csv", read, 100, false);
    check(holds("a.csv", read, 100), "an unchanged file");
    check(!holds("b.csv", read, 100), "another name");
    check(!holds("a.csv", read, 200), "a later line in the ledger");
    check(!holds("a.csv", read, 0), "no line in the ledger");
    other = read;
    other.size++;
    check(!holds("a.csv", other, 100), "another size");
    other = read;
    other.mtime++;
    check(!holds("a.csv", other, 100), "another mtime");
    other = read;
    other.ctime++;
    check(!holds("a.csv", other, 100), "another ctime");
    other = read;
    other.inode++;
    check(!holds("a.csv", other, 100), "another inode");
    other = read;
    other.device++;
    check(!holds("a.csv", other, 100), "another device");
    put("a.csv", file(1, 20), 300, true);
    check(!holds("a.csv", read, 100) && holds("a.csv", file(1, 20), 300),
          "a later entry replaces an earlier one");
    check(file_cache_is_racy(&cache, "a.csv") && !file_cache_is_racy(&cache, "b.csv"),
          "a racy entry");
    put("a.csv", file(1, 20), 300, false);
    check(!file_cache_is_racy(&cache, "a.csv"), "an entry that is racy no more");
    check(file_cache_has(&cache, "a.csv") && !file_cache_has(&cache, "b.csv"),
          "which names are in the directory");
    forget();
}

static void test_rename(void)
{
    put("a.csv", file(1, 10), 100, false);
    check(inode(1) == 100 && inode(2) == 0, "an inode is found");
    scan("a.csv", NULL);
    check(file_cache_has(&cache, "a.csv") && inode(1) == 100,
          "a scan that finds the name changes nothing");
    scan("b.csv", NULL);
    check(!file_cache_has(&cache, "a.csv") && inode(1) == 100,
          "a name that has left is remembered for one scan");
    put("b.csv", file(1, 10), 200, false);
    check(inode(1) == 200, "the inode has another name");
    scan("b.csv", NULL);
    check(!holds("a.csv", file(1, 10), 100) && inode(1) == 200 && file_cache_has(&cache, "b.csv"),
          "the next scan forgets the old name, not the new one");
    scan(NULL, NULL);
    check(inode(1) == 200, "a directory that is empty for a moment");
    scan("b.csv", NULL);
    check(file_cache_has(&cache, "b.csv") && holds("b.csv", file(1, 10), 200) && inode(1) == 200,
          "a name that is back before the next scan");
    file_cache_mark_gone(&cache, "b.csv");
    check(!file_cache_has(&cache, "b.csv") && inode(1) == 200, "a name that is marked as gone");
    file_cache_mark_gone(&cache, "x.csv");
    scan(NULL, NULL);
    check(inode(1) == 0 && cache.count == 0, "the next scan forgets it");
    forget();
}

/* A rotated log: its inode gets another name, its name another inode. */
static void test_rotation(void)
{
    put("a.csv", file(1, 10), 100, false);
    put("a.csv", file(2, 5), 200, false);
    check(inode(2) == 200, "the name's new inode");
    check(inode(1) == 100, "the old one is remembered until the next scan: %" PRIu64, inode(1));
    check(file_cache_has(&cache, "a.csv") && holds("a.csv", file(2, 5), 200),
          "the name stands for its new inode");
    put("b.csv", file(1, 12), 300, false);
    check(inode(1) == 300 && inode(2) == 200 && holds("a.csv", file(2, 5), 200),
          "both inodes are known");
    scan("b.csv", "a.csv");
    scan("b.csv", NULL);
    scan("b.csv", NULL);
    check(inode(1) == 300 && inode(2) == 0, "one of them leaves");
    forget();
    put("a.csv", file(1, 10), 100, false);
    put("b.csv", file(1, 10), 200, false);
    file_cache_mark_gone(&cache, "b.csv");
    scan("a.csv", NULL);
    check(holds("a.csv", file(1, 10), 100) && !file_cache_has(&cache, "b.csv"),
          "one of two links to an inode leaves");
    forget();
}

static void test_save(void)
{
    check(file_cache_save(&cache, &cause) == 0 && place_holds(dir, "seen", NULL),
          "an unchanged cache is not written");
    put("a.csv", file(1, 10), 100, false);
    put("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 59, false);
    put("racy.csv", file(3, 10), 300, true);
    put("gone.csv", file(4, 10), 400, false);
    file_cache_mark_gone(&cache, "gone.csv");
    reopen();
    check(holds("a.csv", file(1, 10), 100) && file_cache_has(&cache, "a.csv") && inode(1) == 100,
          "a saved entry is loaded");
    check(holds("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 59), "an odd name, a far line");
    check(holds("racy.csv", file(3, 10), 300) && file_cache_is_racy(&cache, "racy.csv") &&
              !file_cache_is_racy(&cache, "a.csv"),
          "a racy entry is still racy");
    check(!file_cache_has(&cache, "gone.csv") && inode(4) == 400, "a name that has left");
    check(!cache.changed, "a loaded cache is unchanged");
    scan("a.csv", "\xFF\n,.csv");
    check(cache.changed && inode(4) == 0, "a scan changes it");
    reopen();
    scan("a.csv", "\xFF\n,.csv");
    reopen();
    check(cache.count == 2 && holds("a.csv", file(1, 10), 100), "entries that went are not saved");
    forget();
    put("b.csv", file(1, 10), 200, false);
    put("a.csv", file(1, 10), 100, false);
    put("c.csv", file(2, 10), 300, false);
    scan("a.csv", "b.csv");
    scan("a.csv", "b.csv");
    reopen();
    check(inode(1) == 200 && inode(2) == 0, "a loaded inode stands for its latest line");
    forget();
}

static void test_damage(void)
{
    struct buffer bytes = {0};
    size_t i, wrong = 0;

    put("a.csv", file(1, 10), 100, false);
    put("b.csv", file(2, 10), 200, false);
    reopen();
    place_get(dir, "seen", &bytes);
    check(bytes.len == 24 + 2 * 32, "32 bytes an entry");
    for (i = 0; i < bytes.len; i++) {
        file_cache_close(&cache);
        bytes.data[i] ^= 1;
        place_put(dir, "seen", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        if (file_cache_open(&cache, dir, &cause) < 0 || cache.count > 0 ||
            holds("a.csv", file(1, 10), 100))
            wrong++;
        file_cache_close(&cache);
        place_put(dir, "seen", bytes.data, i);
        if (file_cache_open(&cache, dir, &cause) < 0 || cache.count > 0)
            wrong++;
    }
    check(wrong == 0, "a file damaged or cut at any byte is ignored: %zu wrong", wrong);
    put("c.csv", file(3, 10), 300, false);
    reopen();
    check(cache.count == 1 && holds("c.csv", file(3, 10), 300), "and replaced");
    file_cache_close(&cache);
    place_put_text(dir, "seen", "PSSEEN2\nthe format of version 0.1, of any length");
    check(file_cache_open(&cache, dir, &cause) == 0 && cache.count == 0,
          "a file of the former format is ignored");
    buffer_free(&bytes);
    forget();
}

/* Two processes, which replace the file in turn. */
static void test_two_processes(void)
{
    struct file_cache theirs;
    struct file_id file_id = file(2, 10);

    put("a.csv", file(1, 10), 100, false);
    file_cache_save(&cache, &cause);
    if (file_cache_open(&theirs, dir, &cause) < 0)
        abort();
    file_cache_put(&theirs, "b.csv", &file_id, 200, false, &cause);
    file_cache_save(&theirs, &cause);
    put("c.csv", file(3, 10), 300, false);
    reopen();
    check(holds("a.csv", file(1, 10), 100) && !holds("b.csv", file_id, 200) &&
              holds("c.csv", file(3, 10), 300),
          "the file is what its last writer knew");
    file_cache_close(&theirs);
    forget();
}

/* Names that collide without the seed. */
static void test_collision(void)
{
    static const char eva[] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe"
                              "evaevaevaaaaaaaaaaaa.csv";
    static const char udo[] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe"
                              "udoudoudaaaaaaaaaaaa.csv";

    put(eva, file(1, 10), 100, false);
    check(!file_cache_has(&cache, udo), "two names with the same XXH3 without a seed");
    check(!holds(udo, file(2, 10), 100), "do not stand for one another");
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

    file_cache_scan_begin(&cache);
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%zu.csv", i);
        if (names[i].there)
            file_cache_scan_found(&cache, name, NULL, 0);
    }
    file_cache_scan_end(&cache);
}

/* Random arrivals, renames, replacements, rotations and departures, with scans in between. */
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
                file_cache_mark_gone(&cache, name);
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
            file_cache_save(&cache, &cause);
        if (place_below(500) == 0) { /* a new process scans first */
            reopen();
            scan_names(names, NAMES);
        }
        for (k = 0; k < NAMES; k++) {
            snprintf(name, sizeof name, "%zu.csv", k);
            wrong += file_cache_has(&cache, name) != names[k].there;
            if (!names[k].there)
                continue;
            wrong += !holds(name, file(names[k].inode, names[k].size), names[k].at) ||
                     file_cache_is_racy(&cache, name) != (names[k].at % 3 == 0);
            /* The name that was put last stands for its inode while it is there. */
            if (last_at[names[k].inode] == names[k].at)
                wrong += inode(names[k].inode) != names[k].at;
        }
        for (k = 0; k < INODES; k++) {
            got = inode(k);
            wrong += got != 0 && (got < first_at[k] || got > last_at[k]);
        }
        wrong += cache.count > 3 * (NAMES + INODES) + 200;
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
        file_cache_scan_begin(&cache);
        for (i = 0; i < count; i += 3) {
            snprintf(name, sizeof name, "user_%zu.csv", i);
            file_cache_scan_found(&cache, name, NULL, 0);
        }
        file_cache_scan_end(&cache);
    }
    reopen();
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user_%zu.csv", i);
        wrong += file_cache_has(&cache, name) != (i % 3 == 0) ||
                 inode(i) != (i % 3 == 0 ? i + 1 : 0) ||
                 holds(name, file(i, i), i + 1) != (i % 3 == 0);
    }
    check(wrong == 0 && cache.count == (count + 2) / 3,
          "%zu files, a third of which stays: %zu wrong", count, wrong);
    forget();
}

int main(void)
{
    dir = place_enter();
    if (file_cache_open(&cache, dir, &cause) < 0)
        return 1;
    test_holds();
    test_rename();
    test_rotation();
    test_save();
    test_damage();
    test_two_processes();
    test_collision();
    test_random();
    test_many();
    file_cache_close(&cache);
    file_cache_close(&cache);
    close(dir);
    return unit_done();
}
