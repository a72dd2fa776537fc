/*
 * history: what the ledger knows of a dropped file before the file is read.
 *
 *     history_load             look up the name, and the inode in the cache
 *     history_is_current       after a reading without the lock: is it still the same?
 *
 * The ledger is for the thread that holds the lock. The fields, and the functions that take no
 * ledger, are for any thread.
 */
#ifndef PHASESENTINEL_HISTORY_H
#define PHASESENTINEL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "csv/content_hash.h"
#include "drop/file_cache.h"
#include "fs/file_id.h"
#include "store/ledger.h"

/* The lines have no names: these are valid until the next lookup only. */
struct history {
    struct ledger_line last; /* the last line of this name */
    /* The content that was merged last under this name, or, if other verdicts came since, the
     * longest that was ever merged. */
    struct ledger_line own;
    uint64_t own_rows;   /* good and bad rows of that content */
    uint64_t longest_at; /* offset of the line with the longest content; 0: none */
    /* The content that this inode had under another name: the file was renamed, unless the number
     * was given to a new file. The cache knows it, so it may be missing. */
    struct ledger_line inode;
    uint64_t inode_rows;
    bool has_last, has_own, has_inode;
    bool inode_has_name; /* the ledger knows this inode under this very name */
};

int history_load(struct history *history, const struct ledger *ledger,
                 const struct file_cache *file_cache, const char *name,
                 const struct file_id *file_id, struct cause *cause);

/* Return true if no line of this name was added since history_load. */
bool history_is_current(const struct history *history, const struct ledger *ledger,
                        const char *name);

/* Return true if the last line of this name is about this very content. */
bool history_last_is(const struct history *history, const unsigned char sha256[DIGEST_SIZE],
                     struct content_meta meta);

/*
 * Return true if the inode's number was given to a new file, which begins with the same bytes as
 * the removed one: the new file has other metadata (`meta`) and was created after the ledger line
 * was written. Where the file system does not record creation times, assume a new file: rows that
 * are merged again do less harm than rows that are lost.
 */
bool history_inode_was_reused(const struct history *history, int fd, struct content_meta meta);

#endif
