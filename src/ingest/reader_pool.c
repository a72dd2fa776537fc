#include "ingest/reader_pool.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ingest/prefetch.h"

#define LOOKS 64
#define ROOM  (8 * 1024 * 1024) /* bytes of files that are read at once, at most */
#define MANY  (1024 * 1024) /* so many keep all threads busy, and the processors' caches warm, */
#define FEW   4             /* and so many files in any case */
#define TRIM  (16 * 1024 * 1024)
#define SHORT (32 * 1024)   /* a file that is read before a thread is awake */
#define LARGE (1024 * 1024) /* a file whose hashing is worth a thread */

/* A look on its way through a thread. */
struct reader {
    struct job job;
    struct reader_pool *reader_pool;
    struct upload upload;
    int read; /* upload_read's answer, and its cause */
    struct cause cause;
    atomic_bool ready;   /* both are there: of a file that is read apart */
    struct reader *next; /* given after it; or another free one */
};

struct reader_pool {
    struct ingest_env *env;
    struct thread_pool *pool;                       /* NULL: not needed yet */
    struct file_check judges[THREAD_POOL_MOST + 1]; /* the first is the calling thread's */
    struct reader *free, *first, **last;            /* first to last: being read */
    uint64_t bytes;                                 /* of these, */
    size_t count;                                   /* and how many they are */
    struct reader *apart;                           /* a large file's; NULL: none */
    int fd;                                         /* eventfd: it is read */
    uint64_t read;                                  /* bytes in this batch */
    struct prefetch prefetch;
    struct reader reader[LOOKS];
};

struct reader_pool *reader_pool_open(struct ingest_env *env, const struct schema *schema,
                                     struct cause *cause)
{
    struct reader_pool *reader_pool = calloc(1, sizeof *reader_pool);
    size_t i;

    if (reader_pool == NULL) {
        cause_memory(cause);
        return NULL;
    }
    reader_pool->env = env;
    reader_pool->last = &reader_pool->first;
    reader_pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reader_pool->fd < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot wait for threads");
        reader_pool_close(reader_pool);
        return NULL;
    }
    for (i = 0; i <= THREAD_POOL_MOST; i++) {
        if (file_check_init(&reader_pool->judges[i], schema, env->config, cause) < 0) {
            reader_pool_close(reader_pool);
            return NULL;
        }
    }
    for (i = LOOKS; i-- > 0; reader_pool->free = &reader_pool->reader[i])
        reader_pool->reader[i].next = reader_pool->free;
    return reader_pool;
}

void reader_pool_close(struct reader_pool *reader_pool)
{
    size_t i;

    if (reader_pool == NULL)
        return;
    if (reader_pool->apart != NULL && reader_pool->pool != NULL) {
        atomic_store(&reader_pool->env->stop, true);
        thread_pool_wait(reader_pool->pool, &reader_pool->apart->job, 0);
    }
    for (i = 0; i < LOOKS; i++) {
        if (reader_pool->reader[i].upload.env == NULL)
            continue;
        upload_close(&reader_pool->reader[i].upload);
        upload_free(&reader_pool->reader[i].upload);
    }
    thread_pool_close(reader_pool->pool);
    if (reader_pool->fd >= 0)
        close(reader_pool->fd);
    for (i = 0; i <= THREAD_POOL_MOST; i++)
        file_check_free(&reader_pool->judges[i]);
    free(reader_pool);
}

void reader_pool_begin(struct reader_pool *reader_pool, struct pending_file *const *files,
                       size_t count)
{
    /* Threads begin when there is something to share; without them all goes on, only later. */
    if (reader_pool->pool == NULL && count > 1)
        reader_pool->pool = reader_pool->env->pool = thread_pool_open();
    prefetch_begin(&reader_pool->prefetch, count > 1 ? reader_pool->pool : NULL,
                   reader_pool->env->dir->drop, files, count);
}

struct upload *reader_pool_look(struct reader_pool *reader_pool)
{
    struct reader *reader = reader_pool->free;

    if (reader == NULL)
        return NULL;
    reader_pool->free = reader->next;
    reader->reader_pool = reader_pool;
    if (reader->upload.env == NULL)
        upload_init(&reader->upload, reader_pool->env);
    prefetch_next(&reader_pool->prefetch, &reader->upload.taken);
    reader->upload.fd = reader->upload.taken.fd;
    return &reader->upload;
}

static struct reader *reader_of(struct upload *upload)
{
    return (struct reader *)(void *)((char *)upload - offsetof(struct reader, upload));
}

void reader_pool_release(struct reader_pool *reader_pool, struct upload *upload)
{
    struct reader *reader = reader_of(upload);

    upload_close(upload);
    reader->next = reader_pool->free;
    reader_pool->free = reader;
}

static void run(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;

    reader->read =
        upload_read(&reader->upload, &reader->reader_pool->judges[worker], &reader->cause);
}

bool reader_pool_is_large(const struct upload *upload)
{
    return upload_weight(upload) > ROOM;
}

struct upload *reader_pool_background(const struct reader_pool *reader_pool)
{
    return reader_pool->apart == NULL ? NULL : &reader_pool->apart->upload;
}

static void run_apart(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;
    const uint64_t one = 1;

    run(job, worker);
    atomic_store(&reader->ready, true);
    (void)!write(reader->reader_pool->fd, &one, sizeof one);
}

int reader_pool_read_background(struct reader_pool *reader_pool, struct upload *upload,
                                struct cause *cause)
{
    struct reader *reader = reader_of(upload);

    if (reader_pool->pool == NULL)
        reader_pool->pool = reader_pool->env->pool = thread_pool_open();
    if (upload_detach(upload, cause) < 0)
        return -1;
    reader_pool->apart = reader;
    reader->ready = false;
    reader->job.run = run_apart;
    if (reader_pool->pool == NULL || thread_pool_size(reader_pool->pool) == 0)
        run_apart(&reader->job, 0);
    else
        thread_pool_submit(reader_pool->pool, &reader->job, false);
    return 0;
}

int reader_pool_fd(const struct reader_pool *reader_pool)
{
    return reader_pool->fd;
}

bool reader_pool_background_ready(const struct reader_pool *reader_pool)
{
    return reader_pool->apart != NULL && atomic_load(&reader_pool->apart->ready);
}

struct upload *reader_pool_background_take(struct reader_pool *reader_pool, int *ret_read,
                                           struct cause *cause)
{
    struct reader *reader = reader_pool->apart;
    uint64_t count;

    if (!reader_pool_background_ready(reader_pool))
        return NULL;
    (void)!read(reader_pool->fd, &count, sizeof count);
    if (reader_pool->pool != NULL)
        thread_pool_wait(reader_pool->pool, &reader->job, 0);
    reader_pool->apart = NULL;
    *ret_read = reader->read;
    if (reader->read <= 0)
        *cause = reader->cause;
    return &reader->upload;
}

bool reader_pool_have_room(const struct reader_pool *reader_pool, const struct upload *upload)
{
    const uint64_t bytes = reader_pool->bytes + upload_weight(upload);

    return reader_pool->first == NULL ||
           (bytes <= ROOM && (reader_pool->count < FEW || bytes <= MANY));
}

void reader_pool_read(struct reader_pool *reader_pool, struct upload *upload, bool alone)
{
    struct reader *reader = reader_of(upload);
    const uint64_t weight = upload_weight(upload);

    /* A large file is worth a thread, too. */
    if (reader_pool->pool == NULL && weight >= LARGE)
        reader_pool->pool = reader_pool->env->pool = thread_pool_open();
    reader->job.run = run;
    reader->next = NULL;
    *reader_pool->last = reader;
    reader_pool->last = &reader->next;
    reader_pool->bytes += weight;
    reader_pool->read += weight;
    reader_pool->count++;
    if (reader_pool->pool == NULL || alone)
        run(&reader->job, 0);
    else
        thread_pool_submit(reader_pool->pool, &reader->job, weight < SHORT);
}

struct upload *reader_pool_next(struct reader_pool *reader_pool, int *ret_read, struct cause *cause)
{
    struct reader *reader = reader_pool->first;

    if (reader == NULL)
        return NULL;
    if (reader_pool->pool != NULL)
        thread_pool_wait(reader_pool->pool, &reader->job, 0);
    reader_pool->first = reader->next;
    if (reader_pool->first == NULL)
        reader_pool->last = &reader_pool->first;
    reader_pool->bytes -= upload_weight(&reader->upload);
    reader_pool->count--;
    *ret_read = reader->read;
    if (reader->read <= 0)
        *cause = reader->cause;
    return &reader->upload;
}

void reader_pool_drop(struct reader_pool *reader_pool)
{
    struct cause ignored;
    struct upload *upload;
    int read;
    size_t i;

    prefetch_end(&reader_pool->prefetch);
    while ((upload = reader_pool_next(reader_pool, &read, &ignored)) != NULL)
        reader_pool_release(reader_pool, upload);
    for (i = 0; i < LOOKS; i++) {
        struct upload *used = &reader_pool->reader[i].upload;

        if (used->env == NULL || &reader_pool->reader[i] == reader_pool->apart)
            continue;
        spill_free(&used->accepted);
        spill_free(&used->rejected);
    }
    /* The threads' heaps keep what is freed. */
    if (reader_pool->read > TRIM)
        malloc_trim(0);
    reader_pool->read = 0;
}

struct file_check *reader_pool_judge(struct reader_pool *reader_pool)
{
    return &reader_pool->judges[0];
}
