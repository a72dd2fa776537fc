/*
 * appender: rows at the end of a file, many pieces with few system calls, durable all at once.
 *
 *     appender_reset      a file, and where it ends
 *     appender_add        few bytes wait in memory for more
 *     appender_commit     all of them are in the file, durable
 *     appender_rollback    or none of them
 *
 * A disk takes as long for a sync as for all it was given since the last one. So, with a pool, one
 * of its threads syncs while more is read and checked: the sync that counts, the one of
 * appender_commit, has little left to do. A sync that failed is never tried again, whoever called
 * it: CAUSE_PANIC then, from appender_commit or appender_rollback at the latest.
 */
#ifndef PHASESENTINEL_APPENDER_H
#define PHASESENTINEL_APPENDER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "base/thread_pool.h"
#include "store/spill.h"

struct appender {
    struct job job;           /* syncs what is written so far */
    struct thread_pool *pool; /* borrowed; NULL: only appender_commit syncs */
    const char *what;         /* the file's name, for messages */
    int fd;                   /* borrowed */
    uint64_t end;             /* committed */
    uint64_t written;         /* in the file, committed or not */
    uint64_t begun;           /* the last early sync was begun when so much was written */
    struct buffer buffer;     /* what follows `written` */
    int failed;               /* the early sync's result, and its cause */
    struct cause cause;
};

/* The file ends here, and all of it is committed: nothing was added since the last commit. */
void appender_reset(struct appender *appender, int fd, const char *what, uint64_t end);
void appender_free(struct appender *appender); /* takes a zeroed one */

/* Append all rows of the spill, which is finished. */
int appender_add(struct appender *appender, const struct spill *rows, struct thread_pool *pool,
                 struct cause *cause);
int appender_commit(struct appender *appender, struct cause *cause);

/* The file ends at `end` again, whatever was added or half written since. */
int appender_rollback(struct appender *appender, uint64_t end, struct cause *cause);

#endif
