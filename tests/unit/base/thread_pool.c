#include "base/thread_pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/unit.h"

#define JOBS 2000

struct task {
    struct job job;
    atomic_uint runs;
    atomic_uint worker;
    struct thread_pool *pool;
    struct task *inner; /* the job that this one submits and waits for */
};

static struct task tasks[JOBS], inner[JOBS];

static void run(struct job *job, unsigned worker)
{
    struct task *task = (struct task *)(void *)job;

    if (task->inner != NULL) {
        thread_pool_submit(task->pool, &task->inner->job, false);
        thread_pool_wait(task->pool, &task->inner->job, worker);
    }
    task->worker = worker;
    task->runs++;
}

static void test_jobs(void)
{
    struct thread_pool *pool = thread_pool_open();
    unsigned i, wrong = 0, nested = 0;

    check(pool != NULL && thread_pool_size(pool) >= 2 && thread_pool_size(pool) <= THREAD_POOL_MOST,
          "%u threads", thread_pool_size(pool));
    for (i = 0; i < JOBS; i++) {
        inner[i] = (struct task){.job.run = run};
        tasks[i] =
            (struct task){.job.run = run, .pool = pool, .inner = i % 3 == 0 ? &inner[i] : NULL};
        thread_pool_submit(pool, &tasks[i].job, false);
    }
    for (i = JOBS; i-- > 0;)
        thread_pool_wait(pool, &tasks[i].job, 0);
    for (i = 0; i < JOBS; i++) {
        wrong += tasks[i].runs != 1 || tasks[i].worker > thread_pool_size(pool);
        nested += inner[i].runs;
    }
    check(wrong == 0, "%d jobs are run once each, by numbered workers: %u wrong", JOBS, wrong);
    check(nested == (JOBS + 2) / 3, "so are the jobs that they submit: %u", nested);
    thread_pool_wait(pool, &tasks[0].job, 0);
    check(tasks[0].runs == 1, "thread_pool_wait runs no job twice");
    thread_pool_submit(pool, &tasks[1].job, false);
    while (tasks[1].runs < 2)
        usleep(100);
    thread_pool_wait(pool, &tasks[1].job, 0);
    check(tasks[1].runs == 2 && tasks[1].worker > 0, "a job is run without thread_pool_wait");
    for (i = 0; i < 100; i++) {
        tasks[i] = (struct task){.job.run = run};
        thread_pool_submit(pool, &tasks[i].job, true);
    }
    while (tasks[0].runs == 0)
        usleep(100);
    check(tasks[0].worker > 0, "short jobs are started once there are several");
    for (i = 0; i < 100; i++)
        thread_pool_wait(pool, &tasks[i].job, 0);
    thread_pool_close(pool);
    thread_pool_close(NULL);
}

/* Wait for a job while all threads are busy. */
static void wait_for_word(struct job *job, unsigned worker)
{
    struct task *task = (struct task *)(void *)job;

    task->worker = worker;
    while (task->runs == 0)
        usleep(100);
}

static void test_busy(void)
{
    struct thread_pool *pool = thread_pool_open();
    unsigned i, busy = thread_pool_size(pool);
    struct task last = {.job.run = run};

    for (i = 0; i < busy; i++) {
        tasks[i] = (struct task){.job.run = wait_for_word};
        thread_pool_submit(pool, &tasks[i].job, false);
    }
    for (i = 0; i < busy; i++)
        while (tasks[i].worker == 0)
            usleep(100);
    thread_pool_submit(pool, &last.job, false);
    thread_pool_wait(pool, &last.job, 0);
    check(last.runs == 1 && last.worker == 0,
          "thread_pool_wait runs a job that no thread has started");
    for (i = 0; i < busy; i++)
        tasks[i].runs = 1;
    for (i = 0; i < busy; i++)
        thread_pool_wait(pool, &tasks[i].job, 0);
    thread_pool_close(pool);
}

int main(void)
{
    alarm(300);
    test_jobs();
    test_busy();
    return unit_done();
}
