#include "ops/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

json_t *json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *json_bytes(const char *text, size_t len)
{
    struct buffer valid = {0};
    json_t *json;

    escape_repair_utf8(&valid, text, len);
    json = buffer_failed(&valid) ? NULL
                                 : json_stringn(valid.data == NULL ? "" : valid.data, valid.len);
    buffer_free(&valid);
    return json;
}

json_t *json_text(const char *text)
{
    return json_bytes(text, strlen(text));
}

json_t *json_time(int64_t time)
{
    char when[CLOCK_TEXT_SIZE];

    return time == 0 ? json_null() : json_string(clock_print(when, time));
}

int json_print(json_t *json, struct buffer *out, struct cause *cause)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    const char *c;

    json_decref(json);
    if (text == NULL)
        return cause_memory(cause);
    /* jansson leaves DEL as it is, the one control character in ASCII above 0x1F. */
    for (c = text; *c != '\0'; c++)
        if (*c == 0x7F)
            buffer_string(out, "\\u007F");
        else
            buffer_byte(out, *c);
    buffer_byte(out, '\n');
    free(text);
    return buffer_failed(out) ? cause_memory(cause) : 0;
}
