#include "store/length_set.h"

#include <stdlib.h>
#include <string.h>

#define FRESH_MAX  4096  /* sorted for each snapshot */
#define FRESH_BULK 65536 /* the same while lines are read and nobody takes a snapshot */

struct length_array {
    unsigned users;
    size_t count;
    uint64_t lengths[];
};

static void release_array(struct length_array **array)
{
    if (*array != NULL && --(*array)->users == 0)
        free(*array);
    *array = NULL;
}

static struct length_array *share_array(struct length_array *array)
{
    if (array != NULL)
        array->users++;
    return array;
}

static int compare_lengths(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Sort `fresh` and drop what it has twice. */
static void sort_fresh(struct length_set *set)
{
    size_t i, kept = 0;

    qsort(set->fresh, set->fresh_count, sizeof *set->fresh, compare_lengths);
    for (i = 0; i < set->fresh_count; i++)
        if (i == 0 || set->fresh[i] != set->fresh[kept - 1])
            set->fresh[kept++] = set->fresh[i];
    set->fresh_count = kept;
}

/* Count the fresh lengths, sorted, that are not in the array. */
static size_t count_new(const struct length_array *array, const uint64_t *fresh, size_t count)
{
    size_t i = 0, k, news = 0;

    for (k = 0; k < count; k++) {
        while (i < array->count && array->lengths[i] < fresh[k])
            i++;
        news += i == array->count || array->lengths[i] != fresh[k];
    }
    return news;
}

/* Make room for `more` lengths in the sorted array: in a copy, if snapshots share it. */
static int grow_sorted(struct length_set *set, size_t more)
{
    const bool shared = set->sorted != NULL && set->sorted->users > 1;
    const size_t count = set->sorted == NULL ? 0 : set->sorted->count;
    const size_t size = sizeof *set->sorted + (count + more) * sizeof *set->sorted->lengths;
    struct length_array *array = realloc(shared ? NULL : set->sorted, size);

    if (array == NULL)
        return -1;
    if (shared) {
        memcpy(array->lengths, set->sorted->lengths, count * sizeof *array->lengths);
        set->sorted->users--;
    }
    array->users = 1;
    array->count = count;
    set->sorted = array;
    return 0;
}

/* Move the fresh lengths into the sorted array, from its end on. */
static int merge_fresh(struct length_set *set)
{
    struct length_array *array;
    size_t left, from, to, more;

    sort_fresh(set);
    more = set->sorted == NULL ? set->fresh_count
                               : count_new(set->sorted, set->fresh, set->fresh_count);
    if (grow_sorted(set, more) < 0)
        return -1;
    array = set->sorted;
    from = array->count;
    to = array->count += more;
    for (left = set->fresh_count; left > 0; left--) {
        const uint64_t length = set->fresh[left - 1];

        while (from > 0 && array->lengths[from - 1] > length)
            array->lengths[--to] = array->lengths[--from];
        if (from == 0 || array->lengths[from - 1] != length)
            array->lengths[--to] = length;
    }
    set->fresh_count = 0;
    return 0;
}

void length_set_free(struct length_set *set)
{
    release_array(&set->sorted);
    release_array(&set->recent);
    free(set->fresh);
    *set = (struct length_set){0};
}

int length_set_add(struct length_set *set, uint64_t length)
{
    if (set->fresh_count == FRESH_BULK && merge_fresh(set) < 0)
        return -1;
    if (set->fresh_count == set->fresh_cap) {
        const size_t cap = set->fresh_cap == 0 ? 64 : 2 * set->fresh_cap;
        uint64_t *fresh = realloc(set->fresh, cap * sizeof *fresh);

        if (fresh == NULL)
            return -1;
        set->fresh = fresh;
        set->fresh_cap = cap;
    }
    set->fresh[set->fresh_count++] = length;
    release_array(&set->recent);
    return 0;
}

/* Make the array of fresh lengths that snapshots get, until another one is added. */
static int make_recent(struct length_set *set)
{
    sort_fresh(set);
    set->recent = malloc(sizeof *set->recent + set->fresh_count * sizeof *set->fresh);
    if (set->recent == NULL)
        return -1;
    set->recent->users = 1;
    set->recent->count = set->fresh_count;
    memcpy(set->recent->lengths, set->fresh, set->fresh_count * sizeof *set->fresh);
    return 0;
}

int length_set_take(struct length_set *set, struct length_snapshot *ret_snapshot)
{
    *ret_snapshot = (struct length_snapshot){0};
    if (set->fresh_count > FRESH_MAX && merge_fresh(set) < 0)
        return -1;
    if (set->fresh_count > 0 && set->recent == NULL && make_recent(set) < 0)
        return -1;
    ret_snapshot->sorted = share_array(set->sorted);
    ret_snapshot->recent = share_array(set->recent);
    return 0;
}

void length_snapshot_release(struct length_snapshot *snapshot)
{
    release_array(&snapshot->sorted);
    release_array(&snapshot->recent);
}

struct length_cursor length_cursor_begin(const struct length_snapshot *snapshot)
{
    struct length_cursor cursor = {0};

    if (snapshot->sorted != NULL) {
        cursor.sorted = snapshot->sorted->lengths;
        cursor.sorted_end = cursor.sorted + snapshot->sorted->count;
    }
    if (snapshot->recent != NULL) {
        cursor.recent = snapshot->recent->lengths;
        cursor.recent_end = cursor.recent + snapshot->recent->count;
    }
    return cursor;
}

bool length_cursor_next(struct length_cursor *cursor, uint64_t max, uint64_t *ret_length)
{
    const bool has_sorted = cursor->sorted != cursor->sorted_end;
    const bool has_recent = cursor->recent != cursor->recent_end;
    uint64_t length;

    if (!has_sorted && !has_recent)
        return false;
    length = !has_recent || (has_sorted && *cursor->sorted < *cursor->recent) ? *cursor->sorted
                                                                              : *cursor->recent;
    if (length > max)
        return false;
    /* A length may be in both. */
    cursor->sorted += has_sorted && *cursor->sorted == length;
    cursor->recent += has_recent && *cursor->recent == length;
    *ret_length = length;
    return true;
}
