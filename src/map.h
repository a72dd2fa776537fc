/*
 * map: 64-bit keys to 64-bit values, in one flat table.
 *
 * The index of everything known: a million entries cost 16 bytes each and some room. Keys are
 * hashes, so a key may stand for several things and several values of one key stand side by side:
 * who looks something up walks the matches and compares with the real thing. A value is never 0.
 */
#ifndef PHASESENTINEL_MAP_H
#define PHASESENTINEL_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t key;
    uint64_t value; /* 0: free */
};

struct map {
    struct map_slot *slots; /* owned */
    size_t cap;
    size_t used;
};

void map_free(struct map *map);                             /* leaves it zeroed: an empty map */
int map_put(struct map *map, uint64_t key, uint64_t value); /* -1 with errno ENOMEM */

/*
 * Walks the entries of a key: start with *cursor = 0, ends with NULL. The slot may be written to
 * (value) until the next put or removal.
 */
struct map_slot *map_find(const struct map *map, uint64_t key, size_t *cursor);

void map_remove(struct map *map, struct map_slot *slot);

#endif
