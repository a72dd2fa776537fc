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
#include "fs/spool.h"

/* Nanoseconds from a file's last change in which it is young. */
#define SEEN_YOUNG_AGE INT64_C(2000000000)

struct seen {
    struct seen_file file;
    struct seen_entry *entries;
    size_t count, cap;
    struct map by_name;
    struct map by_inode;
    bool changed;      /* since it was saved */
    uint32_t *unsaved; /* entries that the file does not have as they are */
    size_t unsaved_count, unsaved_cap;
    bool rewrite; /* that is not known, or too much: all of it is written */
};

int seen_open(struct seen *seen, int dir_fd, struct cause *cause);
void seen_close(struct seen *seen);

/* Does the signature stand for the line at `at`, the last of this name? */
bool seen_holds(const struct seen *seen, const char *name, const struct signature *signature,
                uint64_t at);

/* Read too soon after its last change: to be read once more to be sure. */
bool seen_is_young(const struct seen *seen, const char *name);

/* Is the name in the drop directory, as far as we saw? */
bool seen_has(const struct seen *seen, const char *name);

/*
 * The ledger line of the content that this inode held under whatever name; 0: none. It may be
 * stale: the ledger has the last word. A name that has left is remembered for one scan more, so
 * that a renamed file is recognised.
 */
uint64_t seen_inode(const struct seen *seen, const struct signature *signature);

int seen_put(struct seen *seen, const char *name, const struct signature *signature, uint64_t at,
             bool young, struct cause *cause);
void seen_leave(struct seen *seen, const char *name);

/* A scan: what it does not meet has left the directory. `signature` may be NULL, if nobody wants to
 * know. */
enum seen_state {
    SEEN_OTHER,
    SEEN_KNOWN /* seen_holds */,
    SEEN_YOUNG /* it holds, and is young */
};

void seen_scan_begin(struct seen *seen);
enum seen_state seen_scan_meet(struct seen *seen, const char *name,
                               const struct signature *signature, uint64_t at);
void seen_scan_end(struct seen *seen);

/* Under the lock: reads what others have added to state/seen, and adds what has changed here. */
int seen_save(struct seen *seen, struct cause *cause);

#endif
