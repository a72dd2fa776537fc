/*
 * ledger_index: what the lines of the ledger say, by content and by name, without reading them.
 *
 * Made anew from the lines at each start, in memory only: about 55 bytes a line that is the only
 * one of its name. Names are not kept but 96 bits of a hash whose seed nobody knows: two names are
 * not taken for one another. Content is found by a short key: whoever looks it up reads the line.
 */
#ifndef PHASESENTINEL_LEDGER_INDEX_H
#define PHASESENTINEL_LEDGER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/ledger_line.h"
#include "store/length_set.h"
#include "base/hash_index.h"

struct ledger_name;    /* what is known of a name */
struct ledger_longest; /* and more of one with several lines */
struct ledger_quarantined;

/* A zeroed struct is an empty index. */
struct ledger_index {
    struct hash_index by_content;
    struct hash_index by_name;
    struct hash_index by_slot; /* of long names: digest_check of their slot's path */
    struct ledger_name *names;
    size_t count, cap;
    struct ledger_longest *longest;
    size_t longest_count, longest_cap;
    struct hash_index by_quarantined; /* of the names in `quarantined`, plus one */
    struct ledger_quarantined *quarantined;
    size_t quarantined_count, quarantined_cap;
    struct length_set lengths; /* of the content that counts as known */
};

void ledger_index_free(struct ledger_index *index); /* leaves it empty */

/* Room for as many lines; -1 when memory is out. */
int ledger_index_reserve(struct ledger_index *index, size_t lines);

/* What the index keeps of a line. */
struct ledger_note {
    uint64_t at;
    enum verdict verdict;
    struct digest_wide name;
    uint64_t content;
    uint64_t bytes;
    uint64_t rows;      /* good and bad */
    uint64_t duplicate; /* likewise, of content that was booked before */
    uint64_t slot;      /* digest_check of its slot's path, where that is not the name; else 0 */
};

/* Takes a note of a verdict about a dropped file; it will be added soon. */
void ledger_index_note(const struct ledger_index *index, const struct ledger_line *line,
                       struct ledger_note *ret_note);

/* -1 when memory is out. */
int ledger_index_add(struct ledger_index *index, const struct ledger_note *note);

/* Of a name. */
struct ledger_known {
    uint64_t last_at;      /* its last line */
    enum verdict last;     /* that line's verdict */
    uint64_t rows;         /* of its present content, good and bad; 0 when that is in quarantine */
    uint64_t longest_at;   /* the line with its longest content in the training file; 0: none */
    uint64_t longest_rows; /* of that content, good and bad */
};

/* False: there is no line of this name; *ret_known is zeroed then. */
bool ledger_index_name(const struct ledger_index *index, const char *name,
                       struct ledger_known *ret_known);

/*
 * Walk the names that the same CSV has plain and packed ("x.csv", "x.csv.gz", "x.csv.zst"), of which
 * `name` is one: start with *cursor = 0, until the return value is false. *ret_is_name is true at
 * `name` itself.
 */
bool ledger_index_csv(const struct ledger_index *index, const char *name, size_t *cursor,
                      struct ledger_known *ret_known, bool *ret_is_name);

/*
 * Walk the last quarantined line of each name that has one: start with *cursor = 0, until the return
 * value is 0. Return the offset of the line in the ledger.
 */
uint64_t ledger_index_quarantined(const struct ledger_index *index, size_t *cursor);

/* The same, by the path of the name's slot, where that is not the name (backup_name_of_long). */
bool ledger_index_slot(const struct ledger_index *index, const char *path,
                       struct ledger_known *ret_known);

/*
 * Walks the lines with content that counts as known (merged, grown, duplicate, forgotten) and may
 * be this one: start with *cursor = 0. Gives the LEDGER_LINE_MIN_SIZE bytes of the ledger, counted
 * from 0, in which the line begins.
 */
bool ledger_index_content(const struct ledger_index *index, const unsigned char sha256[DIGEST_SIZE],
                          bool has_meta, uint64_t meta, size_t *cursor, uint64_t *ret_block);

#endif
