#include "base/escape.h"

#include <stdio.h>

/* Return the length of the valid UTF-8 sequence at the start of the text, or 0 (RFC 3629). */
static size_t sequence_length(const unsigned char *text, size_t len)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t need, i;

    if (text[0] < 0x80)
        return 1;
    if (text[0] < 0xC2 || text[0] > 0xF4)
        return 0;
    need = text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4;
    if (text[0] == 0xE0)
        low = 0xA0;
    else if (text[0] == 0xED)
        high = 0x9F;
    else if (text[0] == 0xF0)
        low = 0x90;
    else if (text[0] == 0xF4)
        high = 0x8F;
    if (len < need)
        return 0;
    for (i = 1; i < need; i++) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return need;
}

/* Return true if the next eight bytes are ASCII. */
static bool is_ascii(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return (word & 0x8080808080808080U) == 0;
}

size_t escape_invalid_utf8(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = 0, step;

    while (i < len) {
        if (len - i >= sizeof(uint64_t) && is_ascii(bytes + i)) {
            i += sizeof(uint64_t);
            continue;
        }
        step = sequence_length(bytes + i, len - i);
        if (step == 0)
            return i;
        i += step;
    }
    return len;
}

size_t escape_code_points(const char *text, size_t len)
{
    size_t i, count = 0;

    for (i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* Return true for a character that a terminal may execute, or that changes how the text beside it
 * looks: control characters (U+0080 to U+009F too), line separators, direction marks. `step` is its
 * length; 0: invalid UTF-8. */
static bool is_unprintable(const unsigned char *c, size_t step)
{
    switch (step) {
    case 0:
        return true;
    case 1:
        return c[0] < 0x20 || c[0] == 0x7F;
    case 2: /* U+061C: the Arabic letter mark */
        return (c[0] == 0xC2 && c[1] < 0xA0) || (c[0] == 0xD8 && c[1] == 0x9C);
    case 3: /* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
        return c[0] == 0xE2 && ((c[1] == 0x80 && (c[2] == 0x8E || c[2] == 0x8F ||
                                                  (c[2] >= 0xA8 && c[2] <= 0xAE))) ||
                                (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9));
    default:
        return false;
    }
}

void escape_printable(struct buffer *out, const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = 0, step;

    while (i < len) {
        step = sequence_length(bytes + i, len - i);
        if (is_unprintable(bytes + i, step)) {
            do
                buffer_printf(out, "\\x%02X", bytes[i++]);
            while (step-- > 1);
        } else if (bytes[i] == '\\') {
            buffer_string(out, "\\\\");
            i++;
        } else {
            buffer_append(out, text + i, step);
            i += step;
        }
    }
}

/* A bit for each byte that is not escaped in the ledger: A-Z a-z 0-9 . _ ~ - / */
static const uint64_t unescaped_bytes[4] = {UINT64_C(0x03FFE00000000000),
                                            UINT64_C(0x47FFFFFE87FFFFFE)};

static bool is_plain_in_ledger(char c)
{
    unsigned char byte = (unsigned char)c;

    return unescaped_bytes[byte >> 6] >> (byte & 63) & 1;
}

void escape_percent(struct buffer *out, const char *text, size_t len)
{
    size_t from = 0, i;

    for (i = 0; i < len; i++) {
        if (is_plain_in_ledger(text[i]))
            continue;
        buffer_append(out, text + from, i - from);
        buffer_printf(out, "%%%02X", (unsigned)(unsigned char)text[i]);
        from = i + 1;
    }
    buffer_append(out, text + from, len - from);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

ssize_t escape_unpercent_into(char *out, size_t size, const char *text, size_t len)
{
    size_t i, n;
    int high, low;

    for (i = n = 0; i < len && n < size; i++, n++) {
        out[n] = text[i];
        if (is_plain_in_ledger(text[i]))
            continue;
        if (text[i] != '%' || len - i < 3)
            return -1;
        high = hex_digit(text[i + 1]);
        low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0)
            return -1;
        out[n] = (char)(high * 16 + low);
        i += 2;
    }
    return i < len ? -1 : (ssize_t)n;
}

int escape_unpercent(struct buffer *out, const char *text, size_t len)
{
    ssize_t n;

    if (len == 0 || buffer_reserve(out, len) < 0)
        return 0;
    n = escape_unpercent_into(out->data + out->len, len, text, len);
    out->len += n > 0 ? (size_t)n : 0;
    return n < 0 ? -1 : 0;
}

void escape_csv_cell(struct buffer *out, const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r')
            break;
    if (i == len) {
        buffer_append(out, text, len);
        return;
    }
    buffer_byte(out, '"');
    for (i = 0; i < len; i++) {
        if (text[i] == '"')
            buffer_byte(out, '"');
        buffer_byte(out, text[i]);
    }
    buffer_byte(out, '"');
}

void escape_repair_utf8(struct buffer *out, const char *text, size_t len)
{
    size_t i = 0, good;

    while (i < len) {
        good = escape_invalid_utf8(text + i, len - i);
        buffer_append(out, text + i, good);
        i += good;
        if (i < len) {
            buffer_string(out, "\xEF\xBF\xBD");
            i++;
        }
    }
}

bool escape_number(const char *text, size_t len, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t i;

    if (len == 0)
        return false;
    for (i = 0; i < len; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (number > max)
        return false;
    *ret_number = number;
    return true;
}
