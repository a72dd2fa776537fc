/*
 * lock: who may work on a data directory, and whether the last one ended well.
 *
 * A lock is flock(2) on a file that is never unlinked. While it is held with lock_file_mark the
 * file holds a line about the holder; a holder that ends well clears it. Who takes the lock and
 * finds a line knows that the last holder died at work (or was stopped by a failed sync) and must
 * not believe what only the page cache says.
 */
#ifndef PHASESENTINEL_LOCK_FILE_H
#define PHASESENTINEL_LOCK_FILE_H

#include <stdbool.h>

#include "base/cause.h"

struct lock_file {
    int fd; /* -1: not held */
    char name[32];
    bool died;        /* the last holder left its mark */
    char holder[128]; /* what the mark said, or of the process that has it now */
};

/* Waits up to wait_ms. CAUSE_BUSY names the holder where it is known. */
int lock_file_take(struct lock_file *lock, int dir_fd, const char *name, unsigned wait_ms,
                   struct cause *cause);
int lock_file_mark(struct lock_file *lock, const char *program, struct cause *cause);
int lock_file_clear(struct lock_file *lock, struct cause *cause);
void lock_file_release(
    struct lock_file *lock); /* leaves a mark standing: clear it first if the work is whole */

#endif
