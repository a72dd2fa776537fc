/*
 * seen_file: state/seen on disk, to which entries are added.
 *
 *     cache_file_open        a file that is not there yet, with a seed
 *     cache_file_catch_up    reads what has been added since
 *     cache_file_write       adds entries, or makes the file anew
 *
 * Under the lock, but for catching up. What a crash or another process leaves is whole up to some
 * block, and that much of it counts.
 */
#ifndef PHASESENTINEL_CACHE_FILE_H
#define PHASESENTINEL_CACHE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cause.h"

struct file_cache_entry {
    uint64_t name;  /* hashes, with the file's own seed */
    uint64_t inode; /* of device and inode number */
    uint64_t file_id;
    uint64_t at; /* the ledger line, and flags: seen.c */
};

struct cache_file {
    int dir_fd; /* state/; borrowed */
    uint64_t seed;
    /* As we last read or wrote it; end 0: not yet */
    dev_t device;
    ino_t inode;
    uint64_t end;
    uint64_t entries; /* in it, also those that later ones replace */
};

int cache_file_open(struct cache_file *file, int dir_fd, struct cause *cause);

/*
 * Gives each entry that has been added to take(). False: the file is not there, or none of ours:
 * make it anew. With `fresh`, where nothing is known yet, its seed becomes ours; room() is told
 * first how many entries there may be.
 */
typedef void cache_file_take(void *context, const struct file_cache_entry *entry);
typedef void cache_file_soon(void *context, const struct file_cache_entry *entry);
typedef void cache_file_room(void *context, size_t entries);

struct cache_file_request {
    cache_file_take *take;
    cache_file_soon *soon; /* this one will be given soon */
    cache_file_room *room;
    void *context;
};

bool cache_file_catch_up(struct cache_file *file, bool fresh,
                         const struct cache_file_request *order);

/* Adds the entries that next() gives until it says false, or makes the file `anew` of them. */
typedef bool cache_file_next(void *context, struct file_cache_entry *ret_entry);

int cache_file_write(struct cache_file *file, bool anew, cache_file_next *next, void *context,
                     struct cause *cause);

#endif
