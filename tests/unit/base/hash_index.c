#include "base/hash_index.h"

#include <errno.h>

#include "lib/place.h"
#include "lib/unit.h"

#define KEYS   4096
#define VALUES 6

/* The reference: for each key its values, in no order. */
static struct {
    uint64_t key;
    uint32_t values[VALUES];
    size_t count;
} known[KEYS];

static struct hash_index map;

/* Spread keys as hashes are, or keys that all want the same few places, also at the table's end.
 * No two have the same high half. */
static void make_keys(bool crowded)
{
    uint32_t i, half;

    memset(known, 0, sizeof known);
    for (i = 0; i < KEYS; i++) {
        half = !crowded ? i * UINT32_C(0x9E3779B1) : i % 2 == 0 ? UINT32_MAX - i : i;
        known[i].key = (uint64_t)half << 32 | (place_random() & UINT32_MAX);
    }
}

/* All values of the key, in whatever order, and nothing else. */
static bool holds(size_t k)
{
    bool met[VALUES] = {false};
    struct hash_index_slot *slot;
    size_t cursor = 0, count = 0, i;

    while ((slot = hash_index_find(&map, known[k].key, &cursor)) != NULL) {
        if (slot->key != known[k].key >> 32 || ++count > known[k].count)
            return false;
        for (i = 0; i < known[k].count; i++)
            if (!met[i] && known[k].values[i] == slot->value)
                break;
        if (i == known[k].count)
            return false;
        met[i] = true;
    }
    return count == known[k].count;
}

static void put(size_t k)
{
    uint32_t value = 1 + (uint32_t)(place_random() % 5);

    if (known[k].count == VALUES)
        return;
    if (hash_index_put(&map, known[k].key, value) < 0)
        abort();
    known[k].values[known[k].count++] = value;
}

/* Removes or alters one of the key's entries, whichever the walk meets at `skip`. */
static void change(size_t k, bool removes)
{
    size_t cursor = 0, skip, i;
    struct hash_index_slot *slot;

    if (known[k].count == 0)
        return;
    skip = place_below(known[k].count);
    while ((slot = hash_index_find(&map, known[k].key, &cursor)) != NULL && skip > 0)
        skip--;
    if (slot == NULL)
        return;
    for (i = 0; i < known[k].count && known[k].values[i] != slot->value; i++)
        continue;
    if (i == known[k].count)
        return;
    if (removes) {
        known[k].values[i] = known[k].values[--known[k].count];
        hash_index_remove(&map, slot);
    } else {
        known[k].values[i] = slot->value = 7;
    }
}

static void test_against_reference(bool crowded, size_t rounds)
{
    size_t i, k, wrong = 0, used = 0;
    unsigned ebb = 0;

    make_keys(crowded);
    for (i = 0; i < rounds; i++) {
        k = place_below(KEYS);
        /* Ebb and flow, so that it gets full and empty. */
        ebb = (unsigned)(i / (rounds / 10 + 1) % 2);
        if (place_below(100) < (ebb ? 30 : 60))
            put(k);
        else
            change(k, place_below(10) != 0);
        if (crowded ? i % 64 == 0 : i % 4 == 0)
            wrong += !holds(place_below(KEYS));
    }
    for (k = 0; k < KEYS; k++) {
        wrong += !holds(k);
        used += known[k].count;
    }
    check(wrong == 0 && map.used == used, "%zu changes of %s keys: %zu wrong, %zu of %zu entries",
          rounds, crowded ? "crowded" : "spread", wrong, map.used, used);
    for (k = 0; k < KEYS; k++)
        while (known[k].count > 0)
            change(k, true);
    check(map.used == 0, "all are removed again");
    for (k = 0; k < KEYS; k++)
        wrong += !holds(k);
    check(wrong == 0, "and none is found");
    hash_index_free(&map);
}

static void test_edges(void)
{
    size_t cursor = 0, i;

    check(hash_index_find(&map, 5, &cursor) == NULL, "an empty map has nothing");
    hash_index_free(&map);
    hash_index_prefetch(&map, 5);
    check(hash_index_put(&map, 0, UINT32_MAX) == 0 && hash_index_put(&map, UINT64_MAX, 1) == 0,
          "any key, any value but 0");
    check(hash_index_put(&map, 1, UINT64_C(1) << 32) < 0 && errno == ENOMEM && map.used == 2,
          "that fits into 32 bits");
    cursor = 0;
    check(hash_index_find(&map, 0, &cursor)->value == UINT32_MAX, "key 0 is found");
    check(hash_index_find(&map, 0, &cursor) == NULL && hash_index_find(&map, 0, &cursor) == NULL,
          "once; and then no more");
    cursor = 0;
    check(hash_index_find(&map, UINT64_MAX, &cursor)->value == 1, "the last key too");
    hash_index_free(&map);
    check(map.slots == NULL && map.used == 0 && map.cap == 0, "freed, it is empty");
    for (i = 1; i <= 1000; i++)
        if (hash_index_put(&map, UINT64_C(42) << 32, i) < 0)
            abort();
    cursor = 0;
    for (i = 0; hash_index_find(&map, UINT64_C(42) << 32 | 7, &cursor) != NULL; i++)
        continue;
    check(i == 1000, "a thousand values of one key, also for a key of the same high half: %zu", i);
    cursor = 0;
    check(hash_index_find(&map, UINT64_C(43) << 32, &cursor) == NULL, "and none of its neighbour");
    hash_index_free(&map);
}

/* Room that was asked for is enough, and no more than a quarter too much; a search always ends. */
static void test_reserve(void)
{
    size_t counts[] = {0, 1, 2, 47, 48, 64, 100, 1000, 54321}, i, k, cursor, cap, wrong = 0;

    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        wrong += hash_index_reserve(&map, counts[i]) < 0 || hash_index_reserve(&map, 0) < 0;
        cap = map.cap;
        for (k = 1; k <= counts[i]; k++)
            wrong += hash_index_put(&map, place_random(), k) < 0;
        wrong += map.cap != cap || (counts[i] > 64 && cap > counts[i] / 4 * 5 + 8);
        cursor = 0;
        while (hash_index_find(&map, place_random(), &cursor) != NULL)
            continue;
        wrong += hash_index_reserve(&map, counts[i] * 2) < 0 || map.used != counts[i];
        hash_index_free(&map);
    }
    check(wrong == 0, "room is made at once: %zu wrong", wrong);
    errno = 0;
    check(hash_index_reserve(&map, SIZE_MAX / 16) < 0 && errno == ENOMEM && map.cap == 0,
          "more than there can be is refused");
}

static void test_million(void)
{
    const size_t count = place_rounds(1000000);
    size_t i, cursor, wrong = 0;
    struct hash_index_slot *slot;
    uint64_t seed = place_seed, key;

    for (i = 1; i <= count; i++)
        if (hash_index_put(&map, place_random(), i) < 0)
            abort();
    place_seed = seed;
    for (i = 1; i <= count; i++) {
        key = place_random();
        cursor = 0;
        do
            slot = hash_index_find(&map, key, &cursor);
        while (slot != NULL && slot->value != i);
        wrong += slot == NULL;
    }
    check(wrong == 0 && map.used == count, "%zu entries: %zu wrong", count, wrong);
    check(map.cap * sizeof *map.slots < 14 * count + 4096, "take %zu bytes each",
          map.cap * sizeof *map.slots / count);
    hash_index_free(&map);
}

int main(void)
{
    test_edges();
    test_reserve();
    test_against_reference(false, place_rounds(1000000));
    test_against_reference(true, place_rounds(100000));
    test_million();
    return unit_done();
}
