#include "base/hash_index.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)

/* The kept half of a hash spreads over any capacity below 2^32, not only over powers of two. */
static size_t home(const struct hash_index *map, uint32_t key)
{
    return (size_t)((uint64_t)key * map->cap >> 32);
}

static size_t next(const struct hash_index *map, size_t i)
{
    return i + 1 == map->cap ? 0 : i + 1;
}

/* Four of five slots are used before it grows. */
static size_t limit(const struct hash_index *map)
{
    return map->cap - map->cap / 5;
}

void hash_index_free(struct hash_index *map)
{
    free(map->slots);
    *map = (struct hash_index){0};
}

void hash_index_use_large_pages(void *memory, size_t size)
{
    size_t skip = (LARGE_PAGE - (uintptr_t)memory % LARGE_PAGE) % LARGE_PAGE;

    /* A kernel that cannot does without. */
    if (size >= 2 * LARGE_PAGE)
        (void)madvise((char *)memory + skip, (size - skip) / LARGE_PAGE * LARGE_PAGE,
                      MADV_HUGEPAGE);
}

static void insert(struct hash_index *map, uint32_t key, uint32_t value)
{
    size_t i = home(map, key);

    while (map->slots[i].value != 0)
        i = next(map, i);
    map->slots[i] = (struct hash_index_slot){key, value};
    map->used++;
}

static int grow(struct hash_index *map, size_t cap)
{
    struct hash_index larger = {.cap = cap};
    size_t i;

    larger.slots = cap > UINT32_MAX ? NULL : calloc(larger.cap, sizeof *larger.slots);
    if (larger.slots == NULL) {
        errno = ENOMEM;
        return -1;
    }
    hash_index_use_large_pages(larger.slots, larger.cap * sizeof *larger.slots);
    for (i = 0; i < map->cap; i++)
        if (map->slots[i].value != 0)
            insert(&larger, map->slots[i].key, map->slots[i].value);
    hash_index_free(map);
    *map = larger;
    return 0;
}

int hash_index_reserve(struct hash_index *map, size_t count)
{
    return count <= limit(map) ? 0 : grow(map, count < 48 ? 64 : count + count / 4 + 1);
}

int hash_index_put(struct hash_index *map, uint64_t key, uint64_t value)
{
    if (value > UINT32_MAX) {
        errno = ENOMEM;
        return -1;
    }
    if (map->used >= limit(map) && grow(map, map->cap < 48 ? 64 : map->cap + map->cap / 3) < 0)
        return -1;
    insert(map, (uint32_t)(key >> 32), (uint32_t)value);
    return 0;
}

struct hash_index_slot *hash_index_find(const struct hash_index *map, uint64_t key, size_t *cursor)
{
    const uint32_t half = (uint32_t)(key >> 32);
    size_t i;

    if (map->cap == 0)
        return NULL;
    /* The cursor is the slot to look at next, plus one. */
    for (i = *cursor == 0 ? home(map, half) : *cursor - 1; map->slots[i].value != 0;
         i = next(map, i)) {
        if (map->slots[i].key == half) {
            *cursor = next(map, i) + 1;
            return &map->slots[i];
        }
    }
    *cursor = i + 1;
    return NULL;
}

void hash_index_prefetch(const struct hash_index *map, uint64_t key)
{
    if (map->cap > 0)
        __builtin_prefetch(&map->slots[home(map, (uint32_t)(key >> 32))], 1);
}

void hash_index_remove(struct hash_index *map, struct hash_index_slot *slot)
{
    size_t hole = (size_t)(slot - map->slots), i;

    /* Shift back what the hole would cut off from its home, so that no search ends early. */
    for (i = next(map, hole); map->slots[i].value != 0; i = next(map, i)) {
        size_t wanted = home(map, map->slots[i].key);
        size_t from_home = i >= wanted ? i - wanted : i + map->cap - wanted;
        size_t from_hole = i >= hole ? i - hole : i + map->cap - hole;

        if (from_home >= from_hole) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct hash_index_slot){0};
    map->used--;
}
