#include "schema/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iniparser/iniparser.h>

#include "base/buffer.h"
#include "base/escape.h"
#include "base/vector.h"
#include "schema/suggestion.h"

#define FILE_LIMIT  ((size_t)1 << 20)
#define LINE_LIMIT  1022 /* bytes without the newline; iniparser reads no more */
#define NAME_LIMIT  64
#define ENTRY_LIMIT 20000 /* iniparser searches its dictionary entry by entry */

/* The state of the line check. */
struct line_scan {
    char *section; /* NULL: none so far */
    bool skip;     /* the last section line was wrong: ignore its keys */
    unsigned line;
};

/* iniparser's error callback takes no context. */
static struct {
    bool called;
    char text[512];
} iniparser_error;

__attribute__((format(printf, 1, 2))) static int note_iniparser_error(const char *format, ...)
{
    va_list args;
    int len;

    if (iniparser_error.called)
        return 0;
    iniparser_error.called = true;
    va_start(args, format);
    len = vsnprintf(iniparser_error.text, sizeof iniparser_error.text, format, args);
    va_end(args);
    iniparser_error.text[strcspn(iniparser_error.text, "\n")] = '\0';
    return len;
}

static void ini_free(struct ini *ini)
{
    size_t i;

    for (i = 0; i < ini->count; i++) {
        if (ini->entries[i].key == NULL)
            free(ini->entries[i].section);
        free(ini->entries[i].key);
        free(ini->entries[i].written);
    }
    ini_problems_free(&ini->problems);
    if (ini->dictionary != NULL)
        iniparser_freedict(ini->dictionary);
    free(ini->entries);
    free(ini->path);
    *ini = (struct ini){0};
}

static bool is_space_or_tab(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(char c)
{
    return c == ';' || c == '#';
}

/* Return a copy without blanks around it. NULL: out of memory, which is noted in problems. */
static char *copy_trimmed(struct ini *ini, const char *text, const char *end)
{
    char *copy;

    while (text < end && is_space_or_tab(*text))
        text++;
    while (text < end && is_space_or_tab(end[-1]))
        end--;
    copy = strndup(text, (size_t)(end - text));
    if (copy == NULL)
        ini->problems.failed = true;
    return copy;
}

/* Return a copy of the name of a section or key. NULL: it is wrong, and a problem was added, or
 * memory ran out. */
static char *copy_name(struct ini *ini, unsigned line, const char *what, const char *text,
                       const char *end)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    char *name = copy_trimmed(ini, text, end);

    if (name == NULL)
        return NULL;
    if (*name == '\0')
        ini_problems_add(&ini->problems, line, "the %s has no name", what);
    else if (name[strspn(name, allowed)] != '\0')
        ini_problems_add(&ini->problems, line,
                         "'%.64s' is no name of a %s: letters, digits, '_', '-' and '.' make one",
                         name, what);
    else if (strlen(name) > NAME_LIMIT)
        ini_problems_add(&ini->problems, line, "the name of the %s is longer than %d characters",
                         what, NAME_LIMIT);
    else
        return name;
    free(name);
    return NULL;
}

/* Add an entry, which takes over the strings; they are freed if memory runs out. */
static void add_ini_entry(struct ini *ini, char *section, char *key, char *written, unsigned line)
{
    if (written == NULL ||
        vector_grow(&ini->entries, sizeof *ini->entries, ini->count, &ini->cap) < 0) {
        ini->problems.failed = true;
        free(key == NULL ? section : key);
        free(written);
        return;
    }
    ini->entries[ini->count++] = (struct ini_entry){section, key, written, written, line};
}

static void scan_section(struct ini *ini, struct line_scan *line_scan, const char *line,
                         const char *end)
{
    const char *close = memchr(line, ']', (size_t)(end - line));
    char *name;

    line_scan->skip = true;
    if (close == NULL) {
        ini_problems_add(&ini->problems, line_scan->line, "the section has no closing ']'");
        return;
    }
    if (close + 1 != end) {
        ini_problems_add(&ini->problems, line_scan->line,
                         "nothing may stand behind ']'; a comment goes on a line of its own");
        return;
    }
    name = copy_name(ini, line_scan->line, "section", line + 1, close);
    if (name == NULL)
        return;
    add_ini_entry(ini, name, NULL, strdup(""), line_scan->line);
    if (!ini->problems.failed) {
        line_scan->section = name;
        line_scan->skip = false;
    }
}

/* Return the value between p and end, without quotes, blanks and comment. NULL: it is wrong, and a
 * problem was added. */
static char *copy_value(struct ini *ini, unsigned line, const char *p, const char *end)
{
    const char *start, *close, *rest;
    char *quoted;

    for (start = p; start < end && is_space_or_tab(*start);)
        start++;
    if (start < end && (*start == '"' || *start == '\'')) {
        close = memchr(start + 1, *start, (size_t)(end - start - 1));
        if (close == NULL) {
            ini_problems_add(&ini->problems, line, "the quote %c is never closed", *start);
            return NULL;
        }
        for (rest = close + 1; rest < end && is_space_or_tab(*rest);)
            rest++;
        if (rest < end && !is_comment(*rest)) {
            ini_problems_add(
                &ini->problems, line,
                "text stands behind the closing quote; there is no way to write %c within %c",
                *start, *start);
            return NULL;
        }
        quoted = strndup(start + 1, (size_t)(close - start - 1));
        ini->problems.failed |= quoted == NULL;
        return quoted;
    }
    for (rest = start; rest < end && !is_comment(*rest);)
        rest++;
    if (rest < end && !is_space_or_tab(rest[-1])) {
        ini_problems_add(&ini->problems, line,
                         "'%c' begins a comment and would cut the value; quote the value, or put a "
                         "blank before a comment",
                         *rest);
        return NULL;
    }
    return copy_trimmed(ini, start, rest);
}

static void scan_key(struct ini *ini, struct line_scan *line_scan, const char *line,
                     const char *end)
{
    const char *equals = memchr(line, '=', (size_t)(end - line));
    char *key, *value;

    if (equals == NULL) {
        ini_problems_add(&ini->problems, line_scan->line,
                         "this is no [section], no key = value and no comment%s",
                         memchr(line, ':', (size_t)(end - line)) != NULL ? "; write '=', not ':'"
                                                                         : "");
        return;
    }
    key = copy_name(ini, line_scan->line, "key", line, equals);
    if (key == NULL)
        return;
    value = copy_value(ini, line_scan->line, equals + 1, end);
    if (value != NULL && line_scan->section == NULL && !line_scan->skip)
        ini_problems_add(&ini->problems, line_scan->line, "%s stands before any [section]", key);
    if (value == NULL || line_scan->skip || line_scan->section == NULL) {
        free(value);
        free(key);
        return;
    }
    add_ini_entry(ini, line_scan->section, key, value, line_scan->line);
}

static void scan_line(struct ini *ini, struct line_scan *line_scan, const char *line,
                      const char *end)
{
    const char *p;

    if (end - line > LINE_LIMIT) {
        ini_problems_add(&ini->problems, line_scan->line,
                         "the line has %zu bytes; %d are read at most", (size_t)(end - line),
                         LINE_LIMIT);
        return;
    }
    while (end > line && (is_space_or_tab(end[-1]) || end[-1] == '\r'))
        end--;
    while (line < end && is_space_or_tab(*line))
        line++;
    for (p = line; p < end; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7F) {
            ini_problems_add(&ini->problems, line_scan->line,
                             "a control character (0x%02X) in the line",
                             (unsigned)(unsigned char)*p);
            return;
        }
    }
    if (line == end)
        return;
    if (end[-1] == '\\')
        ini_problems_add(
            &ini->problems, line_scan->line,
            "a '\\' at the end joins the line with the next one, also in a comment; leave "
            "it out or quote the value");
    else if (is_comment(*line))
        return;
    else if (*line == '[')
        scan_section(ini, line_scan, line, end);
    else
        scan_key(ini, line_scan, line, end);
}

static unsigned line_of(const char *content, size_t offset)
{
    unsigned line = 1;
    size_t i;

    for (i = 0; i < offset; i++)
        line += content[i] == '\n';
    return line;
}

static void scan_content(struct ini *ini, const char *content, size_t len)
{
    struct line_scan line_scan = {0};
    const char *line = content, *end = content + len, *next;
    const char *nul = len > 0 ? memchr(content, '\0', len) : NULL;
    size_t invalid;

    if (nul != NULL) {
        ini_problems_add(&ini->problems, line_of(content, (size_t)(nul - content)),
                         "a NUL byte; the file must be plain text in UTF-8, not UTF-16");
        return;
    }
    invalid = escape_invalid_utf8(content, len);
    if (invalid < len)
        ini_problems_add(&ini->problems, line_of(content, invalid),
                         "this is not UTF-8; save the file as UTF-8");
    if (len >= 3 && memcmp(content, "\xEF\xBB\xBF", 3) == 0) {
        ini_problems_add(&ini->problems, 1,
                         "the file begins with a byte order mark; save it as UTF-8 without BOM");
        line += 3;
    }
    for (; line < end && !ini->problems.failed; line = next + 1) {
        line_scan.line++;
        next = memchr(line, '\n', (size_t)(end - line));
        if (next == NULL)
            next = end;
        scan_line(ini, &line_scan, line, next);
        if (ini->count > ENTRY_LIMIT) {
            ini_problems_add(&ini->problems, line_scan.line, "more than %d sections and keys",
                             ENTRY_LIMIT);
            return;
        }
    }
}

static int compare_entries(const void *left, const void *right)
{
    const struct ini_entry *a = *(const struct ini_entry *const *)left;
    const struct ini_entry *b = *(const struct ini_entry *const *)right;
    int order = strcasecmp(a->section, b->section);

    if (order == 0)
        order = strcasecmp(a->key == NULL ? "" : a->key, b->key == NULL ? "" : b->key);
    if (order == 0)
        order = a->line < b->line ? -1 : a->line > b->line;
    return order;
}

static bool same_name(const struct ini_entry *a, const struct ini_entry *b)
{
    if (strcasecmp(a->section, b->section) != 0)
        return false;
    return a->key == NULL || b->key == NULL ? a->key == b->key : strcasecmp(a->key, b->key) == 0;
}

static void find_duplicates(struct ini *ini)
{
    const struct ini_entry **sorted = malloc((ini->count + 1) * sizeof *sorted), *first, *again;
    size_t i;

    if (sorted == NULL) {
        ini->problems.failed = true;
        return;
    }
    for (i = 0; i < ini->count; i++)
        sorted[i] = &ini->entries[i];
    qsort(sorted, ini->count, sizeof *sorted, compare_entries);
    for (i = 0, first = NULL; i < ini->count; i++) {
        again = sorted[i];
        if (first == NULL || !same_name(first, again))
            first = again;
        else if (again->key == NULL)
            ini_problems_add(&ini->problems, again->line, "section [%s] stands in line %u already",
                             again->section, first->line);
        else
            ini_problems_add(&ini->problems, again->line, "%s stands in line %u already",
                             again->key, first->line);
    }
    free(sorted);
}

/* Let iniparser read the file, and take its values if the line check read the same. */
static void read_values(struct ini *ini)
{
    char name[2 * NAME_LIMIT + 2];
    const char *value;
    size_t i;

    iniparser_error.called = false;
    iniparser_set_error_callback(note_iniparser_error);
    ini->dictionary = iniparser_load(ini->path);
    iniparser_set_error_callback(NULL);
    ini->problems.failed |= ini->dictionary == NULL && !iniparser_error.called;
    if (iniparser_error.called)
        ini_problems_add(&ini->problems, 0, "%s", iniparser_error.text);
    if (iniparser_error.called || ini->dictionary == NULL)
        return;
    if ((size_t)ini->dictionary->n != ini->count)
        ini_problems_add(&ini->problems, 0, "it changed while it was read; try again");
    for (i = 0; i < ini->count; i++) {
        struct ini_entry *entry = &ini->entries[i];

        if (entry->key == NULL)
            continue;
        snprintf(name, sizeof name, "%s:%s", entry->section, entry->key);
        value = iniparser_getstring(ini->dictionary, name, NULL);
        if (value != NULL && strcmp(value, entry->written) == 0)
            entry->value = value;
        else
            ini_problems_add(&ini->problems, entry->line,
                             "iniparser reads '%.64s' here; write it without backslashes or quotes",
                             value == NULL ? "" : value);
    }
}

/* Read a regular file. On failure `content` may hold a part. */
static int read_ini_file(const char *path, struct buffer *content, struct cause *cause)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), ret = -1;
    struct stat st;
    ssize_t got;

    if (fd < 0)
        return cause_errno(cause, CAUSE_CONFIG, "cannot open %s", path);
    if (fstat(fd, &st) < 0) {
        cause_errno(cause, CAUSE_CONFIG, "cannot look at %s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        cause_set(cause, CAUSE_CONFIG, "%s is %s, not a file", path,
                  S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
        goto out;
    }
    do {
        if (buffer_reserve(content, FILE_LIMIT / 16) < 0) {
            cause_memory(cause);
            goto out;
        }
        got = read(fd, content->data + content->len, FILE_LIMIT / 16);
        if (got < 0 && errno != EINTR) {
            cause_errno(cause, CAUSE_CONFIG, "cannot read %s", path);
            goto out;
        }
        content->len += got > 0 ? (size_t)got : 0;
    } while (got != 0 && content->len <= FILE_LIMIT);
    if (content->len > FILE_LIMIT) {
        cause_set(cause, CAUSE_CONFIG, "%s is larger than 1 MiB", path);
        goto out;
    }
    ret = 0;
out:
    close(fd);
    return ret;
}

int ini_load(struct ini *ini, const char *path, struct cause *cause)
{
    struct buffer content = {0};
    int ret = -1;

    *ini = (struct ini){.path = strdup(path)};
    ini->problems.path = ini->path;
    if (ini->path == NULL) {
        cause_memory(cause);
        goto out;
    }
    if (read_ini_file(path, &content, cause) < 0)
        goto out;
    scan_content(ini, content.data, content.len);
    find_duplicates(ini);
    if (ini->problems.count == 0 && !ini->problems.failed)
        read_values(ini);
    ret = 0;
out:
    buffer_free(&content);
    if (ret < 0)
        ini_free(ini);
    return ret;
}

int ini_finish(struct ini *ini, struct cause *cause)
{
    int ret = ini_problems_report(&ini->problems, cause);

    ini_free(ini);
    return ret;
}

int ini_word(struct ini *ini, const struct ini_entry *entry, const char *const *words)
{
    const char *nearest = suggestion_nearest(entry->value, words);
    struct buffer list = {0};
    int i;

    for (i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], entry->value) == 0)
            return i;
    for (i = 0; words[i] != NULL; i++)
        buffer_printf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
    ini_problems_add(&ini->problems, entry->line, "%s: '%.64s' is not one of %s%s%s%s", entry->key,
                     entry->value, buffer_text(&list), nearest != NULL ? "; did you mean " : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    ini->problems.failed |= buffer_failed(&list);
    buffer_free(&list);
    return -1;
}

int ini_number(struct ini *ini, const struct ini_entry *entry, uint64_t min, uint64_t max,
               const char *unit, uint64_t *ret_number)
{
    uint64_t number;

    if (escape_number(entry->value, strlen(entry->value), max, &number) && number >= min) {
        *ret_number = number;
        return 0;
    }
    ini_problems_add(&ini->problems, entry->line,
                     "%s: '%.64s' is no whole number from %" PRIu64 " to %" PRIu64 "%s", entry->key,
                     entry->value, min, max, unit);
    return -1;
}
