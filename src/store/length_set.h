/*
 * length_set: the distinct byte lengths of the content that counts as known, in ascending order.
 *
 * A file may begin with content that was merged under any name: while the file is hashed, the hash
 * so far is compared at each of these lengths.
 *
 *     length_set_add               the thread that holds the lock adds a length for each line ...
 *     length_set_take              ... and takes a snapshot, for a batch or for one file
 *     length_cursor_begin, _next   any thread walks the snapshot
 *     length_snapshot_release      the thread that holds the lock gives it back
 *
 * A snapshot never changes or moves, whatever is added later or freed. It costs little: it shares
 * the large array with the set, and holds at most FRESH_MAX lengths of its own.
 */
#ifndef PHASESENTINEL_LENGTH_SET_H
#define PHASESENTINEL_LENGTH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct length_array; /* sorted, distinct, counted by its users */

/* A zeroed struct is an empty set. */
struct length_set {
    struct length_array *sorted; /* owned together with snapshots; NULL: empty */
    struct length_array *recent; /* `fresh` as the last snapshot got it; NULL: to be made anew */
    uint64_t *fresh;             /* owned: added since `sorted` was made, in any order */
    size_t fresh_count, fresh_cap;
};

/* Borrowed from the set and counted. A zeroed struct is an empty snapshot. */
struct length_snapshot {
    struct length_array *sorted, *recent;
};

/* Position of one walk. */
struct length_cursor {
    const uint64_t *sorted, *sorted_end;
    const uint64_t *recent, *recent_end;
};

void length_set_free(struct length_set *set); /* leaves it empty; snapshots stay valid */

/* Add a length, which may be in the set already. Return -1 when memory is out. */
int length_set_add(struct length_set *set, uint64_t length);

/* Take a snapshot of all that was added so far. Return -1, with an empty snapshot, when memory is
 * out. */
int length_set_take(struct length_set *set, struct length_snapshot *ret_snapshot);
void length_snapshot_release(struct length_snapshot *snapshot); /* leaves it empty */

struct length_cursor length_cursor_begin(const struct length_snapshot *snapshot);

/* Return true with the next length in ascending order, false if none up to `max` is left. */
bool length_cursor_next(struct length_cursor *cursor, uint64_t max, uint64_t *ret_length);

#endif
