/*
 * ini_problems: the list of all faults of a file that a person writes.
 *
 * The reader of the file adds a sentence with its line for each fault, in any order;
 * ini_problems_report reports them sorted by line. A struct that is zeroed but for `path` is an
 * empty list.
 */
#ifndef PHASESENTINEL_INI_PROBLEMS_H
#define PHASESENTINEL_INI_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"

#define INI_PROBLEMS_LISTED 100 /* further problems are only counted */

struct ini_problems {
    const char *path; /* borrowed */
    struct {
        char *text;    /* owned */
        unsigned line; /* 0: the file as a whole */
    } items[INI_PROBLEMS_LISTED];
    size_t count;
    bool failed; /* memory ran out */
};

/* Add a problem of a line; 0: of the whole file. */
void ini_problems_add(struct ini_problems *list, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Return 0 if there is no problem; else -1, with a line "FILE:LINE: text" for each problem, as an
 * error in the log and in the cause (CAUSE_CONFIG; as many lines as fit).
 */
int ini_problems_report(const struct ini_problems *list, struct cause *cause);

/* Free the problems and leave an empty list. */
void ini_problems_free(struct ini_problems *list);

#endif
