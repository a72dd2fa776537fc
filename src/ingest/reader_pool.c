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
    struct readers *readers;
    struct look look;
    int read; /* look_read's answer, and its cause */
    struct cause cause;
    atomic_bool ready;   /* both are there: of a file that is read apart */
    struct reader *next; /* given after it; or another free one */
};

struct readers {
    struct desk *desk;
    struct pool *pool;                   /* NULL: not needed yet */
    struct judge judges[POOL_MOST + 1];  /* the first is the calling thread's */
    struct reader *free, *first, **last; /* first to last: being read */
    uint64_t bytes;                      /* of these, */
    size_t count;                        /* and how many they are */
    struct reader *apart;                /* a large file's; NULL: none */
    int fd;                              /* eventfd: it is read */
    uint64_t read;                       /* bytes in this batch */
    struct ahead ahead;
    struct reader reader[LOOKS];
};

struct readers *readers_open(struct desk *desk, const struct schema *schema, struct cause *cause)
{
    struct readers *readers = calloc(1, sizeof *readers);
    size_t i;

    if (readers == NULL) {
        cause_memory(cause);
        return NULL;
    }
    readers->desk = desk;
    readers->last = &readers->first;
    readers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (readers->fd < 0) {
        cause_errno(cause, CAUSE_TROUBLE, "cannot wait for threads");
        readers_close(readers);
        return NULL;
    }
    for (i = 0; i <= POOL_MOST; i++) {
        if (judge_init(&readers->judges[i], schema, desk->config, cause) < 0) {
            readers_close(readers);
            return NULL;
        }
    }
    for (i = LOOKS; i-- > 0; readers->free = &readers->reader[i])
        readers->reader[i].next = readers->free;
    return readers;
}

void readers_close(struct readers *readers)
{
    size_t i;

    if (readers == NULL)
        return;
    if (readers->apart != NULL && readers->pool != NULL) {
        atomic_store(&readers->desk->stop, true);
        pool_wait(readers->pool, &readers->apart->job, 0);
    }
    for (i = 0; i < LOOKS; i++) {
        if (readers->reader[i].look.desk == NULL)
            continue;
        look_close(&readers->reader[i].look);
        look_free(&readers->reader[i].look);
    }
    pool_close(readers->pool);
    if (readers->fd >= 0)
        close(readers->fd);
    for (i = 0; i <= POOL_MOST; i++)
        judge_free(&readers->judges[i]);
    free(readers);
}

void readers_begin(struct readers *readers, struct waiting_file *const *files, size_t count)
{
    /* Threads begin when there is something to share; without them all goes on, only later. */
    if (readers->pool == NULL && count > 1)
        readers->pool = readers->desk->pool = pool_open();
    ahead_begin(&readers->ahead, count > 1 ? readers->pool : NULL, readers->desk->dir->drop, files,
                count);
}

struct look *readers_look(struct readers *readers)
{
    struct reader *reader = readers->free;

    if (reader == NULL)
        return NULL;
    readers->free = reader->next;
    reader->readers = readers;
    if (reader->look.desk == NULL)
        look_init(&reader->look, readers->desk);
    ahead_next(&readers->ahead, &reader->look.taken);
    reader->look.fd = reader->look.taken.fd;
    return &reader->look;
}

static struct reader *reader_of(struct look *look)
{
    return (struct reader *)(void *)((char *)look - offsetof(struct reader, look));
}

void readers_release(struct readers *readers, struct look *look)
{
    struct reader *reader = reader_of(look);

    look_close(look);
    reader->next = readers->free;
    readers->free = reader;
}

static void run(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;

    reader->read = look_read(&reader->look, &reader->readers->judges[worker], &reader->cause);
}

bool readers_is_large(const struct look *look)
{
    return look_weight(look) > ROOM;
}

struct look *readers_reading_apart(const struct readers *readers)
{
    return readers->apart == NULL ? NULL : &readers->apart->look;
}

static void run_apart(struct job *job, unsigned worker)
{
    struct reader *reader = (struct reader *)(void *)job;
    const uint64_t one = 1;

    run(job, worker);
    atomic_store(&reader->ready, true);
    (void)!write(reader->readers->fd, &one, sizeof one);
}

int readers_read_apart(struct readers *readers, struct look *look, struct cause *cause)
{
    struct reader *reader = reader_of(look);

    if (readers->pool == NULL)
        readers->pool = readers->desk->pool = pool_open();
    if (look_part(look, cause) < 0)
        return -1;
    readers->apart = reader;
    reader->ready = false;
    reader->job.run = run_apart;
    if (readers->pool == NULL || pool_size(readers->pool) == 0)
        run_apart(&reader->job, 0);
    else
        pool_submit(readers->pool, &reader->job, false);
    return 0;
}

int readers_fd(const struct readers *readers)
{
    return readers->fd;
}

bool readers_apart_ready(const struct readers *readers)
{
    return readers->apart != NULL && atomic_load(&readers->apart->ready);
}

struct look *readers_apart(struct readers *readers, int *ret_read, struct cause *cause)
{
    struct reader *reader = readers->apart;
    uint64_t count;

    if (!readers_apart_ready(readers))
        return NULL;
    (void)!read(readers->fd, &count, sizeof count);
    if (readers->pool != NULL)
        pool_wait(readers->pool, &reader->job, 0);
    readers->apart = NULL;
    *ret_read = reader->read;
    if (reader->read <= 0)
        *cause = reader->cause;
    return &reader->look;
}

void readers_put_back(struct readers *readers, struct look *look)
{
    readers->apart = reader_of(look);
}

bool readers_have_room(const struct readers *readers, const struct look *look)
{
    const uint64_t bytes = readers->bytes + look_weight(look);

    return readers->first == NULL || (bytes <= ROOM && (readers->count < FEW || bytes <= MANY));
}

void readers_read(struct readers *readers, struct look *look, bool alone)
{
    struct reader *reader = reader_of(look);
    const uint64_t weight = look_weight(look);

    /* A large file is worth a thread, too. */
    if (readers->pool == NULL && weight >= LARGE)
        readers->pool = readers->desk->pool = pool_open();
    reader->job.run = run;
    reader->next = NULL;
    *readers->last = reader;
    readers->last = &reader->next;
    readers->bytes += weight;
    readers->read += weight;
    readers->count++;
    if (readers->pool == NULL || alone)
        run(&reader->job, 0);
    else
        pool_submit(readers->pool, &reader->job, weight < SHORT);
}

struct look *readers_next(struct readers *readers, int *ret_read, struct cause *cause)
{
    struct reader *reader = readers->first;

    if (reader == NULL)
        return NULL;
    if (readers->pool != NULL)
        pool_wait(readers->pool, &reader->job, 0);
    readers->first = reader->next;
    if (readers->first == NULL)
        readers->last = &readers->first;
    readers->bytes -= look_weight(&reader->look);
    readers->count--;
    *ret_read = reader->read;
    if (reader->read <= 0)
        *cause = reader->cause;
    return &reader->look;
}

void readers_drop(struct readers *readers)
{
    struct cause ignored;
    struct look *look;
    int read;
    size_t i;

    ahead_end(&readers->ahead);
    while ((look = readers_next(readers, &read, &ignored)) != NULL)
        readers_release(readers, look);
    for (i = 0; i < LOOKS; i++) {
        struct look *used = &readers->reader[i].look;

        if (used->desk == NULL || &readers->reader[i] == readers->apart)
            continue;
        spill_free(&used->accepted);
        spill_free(&used->rejected);
    }
    /* The threads' heaps keep what is freed. */
    if (readers->read > TRIM)
        malloc_trim(0);
    readers->read = 0;
}

struct judge *readers_judge(struct readers *readers)
{
    return &readers->judges[0];
}
