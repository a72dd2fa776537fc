/*
 * seen: files that need not be read again, because they are as they were when they were judged.
 *
 * A cache in state/seen: for a name the hash of the file's signature and the ledger line that it
 * stands for. An entry counts only while that line is still the last of its name, and if the file's
 * ctime was two seconds old when it was read: time stamps are no finer than they are, so a younger
 * one has to be read once more. Losing the cache costs reading, and the memory of which inode held
 * what under another name.
 *
 * About 55 bytes a file in memory, and 32 on disk, where what has changed is appended: a save costs
 * what happened since the last one, however many files are known. What has left unsaved may be back
 * after a restart, until the first scan.
 */
#ifndef PHASESENTINEL_FILE_CACHE_H
#define PHASESENTINEL_FILE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/hash_index.h"
#include "drop/cache_file.h"
#include "fs/file_id.h"

/* Nanoseconds from a file's last change in which it is young. */
#define FILE_CACHE_RACY_AGE INT64_C(2000000000)

struct file_cache {
    struct cache_file file;
    struct file_cache_entry *entries;
    size_t count, cap;
    struct hash_index by_name;
    struct hash_index by_inode;
    bool changed;      /* since it was saved */
    uint32_t *unsaved; /* entries that the file does not have as they are */
    size_t unsaved_count, unsaved_cap;
    bool rewrite; /* that is not known, or too much: all of it is written */
};

int file_cache_open(struct file_cache *file_cache, int dir_fd, struct cause *cause);
void file_cache_close(struct file_cache *file_cache);

/* Does the signature stand for the line at `at`, the last of this name? */
bool file_cache_holds(const struct file_cache *file_cache, const char *name,
                      const struct file_id *file_id, uint64_t at);

/* Read too soon after its last change: to be read once more to be sure. */
bool file_cache_is_racy(const struct file_cache *file_cache, const char *name);

/* Is the name in the drop directory, as far as we saw? */
bool file_cache_has(const struct file_cache *file_cache, const char *name);

/*
 * The ledger line of the content that this inode held under whatever name; 0: none. It may be
 * stale: the ledger has the last word. A name that has left is remembered for one scan more, so
 * that a renamed file is recognised.
 */
uint64_t file_cache_inode(const struct file_cache *file_cache, const struct file_id *file_id);

int file_cache_put(struct file_cache *file_cache, const char *name, const struct file_id *file_id,
                   uint64_t at, bool racy, struct cause *cause);
void file_cache_leave(struct file_cache *file_cache, const char *name);

/* A scan: what it does not meet has left the directory. `signature` may be NULL, if nobody wants to
 * know. */
enum file_cache_state {
    FILE_CACHE_MISS,
    FILE_CACHE_HIT /* file_cache_holds */,
    FILE_CACHE_RACY /* it holds, and is young */
};

void file_cache_scan_begin(struct file_cache *file_cache);
enum file_cache_state file_cache_scan_meet(struct file_cache *file_cache, const char *name,
                                           const struct file_id *file_id, uint64_t at);
void file_cache_scan_end(struct file_cache *file_cache);

/* Under the lock: reads what others have added to state/seen, and adds what has changed here. */
int file_cache_save(struct file_cache *file_cache, struct cause *cause);

#endif
