#include "store/appender.h"

#include "fs/durable.h"

#define WRITE_SIZE (1024 * 1024)     /* buffered bytes that are written at once */
#define KEEP_SIZE  (256 * 1024)      /* larger buffers are freed after a commit */
#define FEW_SIZE   (64 * 1024)       /* fewer bytes are buffered */
#define EARLY_SIZE (4 * 1024 * 1024) /* written bytes that are worth an early sync */

void appender_reset(struct appender *appender, int fd, const char *what, uint64_t end)
{
    appender->fd = fd;
    appender->what = what;
    appender->end = appender->written = appender->begun = end;
}

void appender_free(struct appender *appender)
{
    buffer_free(&appender->buffer);
}

/* ---- early syncs -------------------------------------------------------------------------- */

static void sync_early(struct job *job, unsigned worker)
{
    struct appender *appender = (struct appender *)(void *)job;

    (void)worker;
    appender->failed = durable_sync(appender->fd, appender->what, &appender->cause);
}

static int early_result(const struct appender *appender, struct cause *cause)
{
    if (appender->failed < 0)
        *cause = appender->cause;
    return appender->failed;
}

static int finish_early(struct appender *appender, struct cause *cause)
{
    if (appender->pool != NULL)
        thread_pool_wait(appender->pool, &appender->job, 0);
    return early_result(appender, cause);
}

/*
 * Note that `len` more bytes are in the file. Begin an early sync, if none runs and it is worth it.
 */
static int note_written(struct appender *appender, uint64_t len, struct cause *cause)
{
    appender->written += len;
    if (appender->pool == NULL || appender->written - appender->begun < EARLY_SIZE ||
        !thread_pool_is_done(appender->pool, &appender->job))
        return 0;
    if (early_result(appender, cause) < 0)
        return -1;
    appender->begun = appender->written;
    appender->job.run = sync_early;
    thread_pool_submit(appender->pool, &appender->job, false);
    return 0;
}

/* ---- appending ---------------------------------------------------------------------------- */

static int write_out(struct appender *appender, const char *bytes, size_t len, struct cause *cause)
{
    if (len == 0)
        return 0;
    if (durable_write(appender->fd, bytes, len, appender->written, appender->what, cause) < 0)
        return -1;
    return note_written(appender, len, cause);
}

static int write_buffered(struct appender *appender, struct cause *cause)
{
    if (buffer_failed(&appender->buffer))
        return cause_memory(cause);
    if (write_out(appender, appender->buffer.data, appender->buffer.len, cause) < 0)
        return -1;
    buffer_clear(&appender->buffer);
    return 0;
}

/* Copy the rows of a spill that is in a file. */
static int copy_from_file(struct appender *appender, int fd, uint64_t size, struct cause *cause)
{
    uint64_t from, len;

    for (from = 0; from < size; from += len) {
        len = size - from < EARLY_SIZE ? size - from : EARLY_SIZE;
        if (durable_copy_range((struct durable_range){fd, from, len}, appender->fd,
                               appender->written, appender->what, cause) < 0 ||
            note_written(appender, len, cause) < 0)
            return -1;
    }
    return 0;
}

int appender_add(struct appender *appender, const struct spill *rows, struct thread_pool *pool,
                 struct cause *cause)
{
    appender->pool = pool;
    if (rows->fd < 0 && rows->length < FEW_SIZE) {
        buffer_append(&appender->buffer, rows->memory.data, rows->length);
        if (buffer_failed(&appender->buffer))
            return cause_memory(cause);
        return appender->buffer.len < WRITE_SIZE ? 0 : write_buffered(appender, cause);
    }
    if (write_buffered(appender, cause) < 0)
        return -1;
    return rows->fd < 0 ? write_out(appender, rows->memory.data, rows->length, cause)
                        : copy_from_file(appender, rows->fd, rows->length, cause);
}

int appender_commit(struct appender *appender, struct cause *cause)
{
    if (write_buffered(appender, cause) < 0 || finish_early(appender, cause) < 0)
        return -1;
    if (appender->buffer.cap > KEEP_SIZE)
        buffer_free(&appender->buffer);
    if (appender->written == appender->end)
        return 0;
    if (durable_sync(appender->fd, appender->what, cause) < 0)
        return -1;
    appender_reset(appender, appender->fd, appender->what, appender->written);
    return 0;
}

int appender_rollback(struct appender *appender, uint64_t end, struct cause *cause)
{
    buffer_clear(&appender->buffer);
    if (finish_early(appender, cause) < 0)
        return -1;
    if (appender->fd >= 0 && durable_truncate(appender->fd, end, appender->what, cause) < 0)
        return -1;
    appender_reset(appender, appender->fd, appender->what, end);
    return 0;
}
