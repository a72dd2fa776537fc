#include "ingest/reader_pool.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define READERS     64
#define ROOM        (8 * 1024 * 1024) /* bytes of files that are read at once, at most */
#define BUSY_BYTES  (1024 * 1024)     /* in flight: more would cool the processors' caches ... */
#define BUSY_FILES  4                 /* ... but so many files may be in flight in any case */
#define SHORT       (32 * 1024)       /* such a file is read before another thread is awake */
#define LARGE       (1024 * 1024)     /* such a file is worth a thread that hashes it */
#define TRIM        (16 * 1024 * 1024)
#define OPEN_GROUP  16 /* files that a thread opens in one job */
#define OPEN_GROUPS 4

struct reader {
    struct job job;
    struct reader_pool *pool;
    struct upload upload;
    enum upload_result result;
    struct cause cause;
    atomic_bool ready;   /* result and cause are there, of a file in the background */
    struct reader *next; /* given after this one; or the next free one */
};

struct open_group {
    struct job job;
    const struct reader_pool *pool;
    size_t first, count;
    struct opened_file opened[OPEN_GROUP];
};

/* The files of a batch. Opening a small file and asking who writes to it takes longer than reading
 * it, so threads open files in advance. */
struct open_queue {
    struct thread_pool *threads; /* NULL: each file is opened when it is asked for */
    struct pending_file *const *files;
    size_t count;
    size_t given; /* to threads, in whole groups but for the last */
    size_t next;  /* to be asked for */
    struct open_group groups[OPEN_GROUPS];
};

struct reader_pool {
    struct ingest_env *env;
    struct thread_pool *threads;                         /* NULL: not needed yet */
    struct file_check file_checks[THREAD_POOL_MOST + 1]; /* the first is the calling thread's */
    struct reader *free;
    struct reader *first, **last; /* being read */
    uint64_t bytes;               /* bytes of the files being read */
    size_t count;                 /* number of these */
    uint64_t batch_bytes;         /* given since the batch began */
    struct reader *background;    /* NULL: none */
    int fd;                       /* an eventfd */
    struct open_queue queue;
    struct reader readers[READERS];
};

struct reader_pool *reader_pool_new(struct ingest_env *env, struct cause *cause)
{
    struct reader_pool *pool = calloc(1, sizeof *pool);
    size_t i;

    if (pool == NULL) {
        cause_memory(cause);
        return NULL;
    }
    pool->env = env;
    pool->last = &pool->first;
    pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->fd < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot wait for threads");
        goto fail;
    }
    for (i = 0; i <= THREAD_POOL_MOST; i++)
        if (file_check_init(&pool->file_checks[i], env->schema, env->config, cause) < 0)
            goto fail;
    for (i = READERS; i-- > 0; pool->free = &pool->readers[i]) {
        pool->readers[i].pool = pool;
        pool->readers[i].next = pool->free;
    }
    return pool;
fail:
    reader_pool_free(pool);
    return NULL;
}

void reader_pool_free(struct reader_pool *pool)
{
    size_t i;

    if (pool == NULL)
        return;
    if (pool->background != NULL && pool->threads != NULL) {
        atomic_store(&pool->env->stop, true);
        thread_pool_wait(pool->threads, &pool->background->job, 0);
    }
    for (i = 0; i < READERS; i++) {
        if (pool->readers[i].upload.env == NULL)
            continue;
        upload_end(&pool->readers[i].upload);
        upload_free(&pool->readers[i].upload);
    }
    thread_pool_close(pool->threads);
    if (pool->fd >= 0)
        close(pool->fd);
    for (i = 0; i <= THREAD_POOL_MOST; i++)
        file_check_free(&pool->file_checks[i]);
    free(pool);
}

static void start_threads(struct reader_pool *pool)
{
    if (pool->threads == NULL)
        pool->threads = pool->env->pool = thread_pool_open();
}

/* ---- opening in advance ------------------------------------------------------------------- */

static void open_group(struct job *job, unsigned worker)
{
    struct open_group *group = (struct open_group *)(void *)job;
    const struct reader_pool *pool = group->pool;
    size_t i;

    (void)worker;
    for (i = 0; i < group->count; i++)
        opened_file_open(pool->env->dir->drop, pool->queue.files[group->first + i]->name,
                         &group->opened[i]);
}

static struct open_group *group_of(struct open_queue *queue, size_t file)
{
    return &queue->groups[file / OPEN_GROUP % OPEN_GROUPS];
}

/* Give all groups to threads but the one that is being asked for. */
static void give_groups(struct reader_pool *pool)
{
    struct open_queue *queue = &pool->queue;

    while (queue->given < queue->count &&
           queue->given < queue->next + (OPEN_GROUPS - 1) * OPEN_GROUP) {
        struct open_group *group = group_of(queue, queue->given);
        const size_t left = queue->count - queue->given;

        group->job.run = open_group;
        group->pool = pool;
        group->first = queue->given;
        group->count = left < OPEN_GROUP ? left : OPEN_GROUP;
        queue->given += group->count;
        thread_pool_submit(queue->threads, &group->job, false);
    }
}

static void open_next(struct reader_pool *pool, struct opened_file *ret_opened)
{
    struct open_queue *queue = &pool->queue;
    struct open_group *group = group_of(queue, queue->next);

    if (queue->threads == NULL) {
        opened_file_open(pool->env->dir->drop, queue->files[queue->next++]->name, ret_opened);
        return;
    }
    if (queue->next % OPEN_GROUP == 0) {
        give_groups(pool);
        thread_pool_wait(queue->threads, &group->job, 0);
    }
    *ret_opened = group->opened[queue->next++ % OPEN_GROUP];
}

/* Close the files that were opened and not asked for. */
static void end_queue(struct open_queue *queue)
{
    for (; queue->next < queue->given; queue->next++) {
        struct open_group *group = group_of(queue, queue->next);
        int fd;

        if (queue->next == group->first)
            thread_pool_wait(queue->threads, &group->job, 0);
        fd = group->opened[queue->next % OPEN_GROUP].fd;
        if (fd >= 0)
            close(fd);
    }
    queue->count = 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

void reader_pool_begin(struct reader_pool *pool, struct pending_file *const *files, size_t count)
{
    if (count > 1)
        start_threads(pool);
    pool->queue = (struct open_queue){
        .threads = count > 1 ? pool->threads : NULL, .files = files, .count = count};
}

struct upload *reader_pool_open_next(struct reader_pool *pool)
{
    struct reader *reader = pool->free;

    if (reader == NULL)
        return NULL;
    pool->free = reader->next;
    if (reader->upload.env == NULL)
        upload_init(&reader->upload, pool->env);
    open_next(pool, &reader->upload.opened);
    return &reader->upload;
}

static struct reader *reader_of(struct upload *upload)
{
    return (struct reader *)(void *)((char *)upload - offsetof(struct reader, upload));
}

void reader_pool_release(struct reader_pool *pool, struct upload *upload)
{
    struct reader *reader = reader_of(upload);

    upload_end(upload);
    reader->next = pool->free;
    pool->free = reader;
}

static void run_reader(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;

    reader->result =
        upload_read(&reader->upload, &reader->pool->file_checks[worker], &reader->cause);
}

bool reader_pool_has_room(const struct reader_pool *pool, const struct upload *upload)
{
    const uint64_t bytes = pool->bytes + upload_weight(upload);

    return pool->first == NULL ||
           (bytes <= ROOM && (pool->count < BUSY_FILES || bytes <= BUSY_BYTES));
}

void reader_pool_read(struct reader_pool *pool, struct upload *upload, bool alone)
{
    struct reader *reader = reader_of(upload);
    const uint64_t weight = upload_weight(upload);

    if (weight >= LARGE)
        start_threads(pool);
    reader->job.run = run_reader;
    reader->next = NULL;
    *pool->last = reader;
    pool->last = &reader->next;
    pool->bytes += weight;
    pool->batch_bytes += weight;
    pool->count++;
    if (pool->threads == NULL || alone)
        run_reader(&reader->job, 0);
    else
        thread_pool_submit(pool->threads, &reader->job, weight < SHORT);
}

static struct upload *take_result(const struct reader_pool *pool, struct reader *reader,
                                  enum upload_result *ret_result, struct cause *cause)
{
    if (pool->threads != NULL)
        thread_pool_wait(pool->threads, &reader->job, 0);
    *ret_result = reader->result;
    if (reader->result != UPLOAD_CHECKED)
        *cause = reader->cause;
    return &reader->upload;
}

struct upload *reader_pool_next(struct reader_pool *pool, enum upload_result *ret_result,
                                struct cause *cause)
{
    struct reader *reader = pool->first;
    struct upload *upload;

    if (reader == NULL)
        return NULL;
    upload = take_result(pool, reader, ret_result, cause);
    pool->first = reader->next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    pool->bytes -= upload_weight(upload);
    pool->count--;
    return upload;
}

void reader_pool_end(struct reader_pool *pool)
{
    enum upload_result result;
    struct cause ignored;
    struct upload *upload;
    size_t i;

    end_queue(&pool->queue);
    while ((upload = reader_pool_next(pool, &result, &ignored)) != NULL)
        reader_pool_release(pool, upload);
    for (i = 0; i < READERS; i++) {
        upload = &pool->readers[i].upload;
        if (upload->env == NULL || &pool->readers[i] == pool->background)
            continue;
        spill_free(&upload->accepted);
        spill_free(&upload->rejected);
    }
    /* The heaps of threads keep what is freed. */
    if (pool->batch_bytes > TRIM)
        malloc_trim(0);
    pool->batch_bytes = 0;
}

/* ---- in the background -------------------------------------------------------------------- */

bool reader_pool_is_large(const struct upload *upload)
{
    return upload_weight(upload) > ROOM;
}

static void run_background(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;
    const uint64_t one = 1;

    run_reader(job, worker);
    atomic_store(&reader->ready, true);
    (void)!write(reader->pool->fd, &one, sizeof one);
}

int reader_pool_read_background(struct reader_pool *pool, struct upload *upload,
                                struct cause *cause)
{
    struct reader *reader = reader_of(upload);

    start_threads(pool);
    if (upload_detach(upload, cause) < 0)
        return -1;
    pool->background = reader;
    reader->ready = false;
    reader->job.run = run_background;
    if (pool->threads == NULL || thread_pool_size(pool->threads) == 0)
        run_background(&reader->job, 0);
    else
        thread_pool_submit(pool->threads, &reader->job, false);
    return 0;
}

struct upload *reader_pool_background(const struct reader_pool *pool)
{
    return pool->background == NULL ? NULL : &pool->background->upload;
}

bool reader_pool_background_is_ready(const struct reader_pool *pool)
{
    return pool->background != NULL && atomic_load(&pool->background->ready);
}

struct upload *reader_pool_take_background(struct reader_pool *pool, enum upload_result *ret_result,
                                           struct cause *cause)
{
    struct reader *reader = pool->background;
    uint64_t count;

    if (!reader_pool_background_is_ready(pool))
        return NULL;
    (void)!read(pool->fd, &count, sizeof count);
    pool->background = NULL;
    return take_result(pool, reader, ret_result, cause);
}

int reader_pool_fd(const struct reader_pool *pool)
{
    return pool->fd;
}

struct file_check *reader_pool_file_check(struct reader_pool *pool)
{
    return &pool->file_checks[0];
}
