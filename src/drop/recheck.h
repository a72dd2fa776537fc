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

#define RACY_MOST 16384

struct racy_queue_file {
    char *name;  /* owned */
    uint64_t at; /* the ledger line that it stood for */
    int64_t due; /* clock_monotonic's clock */
};

/* A zeroed struct is an empty queue. */
struct racy_queue {
    struct racy_queue_file *files; /* a ring, owned */
    size_t first, count;
};

void racy_queue_free(struct racy_queue *racy_queue); /* leaves it empty */

/* Behind all others, also if it is due before them. */
void racy_queue_add(struct racy_queue *racy_queue, const char *name, uint64_t at, int64_t due);

/* The first one, or NULL; borrowed until it is dropped. */
const struct racy_queue_file *racy_queue_first(const struct racy_queue *racy_queue);
void racy_queue_drop(struct racy_queue *racy_queue);

#endif
