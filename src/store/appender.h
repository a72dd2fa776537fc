/*
 * appender: append rows to a file, with few system calls, all of a batch or none.
 *
 *     appender_reset       set the file and its committed end
 *     appender_add         append rows; few of them wait in memory for more
 *     appender_commit      write and sync all of them ...
 *     appender_rollback    ... or cut the file back
 *     appender_free
 *
 * The time of a sync grows with the bytes written since the last one. So, with a pool, one of its
 * threads syncs while more rows are read and checked, and little is left for appender_commit. A
 * failed sync is never retried: appender_commit or appender_rollback returns its CAUSE_PANIC.
 */
#ifndef PHASESENTINEL_APPENDER_H
#define PHASESENTINEL_APPENDER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "base/thread_pool.h"
#include "store/spill.h"

struct appender {
    struct job job;           /* syncs the file */
    struct thread_pool *pool; /* borrowed; NULL: only appender_commit syncs */
    const char *what;         /* name of the file for messages; borrowed */
    int fd;                   /* borrowed */
    uint64_t end;             /* committed end */
    uint64_t written;         /* end of the file, committed or not */
    uint64_t begun;           /* value of `written` when the last early sync began */
    struct buffer buffer;     /* rows to be written at `written` */
    int failed;               /* result of the early sync: 0 or -1 ... */
    struct cause cause;       /* ... with its cause */
};

/* Set the file and its end, up to which all is committed. Nothing may be pending. */
void appender_reset(struct appender *appender, int fd, const char *what, uint64_t end);
void appender_free(struct appender *appender); /* takes a zeroed one, too */

/* Append all rows of the spill, which is finished. */
int appender_add(struct appender *appender, const struct spill *rows, struct thread_pool *pool,
                 struct cause *cause);
int appender_commit(struct appender *appender, struct cause *cause);

/* Cut the file back to `end`, whatever was added or half written since. */
int appender_rollback(struct appender *appender, uint64_t end, struct cause *cause);

#endif
