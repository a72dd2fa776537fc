/*
 * recall: what the ledger knows of one dropped file: of its name, of the same CSV packed or not
 * packed, and of its inode under another name. A file may go on from all of these. The lines have no
 * names.
 *
 *     history_file              before it is read: fills bases, and base, the longest of them
 *     recall->base             who reads it tries this, and sets another one of bases, or NULL
 *     history_is_of_another     does what it begins with speak of this file at all?
 *     history_recheck             the reading outlasted the lock: is all as it was?
 *     history_last_is           what was booked last of it, is it this?
 *     history_is_overtaken      has content been booked since that it may go on from?
 *     history_base_rows         what the ledger has of it already
 *
 * Changes nothing but the struct, which must not be copied: it points into itself. The ledger is
 * for the thread that has the lock; history_is_of_another and the fields do not ask it.
 */
#ifndef PHASESENTINEL_HISTORY_H
#define PHASESENTINEL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/digest.h"
#include "store/ledger.h"
#include "drop/file_cache.h"
#include "fs/file_id.h"

#define HISTORY_OTHERS 2 /* of the names that a CSV has plain and packed */

struct history {
    struct ledger_line last; /* the last line of this name */
    bool has_last;
    struct ledger_line own;   /* the longest content that was booked for this name */
    struct ledger_line inode; /* what this inode held under another name: a renamed file */
    bool has_own, has_inode;
    bool is_ours; /* this inode was booked under this name */
    /* NAME.csv, NAME.csv.gz and NAME.csv.zst are one growing file: the longest content that was
     * merged under each of the other two names. */
    struct ledger_line others[HISTORY_OTHERS];
    uint64_t others_at; /* offset of the last of these lines; 0: there is none */
    /* What the file may begin with, the longest first: own, others, inode, last. */
    const struct ledger_line *bases[3 + HISTORY_OTHERS];
    uint64_t base_rows[3 + HISTORY_OTHERS]; /* rows of their contents, good and bad */
    size_t base_count;
    const struct ledger_line *base; /* the one that is tried, or was found; NULL: none */
};

int history_file(struct history *history, const struct ledger *ledger,
                 const struct file_cache *file_cache, const char *name,
                 const struct file_id *file_id, struct cause *cause);

/* Once more. 1: nothing was booked meanwhile that speaks of this file, and its base is what it was;
 * 0; -1. */
int history_recheck(struct history *history, const struct ledger *ledger,
                    const struct file_cache *file_cache, const char *name,
                    const struct file_id *file_id, struct cause *cause);

/* Does the last line of this name speak of this very content? */
bool history_last_is(const struct history *history, const unsigned char sha256[DIGEST_SIZE],
                     bool has_meta, uint64_t meta);

/* Return true if content was merged since under another name of the same CSV. */
bool history_is_overtaken(const struct history *history, const struct ledger *ledger,
                          const char *name);

/*
 * The file begins with its base, and has this meta. But is the base that of this inode, and was not
 * this file: was the number of a removed one given again, to the same bytes of another user?
 */
bool history_is_of_another(const struct history *history, int fd, bool has_meta, uint64_t meta);

/* The rows of the booked content that the file begins with, under this name or another. */
uint64_t history_base_rows(const struct history *history);
bool history_base_is_foreign(const struct history *history);

#endif
