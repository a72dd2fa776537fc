#include "store/spill.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "fs/durable.h"

#define IN_MEMORY (4 * 1024 * 1024) /* more rows go to a file */
#define KEEP_SIZE (512 * 1024)      /* larger memory is freed by spill_clear */

#define SPILL_FILE "state/ (a large file's rows)" /* for messages: the file has no name */

void spill_init(struct spill *spill, int dir_fd)
{
    *spill = (struct spill){.dir_fd = dir_fd, .fd = -1};
}

static void wait_for_job(struct spill *spill)
{
    if (spill->pool != NULL)
        thread_pool_wait(spill->pool, &spill->job, 0);
}

void spill_clear(struct spill *spill)
{
    wait_for_job(spill);
    if (spill->fd >= 0)
        close(spill->fd);
    spill->fd = -1;
    spill->length = 0;
    spill->failed = 0;
    if (spill->memory.cap > KEEP_SIZE)
        buffer_free(&spill->memory);
    buffer_clear(&spill->memory);
    if (spill->hash != NULL)
        digest_stream_reset(spill->hash);
}

void spill_free(struct spill *spill)
{
    spill_clear(spill);
    buffer_free(&spill->memory);
    buffer_free(&spill->pending);
    if (spill->hash != NULL)
        digest_stream_free(spill->hash);
    spill->hash = NULL;
}

static void write_pending(struct job *job, unsigned worker)
{
    struct spill *spill = (struct spill *)(void *)job;
    struct buffer *pending = &spill->pending;

    (void)worker;
    digest_stream_update(spill->hash, pending->data, pending->len);
    spill->failed = durable_write(spill->fd, pending->data, pending->len,
                                  spill->length - pending->len, SPILL_FILE, &spill->cause);
}

int spill_finish(struct spill *spill, struct cause *cause)
{
    wait_for_job(spill);
    if (spill->failed < 0)
        *cause = spill->cause;
    return spill->failed;
}

/* Move the rows, which are hashed already, from memory to a new file. */
static int begin_spill_file(struct spill *spill, struct cause *cause)
{
    spill->fd = durable_tmpfile(spill->dir_fd, cause);
    if (spill->fd < 0 ||
        durable_write(spill->fd, spill->memory.data, spill->memory.len, 0, SPILL_FILE, cause) < 0)
        return -1;
    buffer_free(&spill->memory);
    return 0;
}

int spill_add(struct spill *spill, struct buffer *bytes, struct cause *cause)
{
    struct buffer swapped;

    if (spill->hash == NULL && (spill->hash = digest_stream_new()) == NULL)
        return cause_memory(cause);
    if (spill->fd < 0 && (spill->length == 0 || spill->length + bytes->len <= IN_MEMORY)) {
        digest_stream_update(spill->hash, bytes->data, bytes->len);
        spill->length += bytes->len;
        if (spill->length == bytes->len) {
            swapped = spill->memory;
            spill->memory = *bytes;
            *bytes = swapped;
            return 0;
        }
        buffer_append(&spill->memory, bytes->data, bytes->len);
        return buffer_failed(&spill->memory) ? cause_memory(cause) : 0;
    }
    if (spill->fd < 0 && begin_spill_file(spill, cause) < 0)
        return -1;
    if (spill_finish(spill, cause) < 0)
        return -1;
    swapped = spill->pending;
    spill->pending = *bytes;
    *bytes = swapped;
    spill->length += spill->pending.len;
    spill->job.run = write_pending;
    if (spill->pool != NULL)
        thread_pool_submit(spill->pool, &spill->job, false);
    else
        write_pending(&spill->job, 0);
    return spill->pool != NULL ? 0 : spill_finish(spill, cause);
}

uint64_t spill_hash(const struct spill *spill)
{
    return spill->hash == NULL ? digest_check("", 0) : digest_stream_value(spill->hash);
}
