/*
 * recheck: files that were read too soon after their last change to be sure of them (seen.h), and
 * are read once more when they are old enough.
 *
 * A queue of bounded length. Who does not fit in is met by the next scan.
 */
#ifndef PHASESENTINEL_RECHECK_H
#define PHASESENTINEL_RECHECK_H

#include <stddef.h>
#include <stdint.h>

#define RECHECK_MOST 16384

struct recheck_file {
    char *name;  /* owned */
    uint64_t at; /* the ledger line that it stood for */
    int64_t due; /* waiting_now's clock */
};

/* A zeroed struct is an empty queue. */
struct recheck {
    struct recheck_file *files; /* a ring, owned */
    size_t first, count;
};

void recheck_free(struct recheck *recheck); /* leaves it empty */

/* Behind all others, also if it is due before them. */
void recheck_add(struct recheck *recheck, const char *name, uint64_t at, int64_t due);

/* The first one, or NULL; borrowed until it is dropped. */
const struct recheck_file *recheck_first(const struct recheck *recheck);
void recheck_drop(struct recheck *recheck);

#endif
