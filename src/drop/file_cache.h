/*
 * file_cache: which files need not be read again, because they are unchanged since their verdict.
 *
 * For each name the cache has a hash of the file_id (file_id.h) and the ledger line of the verdict.
 * An entry holds only while that line is the last of its name, and proves nothing if it is racy: a
 * file that was written to within FILE_CACHE_RACY_AGE before it was read may have been written to
 * again without a change of its timestamps, which are only that fine.
 *
 *     file_cache_open
 *     file_cache_put, file_cache_mark_gone            after a batch is durable; or when a file left
 *     file_cache_scan_begin, _found …, _end           a scan of the whole drop directory
 *     file_cache_save                                 under the lock
 *     file_cache_close
 *
 * The cache may be lost, or behind what another process knows: files are read once more then, and
 * a renamed file is recognised by its content alone. A file takes 32 bytes on disk and about 55 in
 * memory.
 */
#ifndef PHASESENTINEL_FILE_CACHE_H
#define PHASESENTINEL_FILE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/hash_index.h"
#include "fs/file_id.h"

#define FILE_CACHE_RACY_AGE INT64_C(2000000000) /* nanoseconds */

struct file_cache_entry {
    uint64_t name;    /* seeded hash of the name */
    uint64_t inode;   /* seeded hash of device and inode number */
    uint64_t file_id; /* seeded hash of the file_id */
    uint64_t at;      /* offset of the ledger line, and flags (file_cache.c) */
};

struct file_cache {
    int dir_fd;                     /* state/; borrowed */
    struct file_cache_image *image; /* the bytes of the file; owned */
    size_t count, cap;              /* number of entries, and room */
    struct hash_index by_name;
    struct hash_index by_inode; /* the latest entry of each inode */
    bool changed;               /* since the file was loaded or saved */
};

/* Load the cache. A missing, damaged or foreign file is an empty cache. */
int file_cache_open(struct file_cache *cache, int dir_fd, struct cause *cause);
void file_cache_close(struct file_cache *cache); /* does not save; accepts a zeroed struct */

/* Replace the file, if the cache has changed. A crash leaves the old file or the new one; a power
 * cut may leave a damaged file. */
int file_cache_save(struct file_cache *cache, struct cause *cause);

/* Return true if the file is unchanged since the verdict of the ledger line at `at`, which must be
 * the last line of its name (0: there is none). A racy file may have changed even so. */
bool file_cache_holds(const struct file_cache *cache, const char *name,
                      const struct file_id *file_id, uint64_t at);
bool file_cache_is_racy(const struct file_cache *cache, const char *name);

/* Return true if a file of this name is in the drop directory, as far as the cache knows. */
bool file_cache_has(const struct file_cache *cache, const char *name);

/*
 * Return the ledger line of what this inode held last, under any name; 0: unknown. The answer may
 * be stale or point behind the ledger's end. A name that left is remembered until the next scan
 * ends, so that a renamed file is recognised.
 */
uint64_t file_cache_inode(const struct file_cache *cache, const struct file_id *file_id);

/* Record that the line at `at` has the verdict of the file as file_id describes it. */
int file_cache_put(struct file_cache *cache, const char *name, const struct file_id *file_id,
                   uint64_t at, bool racy, struct cause *cause);

/* Record that the file has left the drop directory. */
void file_cache_mark_gone(struct file_cache *cache, const char *name);

enum file_cache_state {
    FILE_CACHE_MISS,
    FILE_CACHE_HIT, /* file_cache_holds is true */
    FILE_CACHE_RACY /* file_cache_holds is true, and the entry is racy */
};

/* Scan the drop directory: names that are not found have left when the scan ends. `file_id` may be
 * NULL if nobody needs the answer. */
void file_cache_scan_begin(struct file_cache *cache);
enum file_cache_state file_cache_scan_found(struct file_cache *cache, const char *name,
                                            const struct file_id *file_id, uint64_t at);
void file_cache_scan_end(struct file_cache *cache);

#endif
