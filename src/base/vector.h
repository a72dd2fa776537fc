/*
 * vector: room for one more item at the end of an array that the caller owns.
 *
 * The array is three fields of the caller's struct: a pointer to the items (NULL at first, freed by
 * the caller), their count, and the capacity (0 at first). Call vector_grow before each append.
 */
#ifndef PHASESENTINEL_VECTOR_H
#define PHASESENTINEL_VECTOR_H

#include <stddef.h>

/* Enlarge a full array; called by vector_grow alone. */
int vector_enlarge(void *list, size_t item_size, size_t *cap);

/*
 * Make room for an item after the `count` items of an array. `list` is the address of the pointer
 * to the items: vector_grow(&files, sizeof *files, count, &cap). The new room is uninitialised.
 * Return 0, or -1 with errno ENOMEM and the array as it was.
 */
static inline int vector_grow(void *list, size_t item_size, size_t count, size_t *cap)
{
    return count < *cap ? 0 : vector_enlarge(list, item_size, cap);
}

#endif
