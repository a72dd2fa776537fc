#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
}

bool buffer_failed(const struct buffer *buffer)
{
    return buffer->failed;
}

int buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t cap = buffer->cap < 256 ? 256 : buffer->cap;
    char *data;

    if (buffer->failed || more > SIZE_MAX / 2 - buffer->len) {
        buffer->failed = true;
        return -1;
    }
    if (buffer->cap - buffer->len >= more)
        return 0;
    while (cap - buffer->len < more)
        cap += cap / 2;
    data = realloc(buffer->data, cap);
    if (data == NULL) {
        buffer->failed = true;
        return -1;
    }
    buffer->data = data;
    buffer->cap = cap;
    return 0;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || buffer_reserve(buffer, (size_t)len + 1) < 0)
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
}

const char *buffer_text(struct buffer *buffer)
{
    if (buffer_reserve(buffer, 1) < 0)
        return "";
    buffer->data[buffer->len] = '\0';
    return buffer->data;
}
