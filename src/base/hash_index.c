#include "base/hash_index.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)

/* Return the first slot for a key: its 32 bits, scaled to the capacity, which is any number below
 * 2^32. */
static size_t home_slot(const struct hash_index *index, uint32_t key)
{
    return (size_t)((uint64_t)key * index->cap >> 32);
}

static size_t next_slot(const struct hash_index *index, size_t i)
{
    return i + 1 == index->cap ? 0 : i + 1;
}

/* Return how many entries the table takes before it grows: four for five slots. */
static size_t entry_limit(const struct hash_index *index)
{
    return index->cap - index->cap / 5;
}

void hash_index_free(struct hash_index *index)
{
    free(index->slots);
    *index = (struct hash_index){0};
}

void hash_index_use_large_pages(void *memory, size_t size)
{
    size_t skip = (LARGE_PAGE - (uintptr_t)memory % LARGE_PAGE) % LARGE_PAGE;

    /* Ignore errors: small pages work, too. */
    if (size >= 2 * LARGE_PAGE)
        (void)madvise((char *)memory + skip, (size - skip) / LARGE_PAGE * LARGE_PAGE,
                      MADV_HUGEPAGE);
}

static void insert_entry(struct hash_index *index, uint32_t key, uint32_t value)
{
    size_t i = home_slot(index, key);

    while (index->slots[i].value != 0)
        i = next_slot(index, i);
    index->slots[i] = (struct hash_index_slot){key, value};
    index->used++;
}

static int grow_table(struct hash_index *index, size_t cap)
{
    struct hash_index larger = {.cap = cap};
    size_t i;

    larger.slots = cap > UINT32_MAX ? NULL : calloc(larger.cap, sizeof *larger.slots);
    if (larger.slots == NULL) {
        errno = ENOMEM;
        return -1;
    }
    hash_index_use_large_pages(larger.slots, larger.cap * sizeof *larger.slots);
    for (i = 0; i < index->cap; i++)
        if (index->slots[i].value != 0)
            insert_entry(&larger, index->slots[i].key, index->slots[i].value);
    hash_index_free(index);
    *index = larger;
    return 0;
}

int hash_index_reserve(struct hash_index *index, size_t count)
{
    return count <= entry_limit(index) ? 0
                                       : grow_table(index, count < 48 ? 64 : count + count / 4 + 1);
}

int hash_index_put(struct hash_index *index, uint64_t key, uint64_t value)
{
    if (value > UINT32_MAX) {
        errno = ENOMEM;
        return -1;
    }
    if (index->used >= entry_limit(index) &&
        grow_table(index, index->cap < 48 ? 64 : index->cap + index->cap / 3) < 0)
        return -1;
    insert_entry(index, (uint32_t)(key >> 32), (uint32_t)value);
    return 0;
}

struct hash_index_slot *hash_index_find(const struct hash_index *index, uint64_t key,
                                        size_t *cursor)
{
    const uint32_t half = (uint32_t)(key >> 32);
    size_t i;

    if (index->cap == 0)
        return NULL;
    /* The cursor is the index of the slot to try, plus 1. */
    for (i = *cursor == 0 ? home_slot(index, half) : *cursor - 1; index->slots[i].value != 0;
         i = next_slot(index, i)) {
        if (index->slots[i].key == half) {
            *cursor = next_slot(index, i) + 1;
            return &index->slots[i];
        }
    }
    *cursor = i + 1;
    return NULL;
}

void hash_index_prefetch(const struct hash_index *index, uint64_t key)
{
    if (index->cap > 0)
        __builtin_prefetch(&index->slots[home_slot(index, (uint32_t)(key >> 32))], 1);
}

void hash_index_remove(struct hash_index *index, struct hash_index_slot *slot)
{
    size_t hole = (size_t)(slot - index->slots), i;

    /* Move back each entry that the hole would separate from its first slot, so that no search ends
     * early. */
    for (i = next_slot(index, hole); index->slots[i].value != 0; i = next_slot(index, i)) {
        size_t wanted = home_slot(index, index->slots[i].key);
        size_t from_home = i >= wanted ? i - wanted : i + index->cap - wanted;
        size_t from_hole = i >= hole ? i - hole : i + index->cap - hole;

        if (from_home >= from_hole) {
            index->slots[hole] = index->slots[i];
            hole = i;
        }
    }
    index->slots[hole] = (struct hash_index_slot){0};
    index->used--;
}
