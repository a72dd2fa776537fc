/*
 * map: keys to small numbers, in one flat table.
 *
 * The index of everything known: a million entries cost 10 to 14 bytes each. Keys are hashes, of
 * which the high half is kept, so a match may be of another key, and several values of one key
 * stand side by side: who looks something up walks the matches and compares with the real thing. A
 * value is never 0; mostly it is a place in an array, plus one.
 */
#ifndef PHASESENTINEL_HASH_INDEX_H
#define PHASESENTINEL_HASH_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct hash_index_slot {
    uint32_t key;   /* the high half */
    uint32_t value; /* 0: free */
};

struct hash_index {
    struct hash_index_slot *slots; /* owned */
    size_t cap;
    size_t used;
};

void hash_index_free(struct hash_index *map); /* leaves it zeroed: an empty map */

/* -1 with errno ENOMEM, also for a value that does not fit into 32 bits. */
int hash_index_put(struct hash_index *map, uint64_t key, uint64_t value);

/* Room for as many in all, without growing again. */
int hash_index_reserve(struct hash_index *map, size_t count);

/*
 * Walks the entries of a key: start with *cursor = 0, ends with NULL. The slot may be written to
 * (value) until the next put or removal.
 */
struct hash_index_slot *hash_index_find(const struct hash_index *map, uint64_t key, size_t *cursor);

/* This key will be looked for soon: in a large table most of the time goes into waiting for memory.
 */
void hash_index_prefetch(const struct hash_index *map, uint64_t key);

void hash_index_remove(struct hash_index *map, struct hash_index_slot *slot);

/* For a table or an array that is about to be filled: if it is large, looking anything up is mostly
 * waiting for the page tables, and there are fewer of them with large pages. */
void hash_index_use_large_pages(void *memory, size_t size);

#endif
