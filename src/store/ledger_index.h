/*
 * ledger_index: find the lines of the ledger by name and by content without reading them.
 *
 *     ledger_index_reserve    optional, before many lines are added
 *     ledger_index_note       extract what the index keeps of a line ...
 *     ledger_index_add        ... and add it, a few lines later: the memory it needs is on its way
 *     ledger_index_name, ledger_index_csv, ledger_index_content, ledger_index_quarantined
 *     ledger_index_free
 *
 * The index is in memory only and built from the lines at each start. A line that is the only one
 * of its name and content takes about 55 bytes, and 8 more if no other content has its length.
 * Names are kept as 96 bits of a hash with a secret seed, so no two names are confused. Content is
 * found by a shorter key: the caller reads the line and compares.
 */
#ifndef PHASESENTINEL_LEDGER_INDEX_H
#define PHASESENTINEL_LEDGER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_index.h"
#include "csv/content_hash.h"
#include "store/ledger_line.h"
#include "base/sorted_set.h"

struct ledger_name;
struct ledger_longest;
struct ledger_quarantined;

/* A zeroed struct is an empty index. */
struct ledger_index {
    struct hash_index by_content; /* to the block in which a line begins, plus one */
    struct hash_index by_name;    /* to a position in `names`, plus one */
    struct ledger_name *names;    /* owned: a record for each name */
    size_t count, cap;
    struct ledger_longest *longest; /* owned: longest contents that are not their name's last */
    size_t longest_count, longest_cap;
    struct ledger_quarantined *quarantined; /* owned: names with a quarantined line */
    size_t quarantined_count, quarantined_cap;
    struct hash_index by_quarantined; /* to a position in `quarantined`, plus one */
    struct sorted_set contents;       /* content_hash_entry of each content that counts as known */
};

/* Free the memory and leave the index empty. */
void ledger_index_free(struct ledger_index *index);

/* Make room for this number of lines in all. Return -1 when memory is out. */
int ledger_index_reserve(struct ledger_index *index, size_t lines);

/* Extract of a line. */
struct ledger_note {
    uint64_t at; /* offset of the line in the ledger */
    enum verdict verdict;
    struct digest_wide name; /* key of the name */
    uint64_t content;        /* key of the content */
    uint64_t bytes;
    uint64_t rows;      /* added and rejected rows */
    uint64_t duplicate; /* rows that were in the training file already */
};

/* Extract what the index keeps of a line about a dropped file, and prefetch where it will go. */
void ledger_index_note(const struct ledger_index *index, const struct ledger_line *line,
                       struct ledger_note *ret_note);

/* Add a line. Return -1 when memory is out. */
int ledger_index_add(struct ledger_index *index, const struct ledger_note *note);

/* Summary of the lines of a name. Offsets are those in the ledger; 0: there is no such line. */
struct ledger_known {
    uint64_t last_at;      /* offset of the last line */
    enum verdict last;     /* verdict of the last line */
    uint64_t rows;         /* rows, good and bad, of the present content; 0 if quarantined */
    uint64_t longest_at;   /* offset of the line with the longest content that was merged */
    uint64_t longest_rows; /* rows, good and bad, of that content */
};

/* Look up a name. Return false, with *ret_known zeroed, if it has no line. */
bool ledger_index_name(const struct ledger_index *index, const char *name,
                       struct ledger_known *ret_known);

/*
 * Walk the last quarantined line of each name that has one: start with *cursor = 0, until the
 * return value is 0. Return the offset of the line in the ledger.
 */
uint64_t ledger_index_quarantined(const struct ledger_index *index, size_t *cursor);

/*
 * Walk the lines whose content counts as known (merged, grown, duplicate, forgotten) and may be
 * this one: start with *cursor = 0, until the return value is false. A line begins in *ret_block,
 * where the ledger is divided into blocks of LEDGER_LINE_MIN_SIZE bytes.
 */
bool ledger_index_content(const struct ledger_index *index, const unsigned char sha256[DIGEST_SIZE],
                          struct content_meta meta, size_t *cursor, uint64_t *ret_block);

#endif
