#include "base/buffer.h"

#include <stdint.h>

#include "lib/unit.h"

static void test_buffer(void)
{
    struct buffer buffer = {0};
    size_t i;

    check_text(buffer_text(&buffer), "", "a zeroed buffer");
    buffer_append(&buffer, NULL, 0);
    check(buffer.len == 0, "nothing is appended");
    for (i = 0; i < 100000; i++)
        buffer_byte(&buffer, (char)('a' + i % 26));
    check(buffer.len == 100000 && buffer.data[99999] == 'a' + 99999 % 26 && !buffer_failed(&buffer),
          "byte by byte it grows");
    buffer_clear(&buffer);
    check(buffer.len == 0 && buffer.cap >= 100000, "cleared it keeps its memory");
    buffer_printf(&buffer, "%s-%d", "x", 7);
    buffer_string(&buffer, ",");
    buffer_printf(&buffer, "%*d", 1000, 1);
    check(buffer.len == 1004 && strncmp(buffer_text(&buffer), "x-7, ", 5) == 0, "printed");
    check(strlen(buffer_text(&buffer)) == 1004, "its text ends where it ends");
    buffer_append(&buffer, "a\0b", 3);
    check(buffer.len == 1007 && buffer.data[1005] == '\0', "NULs are bytes");
    check(buffer_reserve(&buffer, SIZE_MAX - 10) < 0 && buffer_failed(&buffer) &&
              buffer.len == 1007,
          "what is too large fails it, and what it has stays");
    buffer_string(&buffer, "more");
    buffer_printf(&buffer, "%d", 1);
    check(buffer_reserve(&buffer, 100000) < 0 && buffer.len <= 1007 + 4, "it takes no more room");
    check_text(buffer_failed(&buffer) ? "" : "x", "", "failed");
    buffer_clear(&buffer);
    check(!buffer_failed(&buffer), "cleared it is good again");
    buffer_free(&buffer);
    buffer_free(&buffer);
    check(buffer.data == NULL && buffer.cap == 0, "freed it is zeroed");
}

int main(void)
{
    test_buffer();
    return unit_done();
}
