#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define SHORT_JOBS 16 /* queued short jobs that are worth waking a thread */

struct worker {
    struct thread_pool *pool;
    unsigned number;
    pthread_t thread;
};

struct thread_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job was queued, or the pool is closing */
    pthread_cond_t done;
    struct job *first, **last;
    unsigned idle;        /* threads that wait for a job */
    unsigned unannounced; /* short jobs queued since a thread was woken */
    unsigned size;
    bool closing;
    struct worker workers[THREAD_POOL_MOST];
};

/* Run a job. The mutex is held before and after, but not meanwhile. */
static void run_job(struct thread_pool *pool, struct job *job, unsigned worker)
{
    job->state = JOB_RUNNING;
    pthread_mutex_unlock(&pool->mutex);
    job->run(job, worker);
    pthread_mutex_lock(&pool->mutex);
    job->state = JOB_IDLE;
    pthread_cond_broadcast(&pool->done);
}

static void unlink_job(struct thread_pool *pool, struct job **at)
{
    struct job *job = *at;

    *at = job->next;
    if (pool->last == &job->next)
        pool->last = at;
}

static void *run_jobs(void *context)
{
    const struct worker *worker = context;
    struct thread_pool *pool = worker->pool;
    struct job *job;

    pthread_mutex_lock(&pool->mutex);
    while (!pool->closing) {
        job = pool->first;
        if (job == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
            continue;
        }
        unlink_job(pool, &pool->first);
        run_job(pool, job, worker->number);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* Return the number of processors plus 1, since a job may wait for the disk; 3 to THREAD_POOL_MOST.
 */
static unsigned wanted_threads(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;

    if (count >= THREAD_POOL_MOST)
        return THREAD_POOL_MOST;
    return count < 2 ? 3 : (unsigned)count + 1;
}

struct thread_pool *thread_pool_open(void)
{
    struct thread_pool *pool = calloc(1, sizeof *pool);
    unsigned wanted = wanted_threads();
    sigset_t all, before;

    if (pool == NULL)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->last = &pool->first;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->size < wanted) {
        struct worker *worker = &pool->workers[pool->size];

        *worker = (struct worker){.pool = pool, .number = pool->size + 1};
        if (pthread_create(&worker->thread, NULL, run_jobs, worker) != 0)
            break;
        pool->size++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

unsigned thread_pool_size(const struct thread_pool *pool)
{
    return pool->size;
}

void thread_pool_submit(struct thread_pool *pool, struct job *job, bool is_short)
{
    pthread_mutex_lock(&pool->mutex);
    job->state = JOB_QUEUED;
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    pool->unannounced = is_short ? pool->unannounced + 1 : SHORT_JOBS;
    if (pool->idle > 0 && pool->unannounced >= SHORT_JOBS) {
        pool->unannounced = 0;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void thread_pool_wait(struct thread_pool *pool, struct job *job, unsigned worker)
{
    struct job **at;

    pthread_mutex_lock(&pool->mutex);
    if (job->state == JOB_QUEUED) {
        for (at = &pool->first; *at != job;)
            at = &(*at)->next;
        unlink_job(pool, at);
        run_job(pool, job, worker);
    }
    while (job->state != JOB_IDLE)
        pthread_cond_wait(&pool->done, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

bool thread_pool_is_done(struct thread_pool *pool, const struct job *job)
{
    bool done;

    pthread_mutex_lock(&pool->mutex);
    done = job->state == JOB_IDLE;
    pthread_mutex_unlock(&pool->mutex);
    return done;
}

void thread_pool_close(struct thread_pool *pool)
{
    unsigned i;

    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (i = 0; i < pool->size; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
