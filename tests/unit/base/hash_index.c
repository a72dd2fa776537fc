#include "base/hash_index.h"

#include <errno.h>

#include "lib/place.h"
#include "lib/unit.h"

#define KEYS   4096
#define VALUES 6

/* The reference: the values of each key, in no order. */
static struct {
    uint64_t key;
    uint32_t values[VALUES];
    size_t count;
} known[KEYS];

static struct hash_index table;

/* Fill known[] with keys that are spread like hashes, or with keys that share a few first slots,
 * also at the end of the table. No two have the same high half. */
static void make_keys(bool crowded)
{
    uint32_t i, half;

    memset(known, 0, sizeof known);
    for (i = 0; i < KEYS; i++) {
        half = !crowded ? i * UINT32_C(0x9E3779B1) : i % 2 == 0 ? UINT32_MAX - i : i;
        known[i].key = (uint64_t)half << 32 | (place_random() & UINT32_MAX);
    }
}

/* Return true if the table has exactly the reference's values for the key. */
static bool holds(size_t k)
{
    bool met[VALUES] = {false};
    struct hash_index_slot *slot;
    size_t cursor = 0, count = 0, i;

    while ((slot = hash_index_find(&table, known[k].key, &cursor)) != NULL) {
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
    if (hash_index_put(&table, known[k].key, value) < 0)
        abort();
    known[k].values[known[k].count++] = value;
}

/* Remove or change the entry of the key that hash_index_find returns after `skip` others. */
static void change(size_t k, bool removes)
{
    size_t cursor = 0, skip, i;
    struct hash_index_slot *slot;

    if (known[k].count == 0)
        return;
    skip = place_below(known[k].count);
    while ((slot = hash_index_find(&table, known[k].key, &cursor)) != NULL && skip > 0)
        skip--;
    if (slot == NULL)
        return;
    for (i = 0; i < known[k].count && known[k].values[i] != slot->value; i++)
        continue;
    if (i == known[k].count)
        return;
    if (removes) {
        known[k].values[i] = known[k].values[--known[k].count];
        hash_index_remove(&table, slot);
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
        /* Add more and remove more by turns, so that the table gets full and empty. */
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
    check(wrong == 0 && table.used == used, "%zu changes of %s keys: %zu wrong, %zu of %zu entries",
          rounds, crowded ? "crowded" : "spread", wrong, table.used, used);
    for (k = 0; k < KEYS; k++)
        while (known[k].count > 0)
            change(k, true);
    check(table.used == 0, "all entries are removed");
    for (k = 0; k < KEYS; k++)
        wrong += !holds(k);
    check(wrong == 0, "no entry is found then");
    hash_index_free(&table);
}

static void test_edges(void)
{
    size_t cursor = 0, i;

    check(hash_index_find(&table, 5, &cursor) == NULL, "an empty table has no entries");
    hash_index_free(&table);
    hash_index_prefetch(&table, 5);
    check(hash_index_put(&table, 0, UINT32_MAX) == 0 && hash_index_put(&table, UINT64_MAX, 1) == 0,
          "any key and value is accepted");
    check(hash_index_put(&table, 1, UINT64_C(1) << 32) < 0 && errno == ENOMEM && table.used == 2,
          "but for a value of more than 32 bits");
    cursor = 0;
    check(hash_index_find(&table, 0, &cursor)->value == UINT32_MAX, "key 0 is found");
    check(hash_index_find(&table, 0, &cursor) == NULL &&
              hash_index_find(&table, 0, &cursor) == NULL,
          "key 0 is found once");
    cursor = 0;
    check(hash_index_find(&table, UINT64_MAX, &cursor)->value == 1, "the largest key is found");
    hash_index_free(&table);
    check(table.slots == NULL && table.used == 0 && table.cap == 0,
          "hash_index_free leaves an empty table");
    for (i = 1; i <= 1000; i++)
        if (hash_index_put(&table, UINT64_C(42) << 32, i) < 0)
            abort();
    cursor = 0;
    for (i = 0; hash_index_find(&table, UINT64_C(42) << 32 | 7, &cursor) != NULL; i++)
        continue;
    check(i == 1000, "a thousand values of one key, also for a key of the same high half: %zu", i);
    cursor = 0;
    check(hash_index_find(&table, UINT64_C(43) << 32, &cursor) == NULL,
          "the next key has no values");
    hash_index_free(&table);
}

/* hash_index_reserve makes enough room, at most a quarter too much, and searches end. */
static void test_reserve(void)
{
    size_t counts[] = {0, 1, 2, 47, 48, 64, 100, 1000, 54321}, i, k, cursor, cap, wrong = 0;

    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        wrong += hash_index_reserve(&table, counts[i]) < 0 || hash_index_reserve(&table, 0) < 0;
        cap = table.cap;
        for (k = 1; k <= counts[i]; k++)
            wrong += hash_index_put(&table, place_random(), k) < 0;
        wrong += table.cap != cap || (counts[i] > 64 && cap > counts[i] / 4 * 5 + 8);
        cursor = 0;
        while (hash_index_find(&table, place_random(), &cursor) != NULL)
            continue;
        wrong += hash_index_reserve(&table, counts[i] * 2) < 0 || table.used != counts[i];
        hash_index_free(&table);
    }
    check(wrong == 0, "no table grows after hash_index_reserve: %zu wrong", wrong);
    errno = 0;
    check(hash_index_reserve(&table, SIZE_MAX / 16) < 0 && errno == ENOMEM && table.cap == 0,
          "more entries than a table can have are refused");
}

static void test_million(void)
{
    const size_t count = place_rounds(1000000);
    size_t i, cursor, wrong = 0;
    struct hash_index_slot *slot;
    uint64_t seed = place_seed, key;

    for (i = 1; i <= count; i++)
        if (hash_index_put(&table, place_random(), i) < 0)
            abort();
    place_seed = seed;
    for (i = 1; i <= count; i++) {
        key = place_random();
        cursor = 0;
        do
            slot = hash_index_find(&table, key, &cursor);
        while (slot != NULL && slot->value != i);
        wrong += slot == NULL;
    }
    check(wrong == 0 && table.used == count, "%zu entries: %zu wrong", count, wrong);
    check(table.cap * sizeof *table.slots < 14 * count + 4096, "an entry takes %zu bytes",
          table.cap * sizeof *table.slots / count);
    hash_index_free(&table);
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
