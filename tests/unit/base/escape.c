#include "base/escape.h"

#include "lib/unit.h"

/* ---- UTF-8 ---- */

/* Encode a code point in `len` bytes, also if that is not valid. */
static size_t encode(uint32_t point, size_t len, char *out)
{
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t i;

    if (len == 1) {
        out[0] = (char)point;
        return 1;
    }
    for (i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (char)(first[len] | point);
    return len;
}

static void test_utf8(void)
{
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {
        {"a\x80", 1},
        {"\xC0\x80", 0},
        {"\xC1\xBF", 0},
        {"ab\xC3", 2},
        {"\xC3(", 0},
        {"\xE2\x82", 0},
        {"\xE2(\xA1", 0},
        {"\xE0\x9F\xBF", 0},
        {"\xED\xA0\x80", 0},
        {"\xED\xBF\xBF", 0},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\xFF", 0},
        {"\xFE", 0},
        {"\xF0\x9F\x98", 0},
        {"12345678\xE4", 8},
        {"1234567\xE4xx", 7},
    };
    char text[64];
    size_t i, len, wrong = 0;
    uint32_t point;

    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(escape_invalid_utf8(bad[i].text, strlen(bad[i].text)) == bad[i].at,
              "invalid UTF-8, case %zu", i);
    for (point = 0; point < 0x110000; point++) {
        size_t need = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        bool surrogate = point >= 0xD800 && point < 0xE000;

        len = encode(point, need, text);
        wrong += escape_invalid_utf8(text, len) != (surrogate ? 0 : len) ||
                 (!surrogate && escape_code_points(text, len) != 1);
        if (need < 4 && point % 7 == 0) {
            len = encode(point, need + 1, text);
            wrong += escape_invalid_utf8(text, len) != 0;
        }
    }
    check(wrong == 0, "all code points; no surrogate and no overlong form: %zu wrong", wrong);
    for (i = 0; i < 24; i++) {
        memset(text, 'x', sizeof text);
        text[i] = '\xE4';
        wrong += escape_invalid_utf8(text, 40) != i || escape_invalid_utf8(text, i) != i;
        memcpy(text + i, "\xE2\x82\xAC", 3);
        wrong += escape_invalid_utf8(text, 40) != 40 || escape_invalid_utf8(text, i + 2) != i ||
                 escape_code_points(text, 40) != 38;
    }
    check(wrong == 0, "an invalid byte is found at any place: %zu wrong", wrong);
    check(escape_invalid_utf8("", 0) == 0 && escape_invalid_utf8("\0", 1) == 1,
          "NUL is valid UTF-8");
}

/* ---- escapes ---- */

static const char *escaped(void (*escape)(struct buffer *, const char *, size_t), const char *text,
                           size_t len)
{
    static struct buffer out;

    buffer_clear(&out);
    if (text == NULL) {
        buffer_free(&out);
        return NULL;
    }
    escape(&out, text, len);
    return buffer_text(&out);
}

#define ESCAPED(escape, text) escaped(escape, text, sizeof text - 1)

static void test_printable(void)
{
    check_text(ESCAPED(escape_printable, "plain \xC3\xA4\xF0\x9F\x98\x80"),
               "plain \xC3\xA4\xF0\x9F\x98\x80", "printable characters are not escaped");
    check_text(ESCAPED(escape_printable, "\x1B[2J\a\r\n\t\0\x7F"),
               "\\x1B[2J\\x07\\x0D\\x0A\\x09\\x00\\x7F", "control characters");
    check_text(ESCAPED(escape_printable, "\xFF\xC3(\xC2\x9B"
                                         "31m\xC2\xA0"),
               "\\xFF\\xC3(\\xC2\\x9B31m\xC2\xA0", "invalid UTF-8, and C1 controls");
    check_text(ESCAPED(escape_printable, "a\\x41"), "a\\\\x41", "no escape can be forged");
    check_text(ESCAPED(escape_printable, "\xE2\x80\xAE"
                                         "vsc\xE2\x81\xA6\xE2\x80\x8F\xD8\x9C\xE2\x80\xA8."),
               "\\xE2\\x80\\xAEvsc\\xE2\\x81\\xA6\\xE2\\x80\\x8F\\xD8\\x9C\\xE2\\x80\\xA8.",
               "direction marks and line separators");
    check_text(ESCAPED(escape_printable, "\xE2\x80\x93\xE2\x82\xAC\xD8\xA7\xE2\x81\xB0"),
               "\xE2\x80\x93\xE2\x82\xAC\xD8\xA7\xE2\x81\xB0",
               "characters beside them are not escaped");
}

static void test_percent(void)
{
    static const char *const malformed[] = {"%",   "%4", "%4g", "%g4",  "% 41", "a b",
                                            "a,b", "\"", "%e4", "%%41", "\xC3", "a\n"};
    struct buffer all = {0}, back = {0};
    size_t i;

    check_text(ESCAPED(escape_percent, "aZ09._~-/"), "aZ09._~-/", "plain characters");
    check_text(ESCAPED(escape_percent, " %,\"\n\0\xFF"
                                       "A"),
               "%20%25%2C%22%0A%00%FFA", "all other bytes");
    for (i = 0; i < 256; i++)
        buffer_byte(&all, (char)i);
    check(escape_unpercent(&back, "", 0) == 0 && back.len == 0, "an empty text");
    {
        struct buffer out = {0};

        escape_percent(&out, all.data, all.len);
        check(escape_unpercent(&back, out.data, out.len) == 0 && back.len == 256 &&
                  memcmp(back.data, all.data, 256) == 0,
              "all bytes are restored");
        buffer_free(&out);
    }
    {
        char out[] = "....";

        check(escape_unpercent_into(out, 3, "%41b%43", 7) == 3 && strcmp(out, "AbC.") == 0,
              "the bytes are written without a NUL");
        check(escape_unpercent_into(out, 3, "abcd", 4) < 0 && strcmp(out, "abc.") == 0,
              "more bytes than fit are refused");
        check(escape_unpercent_into(out, 0, "", 0) == 0, "no bytes fit into no room");
    }
    for (i = 0; i < sizeof malformed / sizeof *malformed; i++)
        check(escape_unpercent(&back, malformed[i], strlen(malformed[i])) < 0,
              "malformed, case %zu", i);
    buffer_free(&all);
    buffer_free(&back);
}

static void test_csv_cell(void)
{
    check_text(ESCAPED(escape_csv_cell, ""), "", "an empty cell");
    check_text(ESCAPED(escape_csv_cell, " a;b'\t "), " a;b'\t ", "plain");
    check_text(ESCAPED(escape_csv_cell, "a,b"), "\"a,b\"", "a comma");
    check_text(ESCAPED(escape_csv_cell, "\""), "\"\"\"\"", "a quote");
    check_text(ESCAPED(escape_csv_cell, "a\nb"), "\"a\nb\"", "an LF");
    check_text(ESCAPED(escape_csv_cell, "a\r"), "\"a\r\"", "a CR");
}

static void test_repair(void)
{
    check_text(ESCAPED(escape_repair_utf8, "a\xC3\xA4"), "a\xC3\xA4", "valid");
    check_text(ESCAPED(escape_repair_utf8, "\xFF"
                                           "a\xC3"),
               "\xEF\xBF\xBD"
               "a\xEF\xBF\xBD",
               "each invalid byte is replaced");
    check_text(ESCAPED(escape_repair_utf8, ""), "", "empty");
    check_text(ESCAPED(escape_repair_utf8, "\xE2\x82"
                                           "x"),
               "\xEF\xBF\xBD\xEF\xBF\xBD"
               "x",
               "each byte of a cut sequence is replaced");
}

/* ---- numbers ---- */

static void test_number(void)
{
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "a",
                                      "1a",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "\xD9\xA1"};
    uint64_t number = 42;
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!escape_number(bad[i], strlen(bad[i]), UINT64_MAX, &number) && number == 42,
              "'%s' is no whole number", bad[i]);
    check(escape_number("18446744073709551615", 20, UINT64_MAX, &number) && number == UINT64_MAX,
          "the largest number");
    check(escape_number("007", 3, 7, &number) && number == 7, "the largest allowed number");
    check(!escape_number("8", 1, 7, &number) && number == 7, "one more than allowed");
    check(escape_number("123", 2, 99, &number) && number == 12, "only len bytes are read");
}

int main(void)
{
    test_utf8();
    test_printable();
    test_percent();
    test_csv_cell();
    test_repair();
    test_number();
    escaped(NULL, NULL, 0);
    return unit_done();
}
