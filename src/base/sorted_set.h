/*
 * sorted_set: a set of 64-bit numbers, of which any thread may search a snapshot.
 *
 *     sorted_set_add               the owner adds a number ...
 *     sorted_set_take              ... and takes a snapshot
 *     sorted_snapshot_count, sorted_cursor_begin, _next   any thread searches it
 *     sorted_snapshot_release      the owner gives it back
 *
 * A snapshot never changes or moves, whatever is added later or freed. Taking one costs little: it
 * shares the large array with the set, and holds at most FRESH_MAX numbers of its own.
 */
#ifndef PHASESENTINEL_SORTED_SET_H
#define PHASESENTINEL_SORTED_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sorted_array; /* sorted, distinct, counted by its users */

/* A zeroed struct is an empty set. */
struct sorted_set {
    struct sorted_array *sorted; /* owned together with snapshots; NULL: empty */
    struct sorted_array *recent; /* `fresh` as the last snapshot got it; NULL: to be made anew */
    uint64_t *fresh;             /* owned: added since `sorted` was made, in any order */
    size_t fresh_count, fresh_cap;
};

/* Borrowed from the set and counted. A zeroed struct is an empty snapshot. */
struct sorted_snapshot {
    struct sorted_array *sorted, *recent;
};

/* Position of one walk. */
struct sorted_cursor {
    const uint64_t *sorted, *sorted_end;
    const uint64_t *recent, *recent_end;
};

void sorted_set_free(struct sorted_set *set); /* leaves it empty; snapshots stay valid */

/* Add a value, which may be in the set already. Return -1 when memory is out. */
int sorted_set_add(struct sorted_set *set, uint64_t value);

/* Take a snapshot of all that was added so far. Return -1, with an empty snapshot, when memory is
 * out. */
int sorted_set_take(struct sorted_set *set, struct sorted_snapshot *ret_snapshot);
/* Return another reference to the snapshot, to be released too. */
struct sorted_snapshot sorted_snapshot_share(const struct sorted_snapshot *snapshot);
void sorted_snapshot_release(struct sorted_snapshot *snapshot); /* leaves it empty */

/* Return how many numbers there are from `from` to `to`. A number that was added twice may count
 * twice. */
size_t sorted_snapshot_count(const struct sorted_snapshot *snapshot, uint64_t from, uint64_t to);

/* Begin a walk at the first number that is not below `from`. */
struct sorted_cursor sorted_cursor_begin(const struct sorted_snapshot *snapshot, uint64_t from);

/* Return true with the next value in ascending order, false if none up to `max` is left. */
bool sorted_cursor_next(struct sorted_cursor *cursor, uint64_t max, uint64_t *ret_value);

#endif
