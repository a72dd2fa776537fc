/*
 * hash_index: a hash table from keys to small numbers.
 *
 * Used for what is known of a million files: an entry takes 10 to 14 bytes. Keys are hashes of
 * which only the high half is stored, and a key may have several values. So a lookup returns
 * candidates: walk them and compare what they stand for. A value is never 0; mostly it is an array
 * index plus 1.
 */
#ifndef PHASESENTINEL_HASH_INDEX_H
#define PHASESENTINEL_HASH_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct hash_index_slot {
    uint32_t key;   /* the high half of the hash */
    uint32_t value; /* 0: the slot is free */
};

struct hash_index {
    struct hash_index_slot *slots; /* owned */
    size_t cap;
    size_t used;
};

/* Free the memory and leave an empty table. */
void hash_index_free(struct hash_index *index);

/* Add an entry. Return 0, or -1 with errno ENOMEM, also if the value does not fit into 32 bits. */
int hash_index_put(struct hash_index *index, uint64_t key, uint64_t value);

/* Make room for `count` entries in all. Return 0, or -1 with errno ENOMEM. */
int hash_index_reserve(struct hash_index *index, size_t count);

/* Return the next candidate for the key, or NULL; *cursor is 0 at first. The slot's value may be
 * changed until the next put or remove. */
struct hash_index_slot *hash_index_find(const struct hash_index *index, uint64_t key,
                                        size_t *cursor);

/* Prefetch the slot of a key that will be looked up soon: in a large table most of the time is
 * spent waiting for memory. */
void hash_index_prefetch(const struct hash_index *index, uint64_t key);

void hash_index_remove(struct hash_index *index, struct hash_index_slot *slot);

/* Advise the kernel to use large pages for memory that is about to be filled: lookups in a large
 * table mostly wait for page tables, which are smaller then. */
void hash_index_use_large_pages(void *memory, size_t size);

#endif
