/*
 * buffer: a growing array of bytes.
 *
 * A zeroed struct is an empty buffer. The functions that append report no error: when memory runs
 * out they mark the buffer as failed, and it keeps its content and accepts no more. Check
 * buffer_failed() once, before the content is used.
 */
#ifndef PHASESENTINEL_BUFFER_H
#define PHASESENTINEL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
    char *data; /* owned; not NUL-terminated */
    size_t len;
    size_t cap;
    bool failed;
};

/* Free the memory and leave a zeroed struct. */
void buffer_free(struct buffer *buffer);

/* Make the buffer empty and not failed. Its memory is kept. */
void buffer_clear(struct buffer *buffer);

bool buffer_failed(const struct buffer *buffer);

/* Make room for `more` bytes after len. Return 0, or -1 with the buffer marked as failed. */
int buffer_reserve(struct buffer *buffer, size_t more);

void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Return the content as a C string, valid until the next change; "" if the buffer failed. */
const char *buffer_text(struct buffer *buffer);

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    if (buffer->cap - buffer->len < len && buffer_reserve(buffer, len) < 0)
        return;
    if (len > 0)
        memcpy(buffer->data + buffer->len, bytes, len);
    buffer->len += len;
}

/* Append a text after which BUFFER_PADDING bytes can be read. A short text is copied with a fixed
 * size, which needs no call of memcpy. */
#define BUFFER_PADDING 16
static inline void buffer_append_padded(struct buffer *buffer, const char *text, size_t len)
{
    if (buffer->cap - buffer->len < len + BUFFER_PADDING &&
        buffer_reserve(buffer, len + BUFFER_PADDING) < 0)
        return;
    if (len <= BUFFER_PADDING)
        memcpy(buffer->data + buffer->len, text, BUFFER_PADDING);
    else
        memcpy(buffer->data + buffer->len, text, len);
    buffer->len += len;
}

static inline void buffer_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

static inline void buffer_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

#endif
