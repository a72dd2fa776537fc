/*
 * thread_pool: threads that run jobs.
 *
 * Jobs start in the order in which they were submitted, each by a thread of the pool or by the
 * caller of thread_pool_wait: a job that no thread has started is run there, so a pool without
 * threads works too. The caller owns a job and must not touch it between thread_pool_submit and the
 * end of thread_pool_wait. The threads block all signals.
 */
#ifndef PHASESENTINEL_THREAD_POOL_H
#define PHASESENTINEL_THREAD_POOL_H

#include <stdbool.h>

struct job {
    /* `worker` is 1 to thread_pool_size, or the argument of thread_pool_wait. */
    void (*run)(struct job *job, unsigned worker);
    struct job *next;
    enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING } state;
};

#define THREAD_POOL_MOST 16 /* the largest number of threads */

struct thread_pool;

/* Start one thread more than there are processors for this process, 3 to 16: a job may wait for the
 * disk. The system may allow fewer. Return NULL when out of memory. */
struct thread_pool *thread_pool_open(void);
unsigned thread_pool_size(const struct thread_pool *pool);

/* Queue a job. Short jobs may stay queued until there are several, or until thread_pool_wait:
 * waking a thread costs more than running one. */
void thread_pool_submit(struct thread_pool *pool, struct job *job, bool is_short);

/* Run the job if no thread has started it; else wait for its end. Return at once if it is idle. */
void thread_pool_wait(struct thread_pool *pool, struct job *job, unsigned worker);

/* Return true if the job is idle, as after thread_pool_wait. */
bool thread_pool_is_done(struct thread_pool *pool, const struct job *job);

/* Wait for the running jobs and free the pool. Queued jobs are never started. NULL does nothing. */
void thread_pool_close(struct thread_pool *pool);

#endif
