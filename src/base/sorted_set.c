#include "base/sorted_set.h"

#include <stdlib.h>
#include <string.h>

#define FRESH_MAX  4096  /* sorted for each snapshot */
#define FRESH_BULK 65536 /* the same while lines are read and nobody takes a snapshot */

struct sorted_array {
    unsigned users;
    size_t count;
    uint64_t values[];
};

static void release_array(struct sorted_array **array)
{
    if (*array != NULL && --(*array)->users == 0)
        free(*array);
    *array = NULL;
}

static struct sorted_array *share_array(struct sorted_array *array)
{
    if (array != NULL)
        array->users++;
    return array;
}

static int compare_values(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Sort `fresh` and drop what it has twice. */
static void sort_fresh(struct sorted_set *set)
{
    size_t i, kept = 0;

    qsort(set->fresh, set->fresh_count, sizeof *set->fresh, compare_values);
    for (i = 0; i < set->fresh_count; i++)
        if (i == 0 || set->fresh[i] != set->fresh[kept - 1])
            set->fresh[kept++] = set->fresh[i];
    set->fresh_count = kept;
}

/* Count the fresh values, sorted, that are not in the array. */
static size_t count_new(const struct sorted_array *array, const uint64_t *fresh, size_t count)
{
    size_t i = 0, k, news = 0;

    for (k = 0; k < count; k++) {
        while (i < array->count && array->values[i] < fresh[k])
            i++;
        news += i == array->count || array->values[i] != fresh[k];
    }
    return news;
}

/* Make room for `more` values in the sorted array: in a copy, if snapshots share it. */
static int grow_sorted(struct sorted_set *set, size_t more)
{
    const bool shared = set->sorted != NULL && set->sorted->users > 1;
    const size_t count = set->sorted == NULL ? 0 : set->sorted->count;
    const size_t size = sizeof *set->sorted + (count + more) * sizeof *set->sorted->values;
    struct sorted_array *array = realloc(shared ? NULL : set->sorted, size);

    if (array == NULL)
        return -1;
    if (shared) {
        memcpy(array->values, set->sorted->values, count * sizeof *array->values);
        set->sorted->users--;
    }
    array->users = 1;
    array->count = count;
    set->sorted = array;
    return 0;
}

/* Move the fresh values into the sorted array, from its end on. */
static int merge_fresh(struct sorted_set *set)
{
    struct sorted_array *array;
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
        const uint64_t value = set->fresh[left - 1];

        while (from > 0 && array->values[from - 1] > value)
            array->values[--to] = array->values[--from];
        if (from == 0 || array->values[from - 1] != value)
            array->values[--to] = value;
    }
    set->fresh_count = 0;
    return 0;
}

void sorted_set_free(struct sorted_set *set)
{
    release_array(&set->sorted);
    release_array(&set->recent);
    free(set->fresh);
    *set = (struct sorted_set){0};
}

int sorted_set_add(struct sorted_set *set, uint64_t value)
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
    set->fresh[set->fresh_count++] = value;
    release_array(&set->recent);
    return 0;
}

/* Make the array of fresh values that snapshots get, until another one is added. */
static int make_recent(struct sorted_set *set)
{
    sort_fresh(set);
    set->recent = malloc(sizeof *set->recent + set->fresh_count * sizeof *set->fresh);
    if (set->recent == NULL)
        return -1;
    set->recent->users = 1;
    set->recent->count = set->fresh_count;
    memcpy(set->recent->values, set->fresh, set->fresh_count * sizeof *set->fresh);
    return 0;
}

int sorted_set_take(struct sorted_set *set, struct sorted_snapshot *ret_snapshot)
{
    *ret_snapshot = (struct sorted_snapshot){0};
    if (set->fresh_count > FRESH_MAX && merge_fresh(set) < 0)
        return -1;
    if (set->fresh_count > 0 && set->recent == NULL && make_recent(set) < 0)
        return -1;
    ret_snapshot->sorted = share_array(set->sorted);
    ret_snapshot->recent = share_array(set->recent);
    return 0;
}

struct sorted_snapshot sorted_snapshot_share(const struct sorted_snapshot *snapshot)
{
    return (struct sorted_snapshot){share_array(snapshot->sorted), share_array(snapshot->recent)};
}

void sorted_snapshot_release(struct sorted_snapshot *snapshot)
{
    release_array(&snapshot->sorted);
    release_array(&snapshot->recent);
}

/* Return the index of the first value that is not below `from`. */
static size_t lower_bound(const struct sorted_array *array, uint64_t from)
{
    size_t low = 0, high = array->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (array->values[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t count_between(const struct sorted_array *array, uint64_t from, uint64_t to)
{
    if (array == NULL)
        return 0;
    return (to == UINT64_MAX ? array->count : lower_bound(array, to + 1)) -
           lower_bound(array, from);
}

size_t sorted_snapshot_count(const struct sorted_snapshot *snapshot, uint64_t from, uint64_t to)
{
    return count_between(snapshot->sorted, from, to) + count_between(snapshot->recent, from, to);
}

struct sorted_cursor sorted_cursor_begin(const struct sorted_snapshot *snapshot, uint64_t from)
{
    struct sorted_cursor cursor = {0};

    if (snapshot->sorted != NULL) {
        cursor.sorted = snapshot->sorted->values + lower_bound(snapshot->sorted, from);
        cursor.sorted_end = snapshot->sorted->values + snapshot->sorted->count;
    }
    if (snapshot->recent != NULL) {
        cursor.recent = snapshot->recent->values + lower_bound(snapshot->recent, from);
        cursor.recent_end = snapshot->recent->values + snapshot->recent->count;
    }
    return cursor;
}

bool sorted_cursor_next(struct sorted_cursor *cursor, uint64_t max, uint64_t *ret_value)
{
    const bool has_sorted = cursor->sorted != cursor->sorted_end;
    const bool has_recent = cursor->recent != cursor->recent_end;
    uint64_t value;

    if (!has_sorted && !has_recent)
        return false;
    value = !has_recent || (has_sorted && *cursor->sorted < *cursor->recent) ? *cursor->sorted
                                                                             : *cursor->recent;
    if (value > max)
        return false;
    /* A value may be in both. */
    cursor->sorted += has_sorted && *cursor->sorted == value;
    cursor->recent += has_recent && *cursor->recent == value;
    *ret_value = value;
    return true;
}
