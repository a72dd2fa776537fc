/*
 * pool: threads that do jobs.
 *
 * A job is begun once, by a thread of the pool or by whoever waits for it: waiting never idles
 * while the job itself lies untouched, so a pool without threads works too, only later. Jobs are
 * begun in the order in which they were submitted. The caller owns a job and leaves it alone from
 * thread_pool_submit until thread_pool_wait has returned. The threads take no signals.
 */
#ifndef PHASESENTINEL_THREAD_POOL_H
#define PHASESENTINEL_THREAD_POOL_H

#include <stdbool.h>

struct job {
    void (*run)(struct job *job, unsigned worker); /* worker: 1 to thread_pool_size, or what
                                                      thread_pool_wait was told */
    struct job *next;
    enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING } state;
};

#define THREAD_POOL_MOST 16 /* threads */

struct thread_pool;

/* A thread for each processor that we may run on, and one more: a job may wait for the disk. Three
 * at least; fewer where the system gives no more. NULL: out of memory. */
struct thread_pool *thread_pool_open(void);
unsigned thread_pool_size(const struct thread_pool *pool);

/* A short job may wait until there are some of them, or for thread_pool_wait: waking a thread costs
 * more.
 */
void thread_pool_submit(struct thread_pool *pool, struct job *job, bool is_short);
void thread_pool_wait(struct thread_pool *pool, struct job *job,
                      unsigned worker); /* returns at once if idle */
bool thread_pool_is_done(struct thread_pool *pool,
                         const struct job *job); /* as after thread_pool_wait */

/* What runs is waited for, what is queued is not begun any more. Takes NULL. */
void thread_pool_close(struct thread_pool *pool);

#endif
