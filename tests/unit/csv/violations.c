#include "csv/violations.h"

#include "lib/place.h"
#include "lib/unit.h"

static struct violations violations;
static struct buffer out;

static void add(enum violation_code code, uint64_t line, size_t column, const char *field,
                const char *value, const char *text)
{
    struct buffer *message =
        violations_add(&violations, code,
                       (struct violation_at){.line = line,
                                             .column = column,
                                             .field = field,
                                             .value = value,
                                             .value_len = value == NULL ? 0 : strlen(value)});

    if (message == NULL)
        return;
    buffer_string(message, text);
    violations_added(&violations);
}

/* Add a violation with a value that is no C string. Return the length of what is kept of it. */
static size_t add_long(const char *value, size_t len)
{
    violations_add(&violations, VIOLATION_TYPE_ERROR,
                   (struct violation_at){
                       .line = 1, .column = 1, .field = "t", .value = value, .value_len = len});
    violations_added(&violations);
    return violations.list[violations.count - 1].value_len;
}

static const char *made(void (*make)(const struct violations *, struct buffer *))
{
    buffer_clear(&out);
    make(&violations, &out);
    return buffer_text(&out);
}

static const char *printed(const char *file)
{
    buffer_clear(&out);
    violations_print(&violations, file, &out);
    return buffer_text(&out);
}

static void test_names(void)
{
    /* The codes as they are documented, in that order. */
    static const char *const words[VIOLATION_CODE_COUNT] = {
        "blank-label",      "duplicate-label", "missing-label",     "extra-label",
        "blank-row",        "missing-cell",    "extra-cell",        "type-error",
        "constraint-error", "encoding-error",  "stray-quote",       "unterminated-quote",
        "truncated-file",   "row-too-long",    "too-many-columns",  "file-too-large",
        "format-error",     "changed-file",    "checksum-mismatch", "file-type",
        "file-unreadable"};
    int code;

    for (code = 0; code < VIOLATION_CODE_COUNT; code++) {
        check_text(violation_code_name((enum violation_code)code), words[code], "a code's name");
        check(violation_code_from_name(words[code], strlen(words[code])) == code, "%s",
              words[code]);
    }
    check(violation_code_from_name("", 0) < 0 && violation_code_from_name("type-errors", 11) < 0 &&
              violation_code_from_name("type-error", 9) < 0 &&
              violation_code_from_name("Type-error", 10) < 0,
          "other words are none");
}

/* Check that a spreadsheet computes no value. */
static void test_formulas(void)
{
    static const char *const values[][2] = {
        {"=1+1", "'=1+1"},
        {"=cmd|' /C calc'!A1", "'=cmd|' /C calc'!A1"},
        {"+x", "'+x"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"-2-A1", "'-2-A1"},
        {"-2", "-2"},
        {"+1.5e-7", "+1.5e-7"},
        {"-", "-"},
        {"", ""},
        {"'=1", "'=1"},
        {"a=1", "a=1"},
    };
    struct buffer want = {0};
    size_t i;

    for (i = 0; i < sizeof values / sizeof *values; i++) {
        violations_clear(&violations);
        add(VIOLATION_TYPE_ERROR, 1, 1, "f", values[i][0], "-1 is no message to compute");
        buffer_clear(&want);
        buffer_printf(&want,
                      "line,column,field,code,value,message\n"
                      "1,1,f,type-error,%s,-1 is no message to compute\n",
                      values[i][1]);
        check_text(made(violations_write_csv), buffer_text(&want), values[i][0]);
    }
    violations_clear(&violations);
    buffer_free(&want);
}

static void test_empty(void)
{
    check_text(made(violations_write_csv), "line,column,field,code,value,message\n",
               "no violations");
    check_text(printed("f"), "", "say nothing");
    add(VIOLATION_FORMAT_ERROR, 0, 0, NULL, NULL, "");
    check_text(printed("f"), "f: format-error: \n", "one without anything to say");
    check_text(made(violations_write_csv),
               "line,column,field,code,value,message\n,,,format-error,,\n", "likewise");
    violations_clear(&violations);
}

static void test_output(void)
{
    add(VIOLATION_CONSTRAINT_ERROR, 7, 2, "cpu_percent", "105.2", "105.2 is above maximum 100");
    add(VIOLATION_MISSING_LABEL, 1, 0, "t", NULL, "the required column is missing");
    add(VIOLATION_FORMAT_ERROR, 0, 0, NULL, NULL, "the file is no CSV but gzip");
    add(VIOLATION_TYPE_ERROR, 8, 1, "a,b", "x\n\"y\"\x1B", "'x\n\"y\"\x1B' is no number");
    check_text(printed("dir/a\nb.csv"),
               "dir/a\\x0Ab.csv:7: constraint-error: cpu_percent: 105.2 is above maximum 100\n"
               "dir/a\\x0Ab.csv:1: missing-label: t: the required column is missing\n"
               "dir/a\\x0Ab.csv: format-error: the file is no CSV but gzip\n"
               "dir/a\\x0Ab.csv:8: type-error: a,b: 'x\\x0A\"y\"\\x1B' is no number\n",
               "a line each for a person");
    check_text(
        made(violations_write_csv),
        "line,column,field,code,value,message\n"
        "7,2,cpu_percent,constraint-error,105.2,105.2 is above maximum 100\n"
        "1,,t,missing-label,,the required column is missing\n"
        ",,,format-error,,the file is no CSV but gzip\n"
        "8,1,\"a,b\",type-error,\"x\\x0A\"\"y\"\"\\x1B\",\"'x\\x0A\"\"y\"\"\\x1B' is no number\"\n",
        "and for a script");
    check_text(made(violations_summary),
               "line 7: constraint-error: cpu_percent: 105.2 is above maximum 100 (and 3 more)",
               "one line for a log");
    violations_clear(&violations);
    check(violations.total == 0 && violations.count == 0 &&
              violations.counts[VIOLATION_TYPE_ERROR] == 0,
          "cleared there are none");
    add(VIOLATION_FORMAT_ERROR, 0, 0, NULL, NULL, "gzip");
    check_text(made(violations_summary), "format-error: gzip", "a summary of one");
    violations_clear(&violations);
}

static void test_cap(void)
{
    int i;

    violations_free(&violations);
    violations_init(&violations, 2);
    add(VIOLATION_TYPE_ERROR, 2, 1, "t", "x", "no");
    for (i = 0; i < 5; i++)
        add(VIOLATION_BLANK_ROW, (uint64_t)(3 + i), 0, NULL, NULL, "blank");
    for (i = 0; i < 3; i++)
        add(VIOLATION_TYPE_ERROR, 9, 1, "t", "x", "no");
    check(violations.total == 9 && violations.count == 2 &&
              violations.counts[VIOLATION_BLANK_ROW] == 5 &&
              violations.counts[VIOLATION_TYPE_ERROR] == 4,
          "the cap is on the list, never on the count");
    check_text(made(violations_write_csv),
               "line,column,field,code,value,message\n2,1,t,type-error,x,no\n3,,,blank-row,,blank\n"
               ",,,blank-row,,4 more are not listed\n,,,type-error,,3 more are not listed\n",
               "what is not listed is said, and the counts add up");
    check_text(made(violations_summary), "line 2: type-error: t: no (and 8 more)", "in short");
    violations_free(&violations);
    violations_init(&violations, 0);
    add(VIOLATION_TYPE_ERROR, 2, 1, "t", "x", "no");
    check(violations.total == 1 && violations.count == 0, "none is listed");
    check_text(made(violations_summary), "1 violations", "in short");
    violations_free(&violations);
    violations_free(&violations);
    violations_init(&violations, 10);
}

static void test_long_values(void)
{
    char value[1000];
    size_t i, len;

    memset(value, 'x', sizeof value);
    for (i = 250; i <= 256; i++) {
        memset(value, 'x', sizeof value);
        memcpy(value + i, "\xF0\x9F\x98\x80", 4);
        len = add_long(value, sizeof value);
        check(len <= 256 && len >= 253 && (len <= i || len >= i + 4),
              "a value is cut to 256 bytes, not inside a character: %zu", len);
    }
    memset(value, '\x80', sizeof value);
    len = add_long(value, sizeof value);
    check(len <= 256 && len >= 250, "whatever it holds: %zu", len);
    check(add_long(value, 256) == 256, "a value of 256 bytes is kept whole");
}

int main(void)
{
    violations_init(&violations, 10);
    test_names();
    test_formulas();
    test_empty();
    test_output();
    test_cap();
    test_long_values();
    violations_free(&violations);
    buffer_free(&out);
    return unit_done();
}
