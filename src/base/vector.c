#include "base/vector.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 16

int vector_enlarge(void *list, size_t item_size, size_t *cap)
{
    size_t larger = *cap < FIRST_CAP ? FIRST_CAP : *cap * 2;
    void *items, *grown;

    if (*cap > SIZE_MAX / 2 || larger > SIZE_MAX / item_size) {
        errno = ENOMEM;
        return -1;
    }
    /* Copy the pointer: its type is not known here, and a void ** must not alias it. */
    memcpy(&items, list, sizeof items);
    grown = realloc(items, larger * item_size);
    if (grown == NULL)
        return -1;
    memcpy(list, &grown, sizeof grown);
    *cap = larger;
    /* cppcheck-suppress memleak ; *list owns it */
    return 0;
}
