/*
 * Write names and values of any bytes to each output, read them back, and check that they change
 * nothing else there. Also match names against file name templates.
 *
 * The input: values, with 0x1E between them. Where a name is needed, a value ends at its first NUL.
 */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "fuzz.h"
#include "base/log.h"
#include "ops/report.h"
#include "ops/status.h"
#include "schema/schema.h"
#include "base/escape.h"
#include "csv/violations.h"

#define VALUES 16

static struct schema schema;

/* ---- reading the outputs back ---- */

static void require_same(const struct buffer *got, const char *want, size_t len, const char *what)
{
    fuzz_require(got->len == len && (len == 0 || memcmp(got->data, want, len) == 0),
                 "%s: %.*s is read back as %.*s", what, (int)len, want, (int)got->len,
                 got->len == 0 ? "" : got->data);
}

/* Return true for the characters that change how the text beside them looks: U+061C, U+200E,
 * U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static bool misleads(const char *valid)
{
    const unsigned char *c = (const unsigned char *)valid;

    if (c[0] != 0xE2)
        return c[0] == 0xD8 && c[1] == 0x9C;
    return (c[1] == 0x80 && (c[2] == 0x8E || c[2] == 0x8F || (c[2] >= 0xA8 && c[2] <= 0xAE))) ||
           (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9);
}

/* Require UTF-8 without any character that moves the cursor or ends the line. */
static void require_printable(const char *text, size_t len, const char *what)
{
    size_t i;

    fuzz_require(escape_invalid_utf8(text, len) == len, "%s is UTF-8", what);
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        fuzz_require(c >= 0x20 && c != 0x7F, "%s has no control character", what);
        fuzz_require(c != 0xC2 || (unsigned char)text[i + 1] >= 0xA0, "%s has no C1 control", what);
        fuzz_require(!misleads(text + i), "%s has no mark of direction", what);
    }
}

/* Undo the escapes \\, \", \n and, for the log, \xNN. */
static void unescape(struct buffer *out, const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] != '\\') {
            buffer_byte(out, text[i]);
            continue;
        }
        fuzz_require(i + 1 < len, "something follows a backslash");
        i++;
        if (text[i] == 'x') {
            char digits[3] = {text[i + 1], text[i + 2], '\0'};

            fuzz_require(i + 2 < len && isxdigit((unsigned char)digits[0]) &&
                             isxdigit((unsigned char)digits[1]),
                         "two digits follow \\x");
            buffer_byte(out, (char)strtol(digits, NULL, 16));
            i += 2;
        } else {
            buffer_byte(out, text[i] == 'n' ? '\n' : text[i]);
        }
    }
}

/* Read the next cell of a CSV text. Return the place behind its comma or line end. */
static const char *next_cell(const char *at, const char *end, struct buffer *out, bool *ret_last)
{
    bool quoted = at < end && *at == '"';

    buffer_clear(out);
    at += quoted;
    for (;; at++) {
        fuzz_require(at < end, "a cell ends");
        if (!quoted && (*at == ',' || *at == '\n'))
            break;
        if (quoted && *at == '"') {
            if (at[1] != '"')
                break;
            at++;
        } else {
            fuzz_require(quoted || (*at != '"' && *at != '\r'), "what is special is quoted");
        }
        buffer_byte(out, *at);
    }
    at += quoted;
    fuzz_require(at < end && (*at == ',' || *at == '\n'), "a cell ends with a comma or the line");
    *ret_last = *at == '\n';
    return at + 1;
}

/* ---- text ---- */

static void try_percent(const char *value, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._~-/%";
    struct buffer out = {0}, back = {0};
    uint64_t number = 1;
    size_t i;

    escape_percent(&out, value, len);
    for (i = 0; i < out.len; i++)
        fuzz_require(out.data[i] != '\0' && strchr(allowed, out.data[i]) != NULL,
                     "the ledger takes %c", out.data[i]);
    fuzz_require(escape_unpercent(&back, out.data, out.len) == 0, "what was escaped can be read");
    require_same(&back, value, len, "ledger");
    buffer_clear(&back);
    buffer_clear(&out);
    if (escape_unpercent(&back, value, len) == 0)
        escape_percent(&out, buffer_text(&back), back.len);
    fuzz_require(back.len <= len && out.len <= len, "reading makes nothing longer");
    if (escape_number(value, len, UINT64_MAX, &number)) {
        buffer_clear(&out);
        buffer_printf(&out, "%0*llu", (int)len, (unsigned long long)number);
        require_same(&out, value, len, "number");
    }
    buffer_free(&out);
    buffer_free(&back);
}

static void try_time(const char *value, size_t len)
{
    char again[CLOCK_TEXT_SIZE];
    int64_t time;

    if (clock_parse(value, len, &time))
        fuzz_require(len == 24 && memcmp(clock_print(again, time), value, 24) == 0,
                     "a time is kept");
}

static void try_printable(const char *value, size_t len)
{
    struct buffer out = {0}, back = {0};

    escape_printable(&out, value, len);
    require_printable(out.data, out.len, "a line");
    unescape(&back, out.data, out.len);
    require_same(&back, value, len, "printable");
    buffer_clear(&out);
    escape_repair_utf8(&out, value, len);
    fuzz_require(escape_invalid_utf8(out.data, out.len) == out.len, "repaired UTF-8 is valid");
    fuzz_require(escape_code_points(out.data, out.len) <= len, "and of no more characters");
    if (escape_invalid_utf8(value, len) == len)
        require_same(&out, value, len, "valid UTF-8");
    buffer_free(&out);
    buffer_free(&back);
}

static void try_csv(const char *value, size_t len)
{
    struct buffer out = {0}, cell = {0};
    const char *at;
    bool last;

    escape_csv_cell(&out, value, len);
    buffer_byte(&out, ',');
    escape_csv_cell(&out, value, len);
    buffer_byte(&out, '\n');
    at = next_cell(out.data, out.data + out.len, &cell, &last);
    require_same(&cell, value, len, "CSV");
    fuzz_require(!last, "it is one cell");
    at = next_cell(at, out.data + out.len, &cell, &last);
    require_same(&cell, value, len, "CSV");
    fuzz_require(last && at == out.data + out.len, "and the other one");
    buffer_free(&out);
    buffer_free(&cell);
}

/* ---- the log: linked with --wrap=write ---- */

static struct buffer logged;
static bool logging;
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (!logging || fd != STDERR_FILENO)
        return __real_write(fd, bytes, len);
    buffer_append(&logged, bytes, len);
    return (ssize_t)len;
}

static void try_log(const char *name)
{
    const size_t lead = strlen("name: ");
    struct buffer back = {0};

    buffer_clear(&logged);
    logging = true;
    log_error("%s", name);
    logging = false;
    fuzz_require(logged.len > lead && logged.data[logged.len - 1] == '\n', "a line is logged");
    require_printable(logged.data, logged.len - 1, "the log");
    unescape(&back, logged.data + lead, logged.len - 1 - lead);
    require_same(&back, name, strnlen(name, 2047), "log");
    buffer_free(&back);
}

/* ---- violations ---- */

/* Require a cell of errors.csv that neither a terminal nor a spreadsheet interprets. */
static void check_shown(struct buffer *cell, const char *value, size_t len)
{
    struct buffer back = {0};
    const char *text = buffer_text(cell);
    size_t skip = cell->len > 1 && text[0] == '\'' && strchr("=@+-", text[1]) != NULL &&
                  (len == 0 || value[0] != '\'');

    require_printable(text, cell->len, "a value in errors.csv");
    fuzz_require(cell->len == 0 || (*text != '=' && *text != '@'), "no cell is a formula");
    if (cell->len > 0 && (*text == '+' || *text == '-'))
        fuzz_require(strspn(buffer_text(cell), "+-0123456789.eE") == cell->len, "nor this one");
    unescape(&back, text + skip, cell->len - skip);
    fuzz_require(back.len == len || (back.len <= 256 && back.len > 250 && len > back.len),
                 "a value is cut at 256 bytes");
    require_same(&back, value, back.len, "value");
    buffer_free(&back);
}

static void check_errors(const struct buffer *text, const char *value, size_t len)
{
    struct buffer cell = {0}, back = {0};
    const char *at = text->data, *end = at + text->len;
    bool last;
    int i;

    for (i = 0; at < end; i++) {
        at = next_cell(at, end, &cell, &last);
        fuzz_require(last == (i % 6 == 5), "errors.csv has six columns");
        if (i == 6 + 4)
            check_shown(&cell, value, len);
        if (i != 6 + 5)
            continue;
        unescape(&back, cell.data, cell.len);
        require_same(&back, value, len, "message");
    }
    fuzz_require(i == 18, "a line of names, one of the first and one of the others");
    buffer_free(&cell);
    buffer_free(&back);
}

static void try_violation(const char *value, size_t len, const char *name)
{
    struct violations violations;
    struct buffer out = {0};
    struct buffer *message;
    int i;

    violations_init(&violations, 1);
    for (i = 0; i < 2; i++) {
        message = violations_add(&violations, VIOLATION_TYPE_ERROR,
                                 (struct violation_at){7, 2, "field", value, len});
        if (message == NULL)
            continue;
        buffer_append(message, value, len);
        violations_added(&violations);
    }
    violations_print(&violations, name, &out);
    require_printable(out.data, out.len - 1, "a violation");
    fuzz_require(out.data[out.len - 1] == '\n', "a violation is a line");
    buffer_clear(&out);
    violations_summary(&violations, &out);
    require_printable(out.data, out.len, "the summary");
    buffer_clear(&out);
    violations_write_csv(&violations, &out);
    check_errors(&out, value, len);
    violations_free(&violations);
    buffer_free(&out);
}

/* ---- the statistics ---- */

static void check_json(const struct counter *counter, const struct buffer *text)
{
    json_error_t error;
    json_t *json =
        json_loadb(text->data, text->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    const char *keys[] = {"users", "sources", "labels", "phases"}, *key;
    json_int_t sum = 0, rows = 0;
    json_t *rows_of;
    size_t i;

    fuzz_require(json != NULL, "stats.json is JSON: %s", error.text);
    for (i = 0; i < text->len; i++)
        fuzz_require(text->data[i] == '\n' || (text->data[i] >= ' ' && text->data[i] < 0x7F),
                     "and ASCII");
    for (i = 0; i < counter->count; i++)
        rows += (json_int_t)counter->entries[i].rows;
    for (i = 0; i < 4; i++, sum = 0) {
        json_object_foreach(json_object_get(json, keys[i]), key, rows_of) sum +=
            json_integer_value(rows_of);
        fuzz_require(sum == rows, "%s: %lld rows of %lld", keys[i], (long long)sum,
                     (long long)rows);
    }
    json_decref(json);
}

/* Check each line of the text format: a comment, or a metric with or without a label. */
static void check_prometheus(const struct counter *counter, const struct buffer *text)
{
    const char *at = text->data, *end = text->data + text->len, *lf, *open, *close;
    const char *const metric = "phasesentinel_user_training_rows{user_id=\"";
    struct buffer value = {0}, file_cache[VALUES] = {{0}};
    size_t found = 0, i;
    uint64_t rows = 0, sum = 0;

    for (; at < end; at = lf + 1) {
        lf = memchr(at, '\n', (size_t)(end - at));
        fuzz_require(lf != NULL, "a metric is a line");
        if (*at == '#')
            continue;
        fuzz_require(strncmp(at, "phasesentinel_", 14) == 0, "it is one of ours");
        open = memchr(at, '"', (size_t)(lf - at));
        if (open == NULL)
            continue;
        for (close = open + 1; close < lf && *close != '"'; close++)
            close += *close == '\\';
        fuzz_require(lf - close > 3 && memcmp(close, "\"} ", 3) == 0, "a label is closed");
        fuzz_require(escape_invalid_utf8(open, (size_t)(close - open)) == (size_t)(close - open),
                     "a label is UTF-8");
        if (strncmp(at, metric, strlen(metric)) != 0)
            continue;
        buffer_clear(&value);
        unescape(&value, open + 1, (size_t)(close - open) - 1);
        for (i = 0; i < found; i++)
            fuzz_require(file_cache[i].len != value.len ||
                             memcmp(buffer_text(&file_cache[i]), buffer_text(&value), value.len) !=
                                 0,
                         "no metric comes twice");
        fuzz_require(found < VALUES, "there are no more values than were put in");
        buffer_append(&file_cache[found++], value.data, value.len);
        sum += strtoull(close + 3, NULL, 10);
    }
    for (i = 0; i < counter->count; i++)
        rows += counter->entries[i].rows;
    fuzz_require(sum == rows, "all rows are there");
    for (i = 0; i < found; i++)
        buffer_free(&file_cache[i]);
    buffer_free(&value);
}

static void check_users(const struct counter *counter, const struct buffer *text)
{
    const char *at = text->data, *end = text->data + text->len;
    struct buffer cell = {0};
    size_t i, known = 0;
    bool last;

    for (i = 0; at < end; i++) {
        at = next_cell(at, end, &cell, &last);
        fuzz_require(last == (i % 5 == 4), "users.csv has five columns");
        if (i % 5 == 0 && i > 0)
            known += counter_get(counter, buffer_text(&cell), cell.len) > 0;
    }
    fuzz_require(known == counter->count && i == 5 + 5 * counter->count, "a line a user");
    buffer_free(&cell);
}

static void check_summary(const struct buffer *text)
{
    const char *at = text->data, *end = text->data + text->len, *lf;

    for (; at < end; at = lf + 1) {
        lf = memchr(at, '\n', (size_t)(end - at));
        fuzz_require(lf != NULL, "the summary ends with a line");
        require_printable(at, (size_t)(lf - at), "the summary");
    }
}

/* Replace durable_replace (--wrap): keep the files in memory. */
static struct {
    char name[32];
    struct buffer text;
} written[4];
int __wrap_durable_replace(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                           struct cause *cause);

int __wrap_durable_replace(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                           struct cause *cause)
{
    size_t i;

    (void)dir_fd;
    (void)sync;
    (void)cause;
    for (i = 0; i < 4 && written[i].text.len > 0;)
        i++;
    fuzz_require(i < 4, "there are four files, not a fifth, %s", name);
    snprintf(written[i].name, sizeof written[i].name, "%s", name);
    buffer_append(&written[i].text, bytes, len);
    return 0;
}

static const struct buffer *file_named(const char *name)
{
    size_t i;

    for (i = 0; i < 4; i++)
        if (strcmp(written[i].name, name) == 0)
            return &written[i].text;
    fuzz_require(false, "%s is written", name);
    return NULL;
}

static void try_report(char *const values[], const size_t lens[], size_t count)
{
    struct ledger ledger = {.training_rows = 10};
    struct tally_file stats = {.schema = &schema};
    struct quarantine_summary quarantine = {0};
    struct report report = {.stats = &stats, .ledger = &ledger, .quarantine = &quarantine};
    const struct datadir directory = {.stats = -1};
    struct cause cause;
    enum tally_by by;
    size_t i;

    for (i = 0; i < count; i++) {
        for (by = TALLY_USERS; by < TALLY_COUNT; by++)
            counter_add(&stats.tally.by[by], values[i], lens[i], 1 + i);
        if (i % 2 == 0)
            counter_add(&stats.arrivals, values[i], lens[i], 1 + i);
    }
    for (i = 0; i < 4; i++)
        buffer_clear(&written[i].text);
    fuzz_require(report_write(&report, &directory, &cause) == 0, "it can be written");
    check_json(&stats.tally.by[TALLY_USERS], file_named("stats.json"));
    check_prometheus(&stats.tally.by[TALLY_USERS], file_named("phasesentinel.prom"));
    check_users(&stats.tally.by[TALLY_USERS], file_named("users.csv"));
    check_summary(file_named("summary.txt"));
    tally_free(&stats.tally);
    counter_free(&stats.arrivals);
}

static void try_status(const char *name)
{
    struct buffer any = {.data = (char *)(uintptr_t)name, .len = strlen(name)}; /* for reading */
    struct status status = {.holder = any, .data_dir = name, .trouble = any, .polled = any};
    struct buffer text = {0}, repaired = {0}, back = {0};
    struct cause cause;
    json_t *json, *got;

    pending_requeue(&status.pending, pending_add(&status.pending, name), 0, PENDING_FAILING, name);
    fuzz_require(status_json(&status, &text, &cause) == 0, "status is told");
    json = json_loadb(text.data, text.len, 0, NULL);
    fuzz_require(json != NULL, "as JSON");
    escape_repair_utf8(&repaired, name, strlen(name));
    got = json_object_get(json_array_get(json_object_get(json, "waiting"), 0), "name");
    buffer_append(&back, json_string_value(got), json_string_length(got));
    require_same(&back, buffer_text(&repaired), repaired.len, "JSON");
    json_decref(json);
    pending_free(&status.pending);
    buffer_free(&text);
    buffer_free(&repaired);
    buffer_free(&back);
}

/* ---- values in file names ---- */

static bool all_digits(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len && isdigit((unsigned char)text[i]); i++)
        ;
    return i == len;
}

/* Read USER_SOURCE_YYYYmmdd_HHMMSS.csv from its end. Other names take the user from the first
 * directory. */
static void check_shipped(const char *name, char *const values[], int user, int source, int when)
{
    size_t len, left;
    char time[32];

    fuzz_require((values[source] == NULL) == (values[when] == NULL), "all or nothing");
    if (values[source] == NULL) {
        len = values[user] == NULL ? 0 : strlen(values[user]);
        fuzz_require(len == 0 || (strncmp(name, values[user], len) == 0 && name[len] == '/'),
                     "the first directory is the user");
        return;
    }
    fuzz_require(values[user] != NULL, "a name that matches tells the user");
    if (strrchr(name, '/') != NULL)
        name = strrchr(name, '/') + 1;
    len = strlen(name);
    left = strlen(values[user]) + strlen(values[source]) + 2;
    fuzz_require(
        len == left + 19 && memcmp(name, values[user], strlen(values[user])) == 0 &&
            memcmp(name + strlen(values[user]) + 1, values[source], strlen(values[source])) == 0 &&
            name[strlen(values[user])] == '_' && name[left - 1] == '_' &&
            strcmp(name + left + 15, ".csv") == 0,
        "its parts make the name");
    fuzz_require(strlen(values[source]) == strcspn(values[source], "_") || values[source][0] == '_',
                 "the left part takes as much as it can");
    name += left;
    fuzz_require(all_digits(name, 8) && name[8] == '_' && all_digits(name + 9, 6), "a time");
    snprintf(time, sizeof time, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s", name, name + 4, name + 6, name + 9,
             name + 11, name + 13);
    fuzz_require(strcmp(time, values[when]) == 0, "the time is %s: %s", time, values[when]);
}

static void try_shipped(const char *name)
{
    char *values[32] = {0};
    struct cause cause;
    size_t i;

    fuzz_require(schema_match_name(&schema, name, values, &cause) == 0, "a name is no trouble");
    for (i = 0; i < schema.count; i++)
        fuzz_require(values[i] == NULL || field_check(&schema.fields[i], values[i],
                                                      strlen(values[i]), NULL) == FIELD_FITS,
                     "what was taken fits");
    check_shipped(name, values, schema_find(&schema, "user_id", 7),
                  schema_find(&schema, "source", 6),
                  schema_find(&schema, "collection_timestamp", 20));
    for (i = 0; i < schema.count; i++)
        free(values[i]);
}

/* Match a template and put the values into it again: without times the result is the name. */
static void try_template(const char *text, const char *name)
{
    struct name_template template;
    struct buffer why = {0}, back = {0};
    char *values[32] = {0};
    const char *end;
    struct cause cause;
    bool matched = false;
    size_t i;

    if (name_template_parse(&template, text, schema.fields, schema.count, &why) < 0) {
        fuzz_require(why.len > 0, "a template is refused for a reason");
        buffer_free(&why);
        return;
    }
    fuzz_require(name_template_match(&template, schema.fields, name, values, &cause) == 0,
                 "a name is no trouble");
    for (i = 0; i < schema.count; i++)
        matched |= values[i] != NULL;
    for (; matched && *text != '\0'; text = end) {
        end = text + strcspn(text, "{");
        buffer_append(&back, text, (size_t)(end - text));
        if (*end != '{')
            continue;
        text = end + 1;
        end = text + strcspn(text, "}:");
        i = (size_t)schema_find(&schema, text, (size_t)(end - text));
        fuzz_require(values[i] != NULL, "each of its fields has a value");
        matched = *end == '}';
        buffer_string(&back, values[i]);
        end++;
    }
    if (matched)
        fuzz_require(back.len <= strlen(name) &&
                         strcmp(name + strlen(name) - back.len, buffer_text(&back)) == 0,
                     "its values make the name: %s", buffer_text(&back));
    for (i = 0; i < schema.count; i++)
        free(values[i]);
    name_template_free(&template);
    buffer_free(&why);
    buffer_free(&back);
}

/* ---- the target ---- */

static void start(void)
{
    struct cause cause;

    log_open("name", false);
    if (schema_load(&schema, SHIPPED_SCHEMA, &cause) < 0)
        fuzz_require(false, "%s", cause.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *values[VALUES];
    size_t lens[VALUES], count = 0, i, from = 0;

    if (schema.count == 0)
        start();
    for (i = 0; i <= size && count < VALUES; i++) {
        if (i < size && data[i] != 0x1E)
            continue;
        lens[count] = i - from;
        values[count] = calloc(1, lens[count] + 1);
        if (values[count] == NULL)
            abort();
        if (lens[count] > 0)
            memcpy(values[count], data + from, lens[count]);
        from = i + 1;
        count++;
    }
    for (i = 0; i < count; i++) {
        try_percent(values[i], lens[i]);
        try_time(values[i], lens[i]);
        try_printable(values[i], lens[i]);
        try_csv(values[i], lens[i]);
        try_log(values[i]);
        try_violation(values[i], lens[i], values[0]);
        try_status(values[i]);
        try_shipped(values[i]);
        if (i > 0)
            try_template(values[i - 1], values[i]);
    }
    try_report(values, lens, count);
    for (i = 0; i < count; i++)
        free(values[i]);
    return 0;
}
