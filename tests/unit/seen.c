#include "seen.h"

#include <inttypes.h>

#include "place.h"
#include "unit.h"

static int dir;
static struct cause cause;
static struct seen seen;

static struct signature file(uint64_t inode, uint64_t size)
{
    return (struct signature){5, inode, size, 1000 + (int64_t)size, 2000 + (int64_t)size};
}

static void put(const char *name, struct signature signature, uint64_t at, bool young)
{
    if (seen_put(&seen, name, &signature, at, young, &cause) < 0)
        abort();
}

static bool holds(const char *name, struct signature signature, uint64_t at)
{
    return seen_holds(&seen, name, &signature, at);
}

static uint64_t inode(uint64_t number)
{
    struct signature signature = file(number, 99);

    return seen_inode(&seen, &signature);
}

static void reopen(void)
{
    if (seen_save(&seen, &cause) < 0)
        abort();
    seen_close(&seen);
    if (seen_open(&seen, dir, &cause) < 0)
        abort();
}

static void forget(void)
{
    seen_close(&seen);
    unlinkat(dir, "seen", 0);
    if (seen_open(&seen, dir, &cause) < 0)
        abort();
}

/* A scan that meets these names; NULL ends them. */
static void scan(const char *first, const char *second)
{
    seen_scan_begin(&seen);
    if (first != NULL)
        seen_scan_meet(&seen, first, &cause);
    if (second != NULL)
        seen_scan_meet(&seen, second, &cause);
    seen_scan_end(&seen);
}

static void test_holds(void)
{
    struct signature as_it_was = file(1, 10), other;

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
    check(seen_is_young(&seen, "a.csv") && !seen_is_young(&seen, "b.csv"), "it was young");
    put("a.csv", file(1, 20), 300, false);
    check(!seen_is_young(&seen, "a.csv"), "and is no more");
    check(seen_has(&seen, "a.csv") && !seen_has(&seen, "b.csv"), "it is there");
    forget();
}

static void test_rename(void)
{
    put("a.csv", file(1, 10), 100, false);
    check(inode(1) == 100 && inode(2) == 0, "what an inode held is known");
    scan("a.csv", NULL);
    check(seen_has(&seen, "a.csv") && inode(1) == 100, "a scan that meets it changes nothing");
    scan("b.csv", NULL);
    check(!seen_has(&seen, "a.csv") && inode(1) == 100,
          "a name that has left is remembered for one scan");
    put("b.csv", file(1, 10), 200, false);
    check(inode(1) == 200, "its inode has another name now");
    scan("b.csv", NULL);
    check(!holds("a.csv", file(1, 10), 100) && inode(1) == 200 && seen_has(&seen, "b.csv"),
          "the next scan forgets the old one, and not the new");
    scan(NULL, NULL);
    check(inode(1) == 200, "a directory that is empty for a moment");
    scan("b.csv", NULL);
    check(seen_has(&seen, "b.csv") && holds("b.csv", file(1, 10), 200) && inode(1) == 200,
          "and is full again: nothing is lost");
    seen_leave(&seen, "b.csv");
    check(!seen_has(&seen, "b.csv") && inode(1) == 200, "it is said to have left");
    seen_leave(&seen, "x.csv");
    scan(NULL, NULL);
    check(inode(1) == 0 && seen.count == 0, "and forgotten by the next scan");
    forget();
}

/* A log is rotated: its inode has another name, its name another inode. */
static void test_rotation(void)
{
    put("a.csv", file(1, 10), 100, false);
    put("a.csv", file(2, 5), 200, false);
    check(inode(2) == 200, "the name's new inode");
    check(inode(1) == 100, "the old one is remembered until the next scan: %" PRIu64, inode(1));
    check(seen_has(&seen, "a.csv") && holds("a.csv", file(2, 5), 200), "beside it");
    put("b.csv", file(1, 12), 300, false);
    check(inode(1) == 300 && inode(2) == 200 && holds("a.csv", file(2, 5), 200), "both are known");
    scan("b.csv", "a.csv");
    scan("b.csv", NULL);
    scan("b.csv", NULL);
    check(inode(1) == 300 && inode(2) == 0, "one leaves");
    forget();
    put("a.csv", file(1, 10), 100, false);
    put("b.csv", file(1, 10), 200, false);
    seen_leave(&seen, "b.csv");
    scan("a.csv", NULL);
    check(holds("a.csv", file(1, 10), 100) && !seen_has(&seen, "b.csv"),
          "of two links to one inode one goes");
    forget();
}

static void test_save(void)
{
    struct buffer bytes = {0};
    size_t i, wrong = 0;

    check(seen_save(&seen, &cause) == 0 && place_holds(dir, "seen", NULL),
          "nothing has changed: nothing is written");
    put("a.csv", file(1, 10), 100, false);
    put("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 61, false);
    put("young.csv", file(3, 10), 300, true);
    put("left.csv", file(4, 10), 400, false);
    seen_leave(&seen, "left.csv");
    reopen();
    check(holds("a.csv", file(1, 10), 100) && seen_has(&seen, "a.csv") && inode(1) == 100,
          "what is saved is there again");
    check(holds("\xFF\n,.csv", file(2, 10), UINT64_C(1) << 61), "odd names and places too");
    check(holds("young.csv", file(3, 10), 300) && seen_is_young(&seen, "young.csv") &&
              !seen_is_young(&seen, "a.csv"),
          "what was young still is");
    check(!seen_has(&seen, "left.csv") && inode(4) == 400, "what has left is remembered as such");
    check(!seen.changed, "nothing has changed since");
    scan("a.csv", "\xFF\n,.csv");
    check(seen.changed && inode(4) == 0, "the scan forgets it");
    reopen();
    place_get(dir, "seen", &bytes);
    for (i = 0; i < bytes.len; i++) {
        seen_close(&seen);
        bytes.data[i] ^= 1;
        place_put(dir, "seen", bytes.data, bytes.len);
        bytes.data[i] ^= 1;
        if (seen_open(&seen, dir, &cause) < 0 || seen.count > 0 || holds("a.csv", file(1, 10), 100))
            wrong++;
        seen_close(&seen);
        place_put(dir, "seen", bytes.data, i);
        if (seen_open(&seen, dir, &cause) < 0 || seen.count > 0)
            wrong++;
    }
    check(wrong == 0, "damaged or cut at any byte it is dropped: %zu wrong", wrong);
    buffer_byte(&bytes, 'x');
    seen_close(&seen);
    place_put(dir, "seen", bytes.data, bytes.len);
    check(seen_open(&seen, dir, &cause) == 0 && seen.count == 0, "with a byte more as well");
    put("a.csv", file(1, 10), 100, false);
    reopen();
    check(holds("a.csv", file(1, 10), 100), "and made again");
    buffer_free(&bytes);
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
    check(!seen_has(&seen, udo), "two names of one XXH3 without a seed are two");
    check(!holds(udo, file(2, 10), 100), "and never stand for one another");
    forget();
}

/* Names and inodes at random: files come, are renamed, replaced, rotated and go; scans in between.
 */
static void test_random(void)
{
    enum { NAMES = 12, INODES = 10 };
    struct {
        bool there;
        uint64_t inode, size, at;
    } names[NAMES] = {{0}};
    uint64_t last_at[INODES] = {0}, first_at[INODES] = {0}, at = 1000, got;
    size_t i, k, other, wrong = 0, rounds = place_rounds(100000);
    char name[32];

    for (i = 0; i < rounds; i++) {
        k = place_below(NAMES);
        snprintf(name, sizeof name, "%zu.csv", k);
        switch (place_below(5)) {
        case 0:
            if (names[k].there)
                seen_leave(&seen, name);
            names[k].there = false;
            break;
        case 1:
            seen_scan_begin(&seen);
            for (other = 0; other < NAMES; other++) {
                snprintf(name, sizeof name, "%zu.csv", other);
                if (names[other].there)
                    seen_scan_meet(&seen, name, &cause);
            }
            seen_scan_end(&seen);
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
            reopen();
        for (k = 0; k < NAMES; k++) {
            snprintf(name, sizeof name, "%zu.csv", k);
            wrong += seen_has(&seen, name) != names[k].there;
            if (!names[k].there)
                continue;
            wrong += !holds(name, file(names[k].inode, names[k].size), names[k].at) ||
                     seen_is_young(&seen, name) != (names[k].at % 3 == 0);
            /* Whoever was put last on an inode answers for it, as long as he is there. */
            if (last_at[names[k].inode] == names[k].at)
                wrong += inode(names[k].inode) != names[k].at;
        }
        for (k = 0; k < INODES; k++) {
            got = inode(k);
            wrong += got != 0 && (got < first_at[k] || got > last_at[k]);
        }
        wrong += seen.count > 3 * (NAMES + INODES) + 200;
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
        seen_scan_begin(&seen);
        for (i = 0; i < count; i += 3) {
            snprintf(name, sizeof name, "user_%zu.csv", i);
            seen_scan_meet(&seen, name, &cause);
        }
        seen_scan_end(&seen);
    }
    reopen();
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user_%zu.csv", i);
        wrong += seen_has(&seen, name) != (i % 3 == 0) || inode(i) != (i % 3 == 0 ? i + 1 : 0) ||
                 holds(name, file(i, i), i + 1) != (i % 3 == 0);
    }
    check(wrong == 0 && seen.count == (count + 2) / 3,
          "%zu files, of which a third stays: %zu wrong", count, wrong);
    forget();
}

int main(void)
{
    dir = place_enter();
    if (seen_open(&seen, dir, &cause) < 0)
        return 1;
    test_holds();
    test_rename();
    test_rotation();
    test_save();
    test_collision();
    test_random();
    test_many();
    seen_close(&seen);
    seen_close(&seen);
    close(dir);
    return unit_done();
}
