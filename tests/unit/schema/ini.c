#include "schema/ini.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/unit.h"

static char directory[] = "/tmp/phasesentinel-ini.XXXXXX";
static char path[sizeof directory + 16];

static void write_file(const char *content, size_t len)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fwrite(content, 1, len, file) != len || fclose(file) != 0)
        abort();
}

/* Load the content. Return the text of the cause with '@' for the path; "": no problem. */
static const char *load(const char *content, size_t len, struct ini *ini)
{
    static struct cause cause;
    static char text[2 * sizeof cause.text];
    char *p, *out = text;

    write_file(content, len);
    cause.text[0] = '\0';
    if (ini_load(ini, path, &cause) < 0)
        *ini = (struct ini){0};
    else
        ini_problems_report(&ini->problems, &cause);
    for (p = cause.text; *p != '\0';) {
        if (strncmp(p, path, strlen(path)) == 0) {
            *out++ = '@';
            p += strlen(path);
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
    return text;
}

static void expect(const char *content, size_t len, struct ini *ini, const char *problem,
                   const char *what)
{
    const char *text = load(content, len, ini);

    check_text(text, problem, what);
}

static void finish(struct ini *ini)
{
    struct cause cause;

    if (ini->path != NULL)
        ini_finish(ini, &cause);
}

static void test_values(void)
{
    static const char content[] = "# a comment = x\n"
                                  "; [another]\n"
                                  "\n"
                                  "[Paths]\r\n"
                                  "  Data_Dir =  /a b/c  \r\n"
                                  "quoted = \" ;#'x \" ; comment\n"
                                  "single = 'a \"b\" \\d'# comment\n"
                                  "empty =\n"
                                  "nothing = ; comment with \\ inside\n"
                                  "quotes = \"\"\n"
                                  "equal = a=b = c\n"
                                  "path = C:\\x\\ ; comment\n"
                                  "it's = no\n";
    static const char *const values[][2] = {
        {NULL, ""},           {"Data_Dir", "/a b/c"},
        {"quoted", " ;#'x "}, {"single", "a \"b\" \\d"},
        {"empty", ""},        {"nothing", ""},
        {"quotes", ""},       {"equal", "a=b = c"},
        {"path", "C:\\x\\"},
    };
    const size_t good = sizeof content - 1 - strlen("it's = no\n");
    struct ini ini;
    size_t i;

    expect(content, good, &ini, "", "a file of all that is allowed");
    check(ini.count == sizeof values / sizeof *values && ini.dictionary != NULL, "its entries");
    for (i = 0; i < ini.count; i++) {
        check_text(ini.entries[i].section, "Paths", "section");
        check_text(ini.entries[i].key == NULL ? "" : ini.entries[i].key,
                   values[i][0] == NULL ? "" : values[i][0], "key");
        check_text(ini.entries[i].value, values[i][1], "value");
        check(ini.entries[i].line == i + 4, "in line %zu", i + 4);
        check(i == 0 || ini.entries[i].value != ini.entries[i].written, "and read by iniparser");
    }
    finish(&ini);
    expect(content, sizeof content - 1, &ini,
           "@:13: 'it's' is no name of a key: letters, digits, '_', '-' and '.' make one",
           "with one more line");
    check(ini.dictionary == NULL, "a file with a problem does not reach iniparser");
    finish(&ini);
    expect("", 0, &ini, "", "an empty file");
    check(ini.count == 0, "has no entries");
    finish(&ini);
    expect("[a]\nb = c", 9, &ini, "", "a last line without newline");
    check_text(ini.entries[1].value, "c", "counts");
    finish(&ini);
}

#define CUT                                                                                        \
    "begins a comment and would cut the value; quote the value, or put a blank before a comment"
#define JOIN                                                                                       \
    "a '\\' at the end joins the line with the next one, also in a comment; leave it out or "      \
    "quote the value"
#define NAMES "letters, digits, '_', '-' and '.' make one"
static const struct {
    const char *content, *problem;
} traps[] = {
    {"[a]\nAge = 1\nage = 2\n", "@:3: age stands in line 2 already"},
    {"[a]\nb = 1\n[c]\n[A]\nd = 1\n", "@:4: section [A] stands in line 1 already"},
    {"[a]\nb = 1\n[c]\n[a]\nb = 1\n",
     "@:4: section [a] stands in line 1 already\n@:5: b stands in line 2 already"},
    {"b = 1\n[a]\n", "@:1: b stands before any [section]"},
    {"[a]\nc = x#y;z\n", "@:2: '#' " CUT},
    {"[a]\nc = ^[A-Z]{2};[0-9]#$\n", "@:2: ';' " CUT},
    {"[a]\nc =;x\n", "@:2: ';' " CUT},
    {"[a]\nc = \"x\n", "@:2: the quote \" is never closed"},
    {"[a]\nc = 'x\n", "@:2: the quote ' is never closed"},
    {"[a]\nc = \"a\\\"b\"\n",
     "@:2: text stands behind the closing quote; there is no way to write \" within \""},
    {"[a]\nc = \"x\" y\n",
     "@:2: text stands behind the closing quote; there is no way to write \" within \""},
    {"[a]\nc = \"\" \"x\"\n",
     "@:2: text stands behind the closing quote; there is no way to write \" within \""},
    {"[a] ; note\n", "@:1: nothing may stand behind ']'; a comment goes on a line of its own"},
    {"[a]\n[s] ; size=big\nx = 1\n",
     "@:2: nothing may stand behind ']'; a comment goes on a line of its own"},
    {"[a]b]\n", "@:1: nothing may stand behind ']'; a comment goes on a line of its own"},
    {"[]\nx = 1\n", "@:1: the section has no name"},
    {"[ ]\nx = 1\n", "@:1: the section has no name"},
    {"[a\nx = 1\n", "@:1: the section has no closing ']'"},
    {"[a]\nb=1\n[a:b]\n", "@:3: 'a:b' is no name of a section: " NAMES},
    {"[a]\nb:c = 1\n", "@:2: 'b:c' is no name of a key: " NAMES},
    {"[a]\ndir = C:\\data\\\nc = 1\n", "@:2: " JOIN},
    {"[a]\n# note \\\nc = 1\n", "@:2: " JOIN},
    {"[a]\nc = 1\\", "@:2: " JOIN},
    {"[a]\nc = 1\\ \t\r\n", "@:2: " JOIN},
    {"[a]\nc\n", "@:2: this is no [section], no key = value and no comment"},
    {"[a]\nc: 1\n", "@:2: this is no [section], no key = value and no comment; write '=', not ':'"},
    {"[a]\nx", "@:2: this is no [section], no key = value and no comment"},
    {"[a]\n= 1\n", "@:2: the key has no name"},
    {"\xEF\xBB\xBF[a]\nb = 1\n",
     "@:1: the file begins with a byte order mark; save it as UTF-8 without BOM"},
    {"\xEF\xBB\xBF# x = y\n",
     "@:1: the file begins with a byte order mark; save it as UTF-8 without BOM"},
    {"[a]\nb = \xE4\n", "@:2: this is not UTF-8; save the file as UTF-8"},
    {"[a]\nb = x\ry\n", "@:2: a control character (0x0D) in the line"},
    {"[a]\n\vb = x\n", "@:2: a control character (0x0B) in the line"},
    {"[a]\nb = x\f\n", "@:2: a control character (0x0C) in the line"},
    {"x\n[a\n[b]\nc = \"\nd\n",
     "@:1: this is no [section], no key = value and no comment\n@:2: the section has no closing "
     "']'\n"
     "@:4: the quote \" is never closed\n@:5: this is no [section], no key = value and no comment"},
};

static void test_traps(void)
{
    struct ini ini;
    size_t i;

    for (i = 0; i < sizeof traps / sizeof *traps; i++) {
        expect(traps[i].content, strlen(traps[i].content), &ini, traps[i].problem,
               traps[i].content);
        check(ini.dictionary == NULL, "and iniparser was not asked");
        finish(&ini);
    }
}

static void test_limits(void)
{
    const size_t limit = 1 << 20;
    char *content = malloc(limit + 1), line[2048] = "[a]\nb = ";
    struct ini ini;
    size_t i;

    if (content == NULL)
        return;
    memset(line + 8, 'x', 1500);
    line[4 + 1022] = '\n';
    expect(line, 4 + 1023, &ini, "", "a line of 1022 bytes");
    check(strlen(ini.entries[1].value) == 1018, "is read whole");
    finish(&ini);
    expect(line, 4 + 1022, &ini, "", "also without newline");
    finish(&ini);
    line[4 + 1022] = 'x';
    line[4 + 1023] = '\n';
    expect(line, 4 + 1024, &ini, "@:2: the line has 1023 bytes; 1022 are read at most",
           "one more byte");
    finish(&ini);
    memset(line + 4, 'k', 65);
    memcpy(line + 69, "=1\n", 3);
    expect(line, 72, &ini, "@:2: the name of the key is longer than 64 characters", "a long name");
    finish(&ini);
    expect("[a]\nb = 1\0\n", 11, &ini,
           "@:2: a NUL byte; the file must be plain text in UTF-8, not UTF-16", "a NUL byte");
    finish(&ini);
    memset(content, '\n', limit + 1);
    expect(content, limit, &ini, "", "a file of 1 MiB");
    finish(&ini);
    expect(content, limit + 1, &ini, "@ is larger than 1 MiB", "one more byte");
    for (i = 0; i + 2 < limit; i += 2)
        memcpy(content + i, "x\n", 2);
    check(strstr(load(content, limit, &ini), "\nand 5242") != NULL,
          "very many problems are counted");
    finish(&ini);
    for (i = 4; i + 12 < limit; i += 12)
        snprintf(content + i, 13, "k%06zu = 1\n", i / 12);
    memcpy(content, "[a]\n", 4);
    expect(content, i, &ini, "@:20001: more than 20000 sections and keys", "very many keys");
    finish(&ini);
    free(content);
}

static void test_kinds(void)
{
    struct cause cause;
    struct ini ini;
    char want[256];

    check(ini_load(&ini, directory, &cause) < 0 && cause.kind == CAUSE_CONFIG,
          "a directory is refused");
    snprintf(want, sizeof want, "%s is a directory, not a file", directory);
    check_text(cause.text, want, "directory");
    unlink(path);
    check(ini_load(&ini, path, &cause) < 0 && cause.kind == CAUSE_CONFIG,
          "a missing file is refused");
    snprintf(want, sizeof want, "cannot open %s: No such file or directory", path);
    check_text(cause.text, want, "missing");
    if (mkfifo(path, 0600) == 0) {
        check(ini_load(&ini, path, &cause) < 0, "a FIFO is refused, and not waited for");
        snprintf(want, sizeof want, "%s is a device or pipe, not a file", path);
        check_text(cause.text, want, "FIFO");
    }
    unlink(path);
}

static void test_readers(void)
{
    static const char *const words[] = {"arrival", "timer", NULL};
    static const char content[] = "[a]\nw = timer\nx = Timer\ny = 10\nz = 010x\nv = 11\nu = -1\n";
    struct cause cause;
    uint64_t number = 0;
    struct ini ini;

    load(content, sizeof content - 1, &ini);
    check(ini_word(&ini, &ini.entries[1], words) == 1, "a word is found");
    check(ini_word(&ini, &ini.entries[2], words) == -1, "in its case only");
    check(ini_number(&ini, &ini.entries[3], 1, 10, " s", &number) == 0 && number == 10,
          "a number is read");
    check(ini_number(&ini, &ini.entries[4], 1, 10, " s", &number) == -1,
          "the whole value must be one");
    check(ini_number(&ini, &ini.entries[5], 1, 10, " s", &number) == -1 && number == 10,
          "and in the range");
    check(ini_number(&ini, &ini.entries[6], 1, 10, "", &number) == -1, "and not negative");
    check(ini_problems_report(&ini.problems, &cause) < 0, "what is wrong is told");
    check(strstr(cause.text,
                 ":3: x: 'Timer' is not one of arrival, timer; did you mean timer?\n") != NULL &&
              strstr(cause.text, ":5: z: '010x' is no whole number from 1 to 10 s\n") != NULL &&
              strstr(cause.text, ":7: u: '-1' is no whole number from 1 to 10") != NULL,
          "in these words: %s", cause.text);
    finish(&ini);
}

int main(void)
{
    if (mkdtemp(directory) == NULL || freopen("/dev/null", "w", stderr) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/test.ini", directory);
    test_values();
    test_traps();
    test_limits();
    test_kinds();
    test_readers();
    unlink(path);
    rmdir(directory);
    return unit_done();
}
