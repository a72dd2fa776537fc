#include "csv/file_check.h"

#include <inttypes.h>

#include "lib/packing.h"
#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "t,v,note\n"

static int dir;
static struct schema schema;
static struct training_columns layout;
static struct config config;
static struct file_check file_check;
static struct check_result result;
static struct buffer accepted, rejected, verdict;

/* The request of a run; zeros are the usual values. */
struct ask {
    const char *name;
    uint64_t size; /* 0: all */
    bool complete_only;
    uint64_t prefix_bytes;
    const char *prefix; /* the booked content; NULL: the file's own first bytes */
    bool no_sink;
};

/* Under another configuration. */
static void restart(void)
{
    file_check_free(&file_check);
    check_result_free(&result);
    check_result_init(&result, &config);
    if (file_check_init(&file_check, &schema, &config, NULL) < 0)
        abort();
}

static int take_accepted(void *context, struct buffer *rows, struct cause *cause)
{
    (void)cause;
    buffer_append(context, rows->data, rows->len);
    return 0;
}

static int take_rejected(void *context, const char *raw, size_t len, struct cause *cause)
{
    (void)context;
    (void)cause;
    buffer_append(&rejected, raw, len);
    buffer_byte(&rejected, '|');
    return 0;
}

static void hash(const char *bytes, size_t len, unsigned char out[DIGEST_SIZE])
{
    struct digest digest;

    digest_init(&digest);
    digest_update(&digest, bytes, len);
    digest_final(&digest, out);
}

/* The judgement on one line: ROWS+BAD, what else is known, CODE:LINE of what is listed. */
static void note_verdict(void)
{
    size_t i;

    buffer_clear(&verdict);
    buffer_printf(&verdict, "%" PRIu64 "+%" PRIu64, result.rows, result.bad_rows);
    if (result.no_rows)
        buffer_string(&verdict, " no-rows");
    if (result.no_newline)
        buffer_string(&verdict, " no-newline");
    if (result.prefix_found)
        buffer_string(&verdict, " prefix");
    if (result.continued_line > 0)
        buffer_string(&verdict, " continued");
    if (result.rest > 0)
        buffer_printf(&verdict, " rest=%" PRIu64, result.rest);
    for (i = 0; i < result.violations.count; i++)
        buffer_printf(&verdict, " %s:%" PRIu64, violation_code_name(result.violations.list[i].code),
                      result.violations.list[i].line);
    if (check_result_rejects(&result, &config))
        buffer_string(&verdict, " BAD");
}

/* Check that the hash is that of the bytes checked, and that a byte is either checked or the rest. */
static void check_bytes(const char *bytes, uint64_t size, const struct ask *ask)
{
    unsigned char sha[DIGEST_SIZE];

    hash(bytes, (size_t)result.bytes, sha);
    if (result.bytes + result.rest != size || (!ask->complete_only && result.rest))
        check(false, "%" PRIu64 " bytes and a rest of %" PRIu64 " are all %" PRIu64, result.bytes,
              result.rest, size);
    if (memcmp(sha, result.sha256, DIGEST_SIZE) != 0)
        check(false, "the hash is that of the %" PRIu64 " bytes judged", result.bytes);
}

static const char *run_bytes(const char *bytes, size_t len, struct ask ask)
{
    struct file_check_request order = {.name = ask.name == NULL ? "data.csv" : ask.name,
                                       .layout = &layout,
                                       .size = ask.size == 0 ? len : ask.size,
                                       .complete_only = ask.complete_only,
                                       .prefix.bytes = ask.prefix_bytes};
    struct cause cause;

    if (!ask.no_sink)
        order.sink = (struct file_check_sink){take_accepted, take_rejected, &accepted};
    if (ask.prefix != NULL)
        order.prefix.bytes = strlen(ask.prefix);
    if (order.prefix.bytes > 0)
        hash(ask.prefix != NULL ? ask.prefix : bytes, (size_t)order.prefix.bytes,
             order.prefix.sha256);
    place_put(dir, "file", bytes, len);
    order.fd = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    buffer_clear(&accepted);
    buffer_clear(&rejected);
    if (order.fd < 0)
        abort();
    if (file_check_run(&file_check, &order, &result, &cause) < 0) {
        close(order.fd);
        buffer_clear(&verdict);
        buffer_printf(&verdict, "failed: %s", cause.text);
        return buffer_text(&verdict);
    }
    close(order.fd);
    if (decompress_format_of(order.name) == DECOMPRESS_PLAIN)
        check_bytes(bytes, order.size, &ask);
    note_verdict();
    return buffer_text(&verdict);
}

static const char *run(const char *text, struct ask ask)
{
    return run_bytes(text, strlen(text), ask);
}

#define USUAL ((struct ask){0})

static void test_accept(void)
{
    check_text(run(HEADER "1,2,a\n2,3,\n", USUAL), "2+0", "a good file");
    check_text(buffer_text(&accepted), "1,2,a,anonymous\n2,3,,anonymous\n",
               "its rows in the training file's layout");
    check_text(buffer_text(&result.header), HEADER, "its header");
    check(result.tally.rows == 2 && counter_get(&result.tally.by[TALLY_USERS], "anonymous", 9) == 2,
          "its rows are tallied");
    check_text(run("note,v,t\r\n\"x,\"\"y\"\"\",2,1\r\n", USUAL), "1+0",
               "other order, CRLF, quotes");
    check_text(buffer_text(&accepted), "1,2,\"x,\"\"y\"\"\",anonymous\n", "cells byte for byte");
    check_text(buffer_text(&result.header), "note,v,t\n", "the header ends in LF");
    check_text(run("\xEF\xBB\xBF" HEADER "1,2,a\n", USUAL), "1+0", "a BOM is skipped");
    check_text(buffer_text(&result.header), HEADER, "it is not in the header");
    check_text(run("\xEF\xBB\xBF\"t\",v\n1,2\n", USUAL), "1+0", "also before a quoted header");
    check_text(run("t,v,user_id\n1,2,eva\n1,2,udo\n", USUAL), "2+0", "a column for the default");
    check(counter_get(&result.tally.by[TALLY_USERS], "eva", 3) == 1, "is tallied by it");
    check_text(run("t,v\n1,2\n3,4", USUAL), "2+0 no-newline", "a valid last row without newline");
    check_text(buffer_text(&accepted), "1,2,,anonymous\n3,4,,anonymous\n", "gets one");
    check_text(run("t,v\n1,2\n3,\"4\"", USUAL), "2+0 no-newline", "so does one with a quote");
    check_text(run("t,v\n1,2\n3,4\n\n\r\n\n", USUAL), "2+0", "blank lines at the end are none");
    check_text(run("t,v,note\n1,2,\"a\nb\n\"\n3,4,\n", USUAL), "2+0", "quoted line breaks");
    check_text(buffer_text(&accepted), "1,2,\"a\nb\n\",anonymous\n3,4,,anonymous\n", "are kept");
}

static void test_no_rows(void)
{
    check_text(run("", USUAL), "0+0 no-rows", "an empty file");
    check_text(run("\n\n", USUAL), "0+0 no-rows", "blank lines alone");
    check_text(run(HEADER, USUAL), "0+0 no-rows", "a header");
    check_text(run("t,v,note", USUAL), "0+0 no-rows", "one without newline");
    check_text(run("\xEF\xBB\xBF" HEADER, USUAL), "0+0 no-rows", "one behind a BOM");
    check_text(run("\xEF\xBB\xBF", USUAL), "0+0 no-rows", "a BOM alone");
    check_text(run(HEADER "\n\n", USUAL), "0+0 no-rows", "one and blank lines");
    check(result.violations.total == 0, "which are between no rows");
    run("t,cp", USUAL);
    check(result.no_rows, "a header that is cut waits, as one that is whole");
    check_text(run(HEADER, (struct ask){.complete_only = true}), "0+0 no-rows", "still growing");
    check_text(run("t,v,no", (struct ask){.complete_only = true}), "0+0 no-rows rest=6",
               "its header still growing");
}

static void test_blanks(void)
{
    check_text(run("t,v\n\n1,2\n\n\n3,4\n\n", USUAL), "2+3 blank-row:2 blank-row:4 blank-row:5 BAD",
               "blank rows between rows");
    check_text(run("t,v\r\n1,2\r\n\r\n3,4\r\n", USUAL), "2+1 blank-row:3 BAD", "with CRLF");
    check_text(run("t,v\n1,2\n \n3,4\n", USUAL), "2+1 missing-cell:3 BAD", "a blank is a cell");
    check_text(run("t,v\n1,2\n\n3,", USUAL), "1+2 blank-row:3 truncated-file:4 BAD",
               "one before a row that is cut");
}

static void test_magic(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum violation_code code;
    } kinds[] = {
        {"\x1F\x8B\x08\0\0\0\0\0", 8, VIOLATION_FORMAT_ERROR},
        {"PK\x03\x04\x14\0\x06\0", 8, VIOLATION_FORMAT_ERROR},
        {"PK\x05\x06\0\0\0\0", 8, VIOLATION_FORMAT_ERROR},
        {"PAR1\x15\x04\x15\x10", 8, VIOLATION_FORMAT_ERROR},
        {"\x28\xB5\x2F\xFD\x04\0", 6, VIOLATION_FORMAT_ERROR},
        {"\xFD"
         "7zXZ\0\0\x04",
         8, VIOLATION_FORMAT_ERROR},
        {"BZh91AY&SY", 10, VIOLATION_FORMAT_ERROR},
        {"7z\xBC\xAF\x27\x1C\0\x04", 8, VIOLATION_FORMAT_ERROR},
        {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, VIOLATION_FORMAT_ERROR},
        {"%PDF-1.7\n", 9, VIOLATION_FORMAT_ERROR},
        {"SQLite format 3\0\x10\0", 18, VIOLATION_FORMAT_ERROR},
        {"\x1F\x8B", 2, VIOLATION_FORMAT_ERROR},
        {"\xFF\xFEt\0,\0v\0\n\0", 10, VIOLATION_ENCODING_ERROR},
        {"\xFE\xFF\0t\0,\0v\0\n", 10, VIOLATION_ENCODING_ERROR},
    };
    char bytes[64];
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, kinds[i].bytes, kinds[i].len);
        run_bytes(bytes, kinds[i].len + (i == 11 ? 0 : 20), USUAL);
        check(result.violations.total == 1 && !result.no_rows &&
                  result.violations.counts[kinds[i].code] == 1 &&
                  check_result_rejects(&result, &config),
              "magic bytes %zu: one %s: %s", i, violation_code_name(kinds[i].code),
              buffer_text(&verdict));
    }
    run_bytes("t\0,\0v\0\n\0", 8, USUAL);
    check(result.violations.counts[VIOLATION_ENCODING_ERROR] > 0, "UTF-16 without a BOM");
    check_text(run("P,t,v\nPK,1,2\n", USUAL), "0+1 extra-label:1 BAD", "no magic, only a letter");
    config.max_file_bytes = 1 << 20;
    run(HEADER "1,2,a\n", (struct ask){.size = 0});
    check(!check_result_rejects(&result, &config), "max_file_mib = 1 allows a small file");
    config.max_file_bytes = 10;
    run(HEADER "1,2,a\n", USUAL);
    check(result.violations.counts[VIOLATION_FILE_TOO_LARGE] == 1 &&
              check_result_rejects(&result, &config) && result.violations.total == 1,
          "a file larger than the limit: %s", buffer_text(&verdict));
    config.max_file_bytes = 0;
}

static void test_last_row(void)
{
    static const struct {
        const char *rows, *verdict, *required;
    } lasts[] = {
        {"1,2\n3,4", "2+0 no-newline", "1+1 truncated-file:3 BAD"},
        {"1,2\n3,", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,4,5", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,1e", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,4\r", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,\"4", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,\"4\"x", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n3,\xC3", "1+1 truncated-file:3 BAD", NULL},
        {"1,2\n\"3,4\n5,6\n7,8", "1+1 unterminated-quote:3 BAD", NULL},
        {"1,2\n\"3,4\n5,6\n7,8\n", "1+1 unterminated-quote:3 BAD", NULL},
        {"1,2\n\"3,4\n", "1+1 unterminated-quote:3 BAD", NULL},
        {"1,2\n\"3\n\",\"4\n5", "1+1 unterminated-quote:4 BAD", NULL},
        {"x,2\n3,", "0+2 type-error:2 truncated-file:3 BAD", NULL},
    };
    char text[256];
    size_t i;

    for (i = 0; i < sizeof lasts / sizeof *lasts; i++) {
        snprintf(text, sizeof text, "t,v\n%s", lasts[i].rows);
        check_text(run(text, USUAL), lasts[i].verdict, lasts[i].rows);
        check(check_result_only_truncated(&result) ==
                  (strstr(lasts[i].verdict, " truncated") != NULL && i != 13),
              "is it only truncated: %s", lasts[i].verdict);
        config.newline_required = true;
        check_text(run(text, USUAL),
                   lasts[i].required == NULL ? lasts[i].verdict : lasts[i].required,
                   "with final_newline = required");
        config.newline_required = false;
    }
    check_text(run_bytes("t,v\n1,2\n3,\0\0\0\0", 14, USUAL), "1+1 encoding-error:3 BAD",
               "NUL bytes are no row that was cut");
    check(!check_result_only_truncated(&result), "which may not wait for its rest");
}

/* Check the file that scp leaves on a full disk: a hole takes the place of the missing bytes. */
static void test_nul_tail(void)
{
    const size_t size = 3000000;
    char *bytes = calloc(size, 1);

    memcpy(bytes, "t,v\n1,2\n3,", 10);
    check_text(run_bytes(bytes, size, USUAL), "1+1 encoding-error:3 BAD", "a large NUL tail");
    bytes[size - 1] = '\n';
    check_text(run_bytes(bytes, size, USUAL), "1+1 encoding-error:3 BAD", "one with an LF");
    config.bad_rows = CONFIG_REJECT_ROWS;
    memcpy(bytes + size - 9, "\n5,6\n7,8\n", 9);
    run_bytes(bytes, size, USUAL);
    check(check_result_rejects(&result, &config),
          "rows behind a row that is too long are not lost: the file is bad whole, whatever is in "
          "that row: %s",
          buffer_text(&verdict));
    memset(bytes + 10, 'x', size - 19);
    run_bytes(bytes, size, USUAL);
    check(check_result_rejects(&result, &config) &&
              result.violations.counts[VIOLATION_ROW_TOO_LONG] == 1,
          "likewise without NULs: %s", buffer_text(&verdict));
    config.bad_rows = CONFIG_REJECT_FILE;
    free(bytes);
}

static void test_complete_only(void)
{
    static const struct ask growing = {.complete_only = true};

    check_text(run("t,v\n1,2\n3,", growing), "1+0 rest=2", "an incomplete row is left out");
    check_text(buffer_text(&accepted), "1,2,,anonymous\n", "and not written");
    check_text(run("t,v\n1,2\n3,4", growing), "1+0 rest=3", "also one that would be valid");
    check_text(run("t,v\n1,2\n3,4\r", growing), "1+0 rest=4", "or lacks half its line end");
    check_text(run("t,v\n1,2\n3,4\n", growing), "2+0", "a complete one is not");
    check_text(run("t,v,note\n1,2,\n3,4,\"a\nb\nc", growing), "1+0 rest=10",
               "an open quote is left out from its row's first byte on");
    check_text(run("t,v,note\n1,2,\n3,4,\"a\nb\nc\n", growing), "1+0 rest=11", "also with an LF");
    check_text(run("t,v\n1,2\n\n\n", growing), "1+0", "blank lines may yet be between rows");
    check_text(run("t,v\n1,2\nx,3\n4", growing), "1+1 rest=1 type-error:3 BAD",
               "a bad row is one now");
    check_text(run("t,v\n1,2\n3,4\n", (struct ask){.size = 10}), "1+1 truncated-file:3 BAD",
               "no more is judged than the size of the first look");
    check_text(run("t,v\n1,2\n3,4\n", (struct ask){.size = 10, .complete_only = true}),
               "1+0 rest=2", "complete rows of it, if asked");
    check_text(run("t,v\n1,2\n", (struct ask){.size = 9}),
               "failed: data.csv became shorter while it was read", "it became shorter");
}

/* ---- content that is booked already ------------------------------------------------------- */

static void test_prefix(void)
{
    static const struct {
        const char *post_commit, *file, *verdict, *accepted;
    } files[] = {
        {"t,v\n1,2\n", "t,v\n1,2\n3,4\n", "1+0 prefix", "3,4,,anonymous\n"},
        {"t,v\n1,2\n", "t,v\n1,2\n3,4", "1+0 no-newline prefix", "3,4,,anonymous\n"},
        {"t,v\n1,2\n", "t,v\n1,2\n", "0+0 prefix", ""},
        {"t,v\n1,2\n", "t,v\n1,2\n\n", "0+0 prefix", ""},
        {"t,v\n1,2\n", "t,v\n1,2\nx,4\n", "0+1 prefix type-error:3 BAD", NULL},
        {"t,v\r\n1,2\r\n", "t,v\r\n1,2\r\n3,4\r\n", "1+0 prefix", "3,4,,anonymous\n"},
        {"\xEF\xBB\xBFt,v\n1,2\n", "\xEF\xBB\xBFt,v\n1,2\n3,4\n", "1+0 prefix", "3,4,,anonymous\n"},
        {"t,v,note\n1,2,\"a\nb\"\n", "t,v,note\n1,2,\"a\nb\"\nx,4,\n",
         "0+1 prefix type-error:4 BAD", NULL},
        /* Content that differs from the prefix: all rows are checked. */
        {"t,v\n1,2\n", "t,v\n1,3\n3,4\n", "2+0", "1,3,,anonymous\n3,4,,anonymous\n"},
        {"t,v\n1,2\n", "t,v\n1,3\n", "1+0", "1,3,,anonymous\n"},
        {"t,v\n1,2\n3,4\n", "t,v\n1,2\n", "1+0", "1,2,,anonymous\n"},
        {"t,v\n1,2\n", "v,t\n1,2\n3,4\n", "2+0", "2,1,,anonymous\n4,3,,anonymous\n"},
        {"t,v\n1,2\n", "t,v\n1,3\nx,4\n", "1+1 type-error:3 BAD", NULL},
        /* Booked without a final newline: the row must end now. */
        {"t,v\n1,2", "t,v\n1,2\n3,4\n", "1+0 prefix", "3,4,,anonymous\n"},
        {"t,v\n1,2", "t,v\n1,2\r\n3,4\r\n", "1+0 prefix", "3,4,,anonymous\n"},
        {"t,v\n1,2", "t,v\n1,2\n", "0+0 prefix", ""},
        {"t,v\n1,2", "t,v\n1,2\n\n3,4\n", "1+1 prefix blank-row:3 BAD", NULL},
        {"t,v\n1,2", "t,v\n1,2\nx,4\n", "0+1 prefix type-error:3 BAD", NULL},
        {"t,v\n1,2", "t,v\n1,23\n3,4\n", "2+0 continued", "1,23,,anonymous\n3,4,,anonymous\n"},
        {"t,v\n1,2", "t,v\n1,2e\n", "0+1 continued type-error:2 BAD", NULL},
        {"t,v\n1,2", "t,v\n1,2\rx\n", "0+1 continued encoding-error:2 BAD", NULL},
        {"t,v,note\n1,2,\"a\"", "t,v,note\n1,2,\"a\"\n3,4,\n", "1+0 prefix", "3,4,,anonymous\n"},
    };
    size_t i;

    for (i = 0; i < sizeof files / sizeof *files; i++) {
        check_text(run(files[i].file, (struct ask){.prefix = files[i].post_commit}),
                   files[i].verdict, files[i].file);
        if (files[i].accepted != NULL)
            check_text(buffer_text(&accepted), files[i].accepted, "accepted of it");
    }
}

/* The booked content may end anywhere in what stands there now. */
static void test_prefix_in_header(void)
{
    static const char file[] = "t,v,note,user_id\n1,2,a,eva\n3,4,b,udo\n";
    char what[64];
    size_t i;

    check_text(run(file, (struct ask){.prefix = "t,v\n1,2\n"}), "2+0",
               "other content, shorter than the header that is there now");
    for (i = 1; i < sizeof file; i++) {
        char post_commit[sizeof file];

        memset(post_commit, 'x', sizeof post_commit);
        post_commit[i] = '\0';
        snprintf(what, sizeof what, "other content of %zu bytes", i);
        if (strcmp(run(file, (struct ask){.prefix = post_commit}), "2+0") != 0)
            check_text(buffer_text(&verdict), "2+0", what);
    }
    check_text(run("\n\n\nt,v\n1,2\n", (struct ask){.prefix = "a\n"}),
               "1+3 blank-row:1 blank-row:2 blank-row:3 BAD", "blank lines before a header");
}

static void test_prefix_growing(void)
{
    struct ask ask = {.prefix = "t,v\n1,2\n", .complete_only = true};

    check_text(run("t,v\n1,2\n3,4\n5,", ask), "1+0 prefix rest=2", "grown and still growing");
    check_text(buffer_text(&accepted), "3,4,,anonymous\n", "its new complete rows");
    check_text(run("t,v\n1,2\n5,", ask), "0+0 prefix rest=2", "no new row is complete");
    ask.prefix = "t,v\n1,2";
    check_text(run("t,v\n1,2\n5,", ask), "0+0 prefix rest=2", "likewise behind a late line end");
    check_text(run("t,v\n1,2\n5,6\n", ask), "1+0 prefix", "with it a new row");
    check_text(run("t,v\n1,25,6\n", ask), "0+1 continued extra-cell:2 BAD", "a row that goes on");
    check_text(run("t,v\n1,2\n", USUAL), "1+0", "the next file is judged for itself");
}

/* Booked up to any byte: found where a row ends there, or its line end comes next. */
static void test_prefix_anywhere(void)
{
    static const char file[] = "\xEF\xBB\xBFt,v,note\r\n1,2,a\r\n3,4,\"x,\ny\"\n5,6,\n7,8,z\n";
    static const char *const rows[] = {"1,2,a,anonymous\n", "3,4,\"x,\ny\",anonymous\n",
                                       "5,6,,anonymous\n", "7,8,z,anonymous\n"};
    static const size_t ends[] = {13, 20, 31, 36, 42}; /* ends of the header and of each row */
    size_t at, k, found, wrong = 0;
    struct buffer want = {0};

    for (at = ends[0]; at < ends[4]; at++) {
        run(file, (struct ask){.prefix_bytes = at});
        for (k = 0; k < 4 && ends[k] < at; k++)
            continue;
        found = ends[k] == at || file[at] == '\n' || (file[at] == '\r' && file[at + 1] == '\n');
        if (at > 26 && at < 30) /* inside the quoted cell no row ends, whatever it looks like */
            continue;
        buffer_clear(&want);
        for (k = found ? k : 0; k < 4; k++)
            buffer_string(&want, rows[k]);
        if (result.prefix_found != found || (result.continued_line > 0) == found ||
            strcmp(buffer_text(&accepted), buffer_text(&want)) != 0) {
            printf("# %zu bytes: %s: %s", at, buffer_text(&verdict), buffer_text(&accepted));
            wrong++;
        }
    }
    check(wrong == 0, "booked up to any byte: %zu wrong", wrong);
    buffer_free(&want);
}

/* More than one window, with rows that fall across. */
static void test_large(void)
{
    const size_t count = getenv("UNIT_SHORT") != NULL ? 30000 : 150000;
    struct buffer file = {0}, want = {0};
    size_t i, half = 0, half_want = 0;
    struct ask ask = {0};
    char text[64];

    buffer_string(&file, "v,t,note\n");
    for (i = 0; i < count; i++) {
        if (i == count / 2) {
            half = file.len;
            half_want = want.len;
        }
        if (i % 7 == 0) {
            buffer_printf(&file, "%zu,%zu.5,\"%zu\n%zu\"\r\n", i % 100, i, i, i);
            buffer_printf(&want, "%zu.5,%zu,\"%zu\n%zu\",anonymous\n", i, i % 100, i, i);
        } else {
            buffer_printf(&file, "%zu,%zu,x\n", i % 100, i);
            buffer_printf(&want, "%zu,%zu,x,anonymous\n", i, i % 100);
        }
    }
    snprintf(text, sizeof text, "%zu+0", count);
    check_text(run_bytes(file.data, file.len, ask), text, "a large file");
    check(accepted.len == want.len && memcmp(accepted.data, want.data, want.len) == 0,
          "all %zu bytes of its rows", want.len);
    ask.prefix_bytes = half;
    snprintf(text, sizeof text, "%zu+0 prefix", count - count / 2);
    check_text(run_bytes(file.data, file.len, ask), text, "its first half is booked");
    check(accepted.len == want.len - half_want &&
              memcmp(accepted.data, want.data + half_want, accepted.len) == 0,
          "the rows of the other half");
    check(result.tally.rows == count - count / 2, "are tallied");
    file.data[100] ^= 1;
    snprintf(text, sizeof text, "%zu+0", count);
    ask.prefix_bytes = 0;
    run_bytes(file.data, file.len, ask);
    file.data[100] ^= 1;
    buffer_free(&file);
    buffer_free(&want);
}

/* ---- bad rows ----------------------------------------------------------------------------- */

static void test_reject_rows(void)
{
    config.bad_rows = CONFIG_REJECT_ROWS;
    check_text(run("t,v\r\n1,2\r\nx,\"4\"\r\n5\r\n5,6\r\n", USUAL),
               "2+2 type-error:3 missing-cell:4", "bad rows go, good rows stay");
    check_text(buffer_text(&accepted), "1,2,,anonymous\n5,6,,anonymous\n", "the good ones");
    check_text(buffer_text(&rejected), "x,\"4\"\r\n|5\r\n|", "the bad ones, as they came");
    check_text(run("t,v\n1,2\n3,", USUAL), "1+1 truncated-file:3", "a cut row is a bad row");
    check_text(buffer_text(&rejected), "3,|", "as it came");
    check_text(run("t,v\n1,2\n\n3,4\n", USUAL), "2+1 blank-row:3", "so is a blank one");
    check_text(run("t,v\n1,2\n\"3\nx,4\n5,6", USUAL), "1+1 unterminated-quote:3",
               "and what an open quote swallows");
    check_text(buffer_text(&rejected), "\"3\nx,4\n5,6|", "all of it");
    check_text(run("t,v\n1,2\n3,\"4\"5\n6,7\n", USUAL), "2+1 stray-quote:3", "and stray quotes");
    check_text(run("t,v\nx,2\n", USUAL), "0+1 type-error:2 BAD", "all are bad: so is the file");
    check_text(run("t,v,x\n1,2,3\n", USUAL), "0+1 extra-label:1 BAD", "so with a bad header");
    check_text(buffer_text(&rejected), "", "then no row is to blame");
    check_text(run("t,t\n1,2\n", USUAL), "0+1 duplicate-label:1 missing-label:1 BAD", "another");
    check_text(run("t,\xFF\n1,2\n", USUAL), "0+1 encoding-error:1 BAD", "a header that is no row");
    check_text(run("\x1F\x8B\n1,2\n", USUAL), "0+0 format-error:0 BAD", "no CSV at all");
    config.max_bad_percent = 50;
    run("t,v\n1,2\nx,4\n", USUAL);
    check(!check_result_rejects(&result, &config), "half of the rows may be bad");
    run("t,v\n1,2\nx,4\nx,4\n", USUAL);
    check(check_result_rejects(&result, &config), "two of three may not");
    config.max_bad_percent = 0;
    run("t,v\n1,2\nx,4\n", USUAL);
    check(check_result_rejects(&result, &config), "none may be bad");
    run("t,v\n1,2\n", USUAL);
    check(!check_result_rejects(&result, &config), "and none is");
    config.max_bad_percent = 100;
    check_text(run("t,v\n1,2\nx,4\n", (struct ask){.prefix = "t,v\n1,2\n"}),
               "0+1 prefix type-error:3", "a grown file whose new rows are all bad");
    config.bad_rows = CONFIG_REJECT_FILE;
}

static void test_count(void)
{
    struct buffer file = {0};
    size_t i;

    buffer_string(&file, "t,v\n");
    for (i = 0; i < 5000; i++)
        buffer_string(&file, i % 2 == 0 ? "x,101\n" : "1,2\n");
    config.max_reported_errors = 3;
    restart();
    check_text(run_bytes(file.data, file.len, USUAL),
               "2500+2500 type-error:2 constraint-error:2 type-error:4 BAD", "three are listed");
    check(result.violations.total == 5000 &&
              result.violations.counts[VIOLATION_TYPE_ERROR] == 2500 &&
              result.violations.counts[VIOLATION_CONSTRAINT_ERROR] == 2500,
          "all are counted");
    check_text(run_bytes(file.data, file.len, (struct ask){.no_sink = true}),
               "2500+2500 type-error:2 constraint-error:2 type-error:4 BAD",
               "the same verdict without a sink");
    config.max_reported_errors = 0;
    restart();
    check_text(run_bytes(file.data, file.len, USUAL), "2500+2500 BAD", "none is listed");
    check(result.violations.total == 5000, "and all are counted");
    config.max_reported_errors = 1000;
    restart();
    buffer_free(&file);
}

static int refuse_rows(void *context, struct buffer *rows, struct cause *cause)
{
    (void)rows;
    return cause_set(cause, CAUSE_RETRY, "no %s", (const char *)context);
}

static int refuse(void *context, const char *raw, size_t len, struct cause *cause)
{
    (void)raw;
    (void)len;
    return cause_set(cause, CAUSE_RETRY, "no %s", (const char *)context);
}

static void test_sink(void)
{
    static char word[] = "space";
    struct file_check_request order = {
        .name = "x.csv", .layout = &layout, .size = 12, .sink = {refuse_rows, refuse, word}};
    struct cause cause = {0};

    place_put_text(dir, "file", "t,v\n1,2\nx,4\n");
    order.fd = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    check(file_check_run(&file_check, &order, &result, &cause) == 0 &&
              check_result_rejects(&result, &config),
          "rows of a bad file may never reach the sink");
    order.size = 8;
    check(file_check_run(&file_check, &order, &result, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "it accepts none");
    check_text(cause.text, "no space", "and says why");
    config.bad_rows = CONFIG_REJECT_ROWS;
    order.sink.accept = take_accepted;
    order.sink.context = &accepted;
    order.size = 12;
    order.sink.reject = refuse;
    order.sink.accept = NULL;
    order.sink.context = word;
    check(file_check_run(&file_check, &order, &result, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "or rejects none");
    order.sink.reject = NULL;
    check(file_check_run(&file_check, &order, &result, &cause) == 0 && result.rows == 1 &&
              result.bad_rows == 1,
          "without a sink the bytes are dropped");
    config.bad_rows = CONFIG_REJECT_FILE;
    close(order.fd);
}

static void test_limits(void)
{
    config.max_row_bytes = 20;
    config.max_columns = 4;
    restart();
    check_text(run("t,v\n1,2\n1,000000000000000000002\n3,4\n", USUAL), "1+1 row-too-long:3 BAD",
               "a row that is too long is the last");
    check_text(run("t,v\n1,2\n1,2,3,4,5\n3,4\n", USUAL), "2+1 too-many-columns:3 BAD",
               "too many columns");
    check_text(run("t,v,a,b,c\n1,2,3,4,5\n3,4\n", USUAL),
               "0+2 too-many-columns:1 too-many-columns:2 BAD", "also in the header");
    config.max_row_bytes = 1 << 20;
    config.max_columns = 1024;
    restart();
}

static void test_meta(void)
{
    uint64_t meta;

    run("t,v\n1,2\n", (struct ask){.name = "eva_20240101.csv"});
    check_text(buffer_text(&accepted), "1,2,,eva\n", "the user is taken from the name");
    meta = result.meta;
    check(result.has_meta && meta == digest_check("user_id=eva\n", 12), "and tells it apart");
    run("t,v\n1,2\n", (struct ask){.name = "udo_20240101.csv"});
    check(result.has_meta && result.meta != meta, "from another user's");
    run("PAR1", (struct ask){.name = "eva_20240101.csv"});
    check(!result.has_meta && result.meta == 0, "nothing of it is left for the next file");
    run("t,v,user_id\n1,2,udo\n", (struct ask){.name = "eva_20240101.csv"});
    check(!result.has_meta, "but not where the file says who it is");
    check_text(buffer_text(&accepted), "1,2,,udo\n", "which rules");
}

/* ---- packed ------------------------------------------------------------------------------- */

static struct buffer packed;

static const char *const packed_names[] = {"data.csv", "data.csv.gz", "data.csv.zst"};

static const char *run_as(enum decompress_format format, struct ask ask)
{
    if (ask.name == NULL)
        ask.name = packed_names[format];
    return run_bytes(packed.len == 0 ? "" : packed.data, packed.len, ask);
}

static const char *run_packed(enum decompress_format format, const char *text, struct ask ask)
{
    buffer_clear(&packed);
    pack(&packed, format, text, strlen(text));
    return run_as(format, ask);
}

static bool hash_is(const unsigned char sha[DIGEST_SIZE], const char *bytes, size_t len)
{
    unsigned char want[DIGEST_SIZE];

    hash(bytes, len, want);
    return memcmp(sha, want, DIGEST_SIZE) == 0;
}

static bool says(const char *text)
{
    struct buffer out = {0};
    bool found;

    violations_summary(&result.violations, &out);
    found = strstr(buffer_text(&out), text) != NULL;
    if (!found)
        printf("# it says: %s\n", buffer_text(&out));
    buffer_free(&out);
    return found;
}

/* Check that a broken file is known by its own bytes, and none of its rows counts. */
static void check_broken(const char *what)
{
    check(result.broken && result.bytes == packed.len && result.violations.total == 1 &&
              hash_is(result.sha256, packed.data, packed.len) && result.rows == 0 &&
              result.bad_rows == 0 && result.rest == 0 && !result.no_rows && !result.prefix_found &&
              check_result_rejects(&result, &config),
          "%s counts for nothing", what);
}

static void test_packed(enum decompress_format format)
{
    static const char text[] = HEADER "1,2,a\n2,3,\n";
    uint64_t meta;

    check_text(run_packed(format, text, USUAL), "2+0", "a good packed file");
    check_text(buffer_text(&accepted), "1,2,a,anonymous\n2,3,,anonymous\n", "gives its rows");
    check(result.bytes == strlen(text) && hash_is(result.sha256, text, strlen(text)) &&
              hash_is(result.raw_sha256, packed.data, packed.len) && !result.broken,
          "is known by the CSV inside");
    check_text(run_packed(format, "\xEF\xBB\xBF" HEADER "1,2,a\n\n3,4,", USUAL),
               "2+1 no-newline blank-row:3 BAD", "lines are those of the CSV");
    check_text(run_packed(format, "", USUAL), "0+0 no-rows", "nothing inside");
    check_text(run_packed(format, HEADER, USUAL), "0+0 no-rows", "a header inside");
    check_text(run_packed(format, "PK\x03\x04", USUAL), "0+0 format-error:0 BAD", "a zip inside");
    check(!result.broken && says("what is inside is no CSV but zip"), "is no fault of the packing");
    check_text(run_packed(format, "\x1F\x8B\x08", USUAL), "0+0 format-error:0 BAD", "packed twice");
    run_packed(DECOMPRESS_PLAIN, text, (struct ask){.name = "eva_20240101.csv"});
    meta = result.meta;
    run_packed(format, text,
               (struct ask){.name = format == DECOMPRESS_GZIP ? "eva_20240101.csv.gz"
                                                              : "eva_20240101.csv.zst"});
    check(result.has_meta && result.meta == meta, "the name says the same of it");
    check_text(buffer_text(&accepted), "1,2,a,eva\n2,3,,eva\n", "in its rows, too");
}

static void test_packed_broken(enum decompress_format format)
{
    static const char text[] = HEADER "1,2,a\n2,x,\n";
    struct buffer whole = {0};
    size_t i, found = 0;

    pack(&whole, format, text, strlen(text));
    for (i = 1; i < whole.len; i++) {
        buffer_clear(&packed);
        buffer_append(&packed, whole.data, i);
        found += strcmp(run_as(format, USUAL), "0+0 truncated-file:0 BAD") == 0 &&
                 check_result_only_truncated(&result);
    }
    check(found == whole.len - 1, "each cut is one, and no more is said");
    check_broken("a cut file");
    check(says("send it again"), "and its sender is told");
    config.bad_rows = CONFIG_REJECT_ROWS;
    check_text(run_as(format, (struct ask){.prefix = HEADER "1,2,a\n"}), "0+0 truncated-file:0 BAD",
               "also where rows are rejected");
    check_broken("with a booked beginning");
    check_text(run_as(format, (struct ask){.complete_only = true}), "0+0 truncated-file:0 BAD",
               "also where it may still grow");
    config.bad_rows = CONFIG_REJECT_FILE;
    buffer_clear(&packed);
    buffer_append(&packed, whole.data, whole.len);
    buffer_byte(&packed, '\n');
    check_text(run_as(format, USUAL), "0+0 format-error:0 BAD", "something behind it");
    check_broken("it");
    check(says("something else follows"), "it is said what");
    packed.len--;
    packed.data[packed.len - 3] ^= 1;
    check_text(run_as(format, USUAL), "0+0 format-error:0 BAD", "a flipped bit");
    check_broken("it");
    check(says("is damaged"), "it is said what");
    check_text(run_bytes(text, strlen(text), (struct ask){.name = packed_names[format]}),
               "0+0 format-error:0 BAD", "CSV that is not packed");
    check(says("name it NAME.csv"), "it is said what to do");
    buffer_free(&whole);
}

static void test_packed_prefix(enum decompress_format format)
{
    check_text(run_packed(format, HEADER "1,2,a\n3,4,\n", (struct ask){.prefix = HEADER "1,2,a\n"}),
               "1+0 prefix", "what was booked is passed over");
    check_text(buffer_text(&accepted), "3,4,,anonymous\n", "the rest is new");
    check_text(run_packed(format, HEADER "1,2,a\n3,4,\n", (struct ask){.prefix = HEADER "1,2,b\n"}),
               "2+0", "other content is not");
    check_text(run_packed(format, HEADER "1,2,a\n", (struct ask){.prefix = HEADER "1,2,a\n3,4,\n"}),
               "1+0", "nor is content that is longer than the file");
    check_text(run_packed(format, HEADER "1,2,a\n", (struct ask){.prefix = HEADER "1,2,a\n"}),
               "0+0 prefix", "all of it may be booked");
    check_text(run_packed(format, HEADER "1,2,a\n3,4,\n", (struct ask){.prefix = HEADER "1,2,a"}),
               "1+0 prefix", "also without its line end");
    check_text(run_packed(format, HEADER "1,2,a\r\n3,4,\n", (struct ask){.prefix = HEADER "1,2,a"}),
               "1+0 prefix", "or with CRLF");
    check_text(run_packed(format, HEADER "1,2,ab\n3,4,\n", (struct ask){.prefix = HEADER "1,2,a"}),
               "2+0 continued", "a last row that goes on is none");
    check_text(run_packed(format, HEADER "1,2,a\r", (struct ask){.prefix = HEADER "1,2,a"}),
               "0+1 continued truncated-file:2 BAD", "nor is one with half a line end");
    run_packed(format, HEADER "1,2,a\n", USUAL);
    pack(&packed, format, "3,4,\n5,6", 8);
    check_text(run_as(format, (struct ask){.prefix = HEADER "1,2,a\n", .complete_only = true}),
               "1+0 prefix rest=3", "a member that was appended, and is no whole row yet");
}

static void test_packed_limits(enum decompress_format format)
{
    struct buffer text = {0};

    buffer_string(&text, "t,v\n");
    while (text.len < 3 << 20)
        buffer_string(&text, "1,2\n1,2\n1,2\n1,2\n");
    buffer_clear(&packed);
    pack(&packed, format, text.data, text.len);
    check_text(run_as(format, USUAL), "786432+0", "the same row again and again");
    config.max_expand_ratio = 200;
    check_text(run_as(format, USUAL), "0+0 file-too-large:0 BAD", "is too dense");
    check_broken("it");
    check(says("max_expand_ratio = 200"), "it is said what allows it");
    config.max_expand_ratio = 0;
    config.max_file_bytes = 2 << 20;
    check_text(run_as(format, USUAL), "0+0 file-too-large:0 BAD", "too large a CSV inside");
    check(says("max_file_mib = 2"), "it is said what allows it");
    config.max_file_bytes = 4 << 20;
    check_text(run_as(format, USUAL), "786432+0", "a limit above it");
    config.max_file_bytes = 0;
    buffer_free(&text);
}

int main(void)
{
    enum decompress_format format;

    static const char text[] = "[schema]\nname = x\nfilename = {user_id}_20240101.csv\n"
                               "[field.1]\nname = t\ntype = number\nrequired = true\n"
                               "[field.2]\nname = v\ntype = integer\nrequired = true\n"
                               "maximum = 100\n"
                               "[field.3]\nname = note\n"
                               "[field.4]\nname = user_id\ndefault = anonymous\n";
    char path[64];
    struct cause cause;

    dir = place_enter();
    place_put_text(dir, "schema.ini", text);
    snprintf(path, sizeof path, "%s/schema.ini", place);
    config = (struct config){.max_row_bytes = 1 << 20,
                             .max_columns = 1024,
                             .max_bad_percent = 100,
                             .max_reported_errors = 1000};
    if (schema_load(&schema, path, &cause) < 0 ||
        training_columns_of_schema(&layout, &schema, &cause) < 0 ||
        file_check_init(&file_check, &schema, &config, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        return 1;
    }
    check_result_init(&result, &config);
    test_accept();
    test_no_rows();
    test_blanks();
    test_magic();
    test_last_row();
    test_nul_tail();
    test_complete_only();
    test_prefix();
    test_prefix_in_header();
    test_prefix_growing();
    test_prefix_anywhere();
    test_large();
    test_reject_rows();
    test_count();
    test_sink();
    test_limits();
    test_meta();
    for (format = DECOMPRESS_GZIP; format <= DECOMPRESS_ZSTD; format++) {
        test_packed(format);
        test_packed_broken(format);
        test_packed_prefix(format);
        test_packed_limits(format);
    }
    buffer_free(&packed);
    file_check_free(&file_check);
    file_check_free(&file_check);
    check_result_free(&result);
    check_result_free(&result);
    training_columns_free(&layout);
    schema_free(&schema);
    buffer_free(&accepted);
    buffer_free(&rejected);
    buffer_free(&verdict);
    close(dir);
    return unit_done();
}
