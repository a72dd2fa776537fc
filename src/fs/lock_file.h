/*
 * lock_file: a lock of one process, which shows whether the last holder ended well.
 *
 * The lock is flock(2) on a file that is never unlinked. lock_file_mark writes a line about the
 * holder into the file before the work, lock_file_clear removes it after. A process that takes the
 * lock and finds a line knows that the last holder died at work (or stopped after a failed sync),
 * so data that was not synced may be in the page cache only.
 */
#ifndef PHASESENTINEL_LOCK_FILE_H
#define PHASESENTINEL_LOCK_FILE_H

#include <stdbool.h>

#include "base/cause.h"

struct lock_file {
    int fd; /* -1: not held */
    char name[32];
    bool died;        /* the last holder did not clear its mark */
    char holder[128]; /* the mark of the last holder, or of the present one for CAUSE_BUSY */
};

/* Take the lock; wait for it up to wait_ms. CAUSE_BUSY names the holder if the mark tells it. */
int lock_file_take(struct lock_file *lock, int dir_fd, const char *name, unsigned wait_ms,
                   struct cause *cause);

int lock_file_mark(struct lock_file *lock, const char *program, struct cause *cause);
int lock_file_clear(struct lock_file *lock, struct cause *cause);

/* Release the lock. A mark that is not cleared stays in the file. */
void lock_file_release(struct lock_file *lock);

#endif
