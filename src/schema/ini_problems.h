/*
 * problem: what is wrong with a file that a person writes, all of it at once.
 *
 * Whoever reads the file adds a sentence for each fault with its line, in any order;
 * ini_problems_report hands them out sorted. Zeroed but for its path, a list is empty.
 */
#ifndef PHASESENTINEL_INI_PROBLEMS_H
#define PHASESENTINEL_INI_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"

#define PROBLEM_LIMIT 100 /* listed; more are only counted */

struct ini_problems {
    const char *path; /* borrowed */
    struct {
        char *text;    /* owned */
        unsigned line; /* 0: the file as a whole */
    } items[PROBLEM_LIMIT];
    size_t count;
    bool failed; /* out of memory */
};

void ini_problems_add(struct ini_problems *list, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * 0 if there was no problem; else -1, with "FILE:LINE: text" for each in the log, as errors, and as
 * lines in the cause (CAUSE_CONFIG; as many as it holds).
 */
int ini_problems_report(const struct ini_problems *list, struct cause *cause);

void ini_problems_free(struct ini_problems *list); /* leaves it empty */

/* The word that `word` was probably meant to be, of a NULL-terminated list, or NULL. */
const char *suggestion_nearest(const char *word, const char *const *words);

#endif
