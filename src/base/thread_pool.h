/*
 * pool: threads that do jobs.
 *
 * A job is begun once, by a thread of the pool or by whoever waits for it: waiting never idles
 * while the job itself lies untouched, so a pool without threads works too, only later. Jobs are
 * begun in the order in which they were submitted. The caller owns a job and leaves it alone from
 * pool_submit until pool_wait has returned. The threads take no signals.
 */
#ifndef PHASESENTINEL_THREAD_POOL_H
#define PHASESENTINEL_THREAD_POOL_H

#include <stdbool.h>

struct job {
    void (*run)(struct job *job, unsigned worker); /* worker: 1 to pool_size, or what pool_wait was
                                                      told */
    struct job *next;
    enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING } state;
};

#define POOL_MOST 16 /* threads */

struct pool;

/* A thread for each processor that we may run on, and one more: a job may wait for the disk. Three
 * at least; fewer where the system gives no more. NULL: out of memory. */
struct pool *pool_open(void);
unsigned pool_size(const struct pool *pool);

/* A short job may wait until there are some of them, or for pool_wait: waking a thread costs more.
 */
void pool_submit(struct pool *pool, struct job *job, bool is_short);
void pool_wait(struct pool *pool, struct job *job, unsigned worker); /* returns at once if idle */
bool pool_is_done(struct pool *pool, const struct job *job);         /* as after pool_wait */

/* What runs is waited for, what is queued is not begun any more. Takes NULL. */
void pool_close(struct pool *pool);

#endif
