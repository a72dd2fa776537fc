#include "base/buffer.h"

#include <stdint.h>

#include "lib/unit.h"

static void test_buffer(void)
{
    struct buffer buffer = {0};
    size_t i;

    check_text(buffer_text(&buffer), "", "a zeroed buffer");
    buffer_append(&buffer, NULL, 0);
    check(buffer.len == 0, "appending no bytes changes nothing");
    for (i = 0; i < 100000; i++)
        buffer_byte(&buffer, (char)('a' + i % 26));
    check(buffer.len == 100000 && buffer.data[99999] == 'a' + 99999 % 26 && !buffer_failed(&buffer),
          "the buffer grows byte by byte");
    buffer_clear(&buffer);
    check(buffer.len == 0 && buffer.cap >= 100000, "buffer_clear keeps the memory");
    buffer_printf(&buffer, "%s-%d", "x", 7);
    buffer_string(&buffer, ",");
    buffer_printf(&buffer, "%*d", 1000, 1);
    check(buffer.len == 1004 && strncmp(buffer_text(&buffer), "x-7, ", 5) == 0,
          "buffer_printf appends, also more than the capacity");
    check(strlen(buffer_text(&buffer)) == 1004, "buffer_text ends with a NUL");
    buffer_append(&buffer, "a\0b", 3);
    check(buffer.len == 1007 && buffer.data[1005] == '\0', "a NUL is appended like any byte");
    check(buffer_reserve(&buffer, SIZE_MAX - 10) < 0 && buffer_failed(&buffer) &&
              buffer.len == 1007,
          "too large a request marks the buffer as failed and keeps its content");
    buffer_string(&buffer, "more");
    buffer_printf(&buffer, "%d", 1);
    check(buffer_reserve(&buffer, 100000) < 0 && buffer.len <= 1007 + 4,
          "a failed buffer does not grow");
    check_text(buffer_failed(&buffer) ? "" : "x", "", "the buffer is failed");
    buffer_clear(&buffer);
    check(!buffer_failed(&buffer), "buffer_clear ends the failed state");
    buffer_free(&buffer);
    buffer_free(&buffer);
    check(buffer.data == NULL && buffer.cap == 0, "buffer_free leaves a zeroed struct");
}

int main(void)
{
    test_buffer();
    return unit_done();
}
