#include "spill.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "durable.h"

#define IN_MEMORY (4 * 1024 * 1024)

void spill_init(struct spill *spill, int dir_fd)
{
    *spill = (struct spill){.dir_fd = dir_fd, .fd = -1};
}

void spill_clear(struct spill *spill)
{
    if (spill->fd >= 0)
        close(spill->fd);
    spill->fd = -1;
    spill->length = 0;
    buffer_clear(&spill->memory);
    if (spill->hash != NULL)
        digest_stream_reset(spill->hash);
}

void spill_free(struct spill *spill)
{
    if (spill->fd >= 0)
        close(spill->fd);
    spill->fd = -1;
    spill->length = 0;
    buffer_free(&spill->memory);
    if (spill->hash != NULL)
        digest_stream_free(spill->hash);
    spill->hash = NULL;
}

static int to_file(struct spill *spill, const char *bytes, size_t len, struct cause *cause)
{
    return durable_write(spill->fd, bytes, len, spill->length, "state/ (a large file's rows)",
                         cause);
}

int spill_add(struct spill *spill, struct buffer *bytes, struct cause *cause)
{
    struct buffer swapped = spill->memory;

    if (spill->hash == NULL && (spill->hash = digest_stream_new()) == NULL)
        return cause_memory(cause);
    digest_stream_update(spill->hash, bytes->data, bytes->len);
    if (spill->length == 0) {
        spill->memory = *bytes;
        spill->length = bytes->len;
        *bytes = swapped;
        return 0;
    }
    if (spill->fd < 0 && spill->length + bytes->len <= IN_MEMORY) {
        buffer_append(&spill->memory, bytes->data, bytes->len);
        spill->length += bytes->len;
        return buffer_failed(&spill->memory) ? cause_memory(cause) : 0;
    }
    if (spill->fd < 0) {
        spill->fd = durable_unnamed(spill->dir_fd, cause);
        spill->length = 0;
        if (spill->fd < 0 || to_file(spill, spill->memory.data, spill->memory.len, cause) < 0)
            return -1;
        spill->length = spill->memory.len;
        buffer_free(&spill->memory);
    }
    if (to_file(spill, bytes->data, bytes->len, cause) < 0)
        return -1;
    spill->length += bytes->len;
    return 0;
}

uint64_t spill_hash(const struct spill *spill)
{
    return spill->hash == NULL ? digest_check("", 0) : digest_stream_value(spill->hash);
}
