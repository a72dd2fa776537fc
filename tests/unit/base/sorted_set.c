#include "base/sorted_set.h"

#include "lib/place.h"
#include "lib/unit.h"

enum { LARGEST = 400 };

static struct sorted_set set;

static void add(uint64_t value)
{
    if (sorted_set_add(&set, value) < 0)
        abort();
}

static struct sorted_snapshot take(void)
{
    struct sorted_snapshot snapshot;

    if (sorted_set_take(&set, &snapshot) < 0)
        abort();
    return snapshot;
}

/* Return true if the snapshot gives exactly the values marked, up to `max`, in ascending order. */
static bool gives(const struct sorted_snapshot *snapshot, const bool *marked, uint64_t max)
{
    struct sorted_cursor cursor = sorted_cursor_begin(snapshot, 0);
    uint64_t value, want;

    for (want = 0; want <= max && want < LARGEST; want++)
        if (marked[want] && (!sorted_cursor_next(&cursor, max, &value) || value != want))
            return false;
    return !sorted_cursor_next(&cursor, max, &value);
}

static void test_empty(void)
{
    struct sorted_snapshot snapshot = take(), zeroed = {0};
    const bool none[LARGEST] = {false};

    check(gives(&snapshot, none, UINT64_MAX), "an empty set gives no value");
    check(gives(&zeroed, none, UINT64_MAX), "nor does a zeroed snapshot");
    sorted_snapshot_release(&snapshot);
    sorted_snapshot_release(&zeroed);
    sorted_set_free(&set);
}

static void test_snapshot_stays(void)
{
    bool before[LARGEST] = {[7] = true, [300] = true}, after[LARGEST] = {[0] = true, [8] = true};
    struct sorted_snapshot old, same, new;

    add(300);
    add(7);
    add(300);
    old = take();
    same = take();
    check(old.recent == same.recent, "two snapshots of the same values share them");
    add(8);
    add(0);
    after[7] = after[300] = true;
    new = take();
    check(gives(&old, before, LARGEST) && gives(&new, after, LARGEST),
          "a snapshot has what was added before it");
    check(gives(&old, before, 7) && gives(&old, before, 299) && gives(&old, before, 300) &&
              gives(&old, before, 6),
          "the greatest value asked for is included");
    sorted_set_free(&set);
    check(gives(&old, before, LARGEST) && gives(&new, after, LARGEST), "it outlives the set");
    sorted_snapshot_release(&old);
    sorted_snapshot_release(&same);
    sorted_snapshot_release(&new);
    check(old.sorted == NULL && old.recent == NULL, "a released snapshot is empty");
}

/* Lengths added in any order, with snapshots of any age held and released meanwhile. */
static void test_random(void)
{
    enum { HELD = 4 };
    const size_t rounds = place_rounds(20000);
    struct sorted_snapshot held[HELD] = {{0}};
    bool marked[LARGEST] = {false}, was[HELD][LARGEST] = {{false}};
    size_t round, i, k, wrong = 0;

    for (round = 0; round < rounds; round++) {
        if (place_below(500) == 0) {
            sorted_set_free(&set);
            memset(marked, 0, sizeof marked);
        }
        /* Many at once, so that they move into the sorted array. */
        for (k = place_below(200) == 0 ? 5000 : place_below(4); k > 0; k--) {
            uint64_t value = place_below(1 + place_below(LARGEST));

            add(value);
            marked[value] = true;
        }
        i = place_below(HELD);
        wrong += !gives(&held[i], was[i], place_below(2 * LARGEST));
        sorted_snapshot_release(&held[i]);
        held[i] = take();
        memcpy(was[i], marked, sizeof marked);
        wrong += !gives(&held[i], was[i], UINT64_MAX);
    }
    for (i = 0; i < HELD; i++)
        sorted_snapshot_release(&held[i]);
    sorted_set_free(&set);
    check(wrong == 0, "%zu snapshots: %zu wrong", rounds, wrong);
}

static void test_million(void)
{
    const size_t count = place_rounds(1000000);
    struct sorted_snapshot snapshot;
    struct sorted_cursor cursor;
    uint64_t value, last = 0;
    size_t i, given = 0, wrong = 0;

    for (i = 0; i < count; i++)
        add(place_random() >> 20 | 1);
    snapshot = take();
    cursor = sorted_cursor_begin(&snapshot, 0);
    while (sorted_cursor_next(&cursor, UINT64_MAX, &value)) {
        wrong += value <= last;
        last = value;
        given++;
    }
    check(wrong == 0 && given <= count && given > count - count / 100,
          "%zu of %zu random values, in order", given, count);
    sorted_snapshot_release(&snapshot);
    sorted_set_free(&set);
}

int main(void)
{
    test_empty();
    test_snapshot_stays();
    test_random();
    test_million();
    return unit_done();
}
