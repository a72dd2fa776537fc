/*
 * Load any bytes as configuration or schema: they are accepted, or refused with the wrong lines.
 * With an accepted schema, check a file that is made of its own values.
 *
 * The input: one byte, 's' (or any odd one) for a schema, 'b' (any even one) for a configuration;
 * then the file.
 */
#include <stdarg.h>
#include <string.h>

#include "schema/config.h"
#include "judged.h"
#include "base/log.h"
#include "schema/regex.h"

static int file = -1, csv;
static char path[64];
static size_t lines;    /* lines of the input file */
static size_t problems; /* number of logged lines */

/* Replace log_line (--wrap): each problem is logged as FILE: text or FILE:LINE: text. */
void __wrap_log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void __wrap_log_line(enum log_level level, const char *format, ...)
{
    static char text[65536];
    size_t len = strlen(path);
    unsigned long line;
    va_list args;
    char *end;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problems++;
    fuzz_require(level == LOG_LEVEL_ERROR && strncmp(text, path, len) == 0 && text[len] == ':',
                 "a problem names the file: %s", text);
    if (text[len + 1] == ' ')
        return;
    line = strtoul(text + len + 1, &end, 10);
    fuzz_require(end[0] == ':' && end[1] == ' ' && line >= 1 && line <= lines,
                 "the line is one of the file's %zu: %s", lines, text);
}

static void count_lines(const char *bytes, size_t len)
{
    size_t i;

    lines = 1;
    for (i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    problems = 0;
}

static void check_cause(const struct cause *cause)
{
    fuzz_require(cause->kind == CAUSE_CONFIG, "the cause is the content: %s", cause->text);
    fuzz_require(!cause->reported || problems > 0, "a reported cause was logged");
    fuzz_require(memchr(cause->text, '\0', sizeof cause->text) != NULL && *cause->text != '\0',
                 "there is a cause");
}

static void try_config(void)
{
    struct config config;
    struct cause cause = {.kind = CAUSE_USAGE};

    if (config_load(&config, path, &cause) < 0) {
        check_cause(&cause);
        return;
    }
    fuzz_require(problems == 0, "a configuration with a problem is not taken");
    fuzz_require(*config.data_dir == '/' && *config.schema == '/', "paths are absolute");
    fuzz_require(config.max_columns > 0 && config.max_row_bytes >= 1024 && config.rescan > 0 &&
                     config.max_bad_percent <= 100,
                 "numbers are in their range");
    config_free(&config);
}

/* Return a value that the schema contains, or one near it. */
static const char *own_value(const struct field *field, size_t choice)
{
    const char *const values[] = {
        field->fallback,
        field->minimum,
        field->maximum,
        field->value_count > 0 ? field->values[choice % field->value_count] : NULL,
        field->missing_count > 0 ? field->missing[choice % field->missing_count] : NULL,
        field->pattern == NULL ? NULL : regex_text(field->pattern),
        field->format,
        "1",
        "",
        "2024-02-29T12:00:00Z",
        "a b",
    };
    const size_t count = sizeof values / sizeof *values;
    size_t i;

    for (i = 0; i < count; i++)
        if (values[(choice + i) % count] != NULL)
            return values[(choice + i) % count];
    return "";
}

/* Write a header with all columns, or without every `left_out`th one, and some rows. */
static void make_csv(const struct schema *schema, size_t left_out, struct buffer *out)
{
    size_t row, i;

    for (row = 0; row < 24; row++) {
        size_t start = out->len;

        for (i = 0; i < schema->count; i++) {
            const struct field *field = &schema->fields[i];
            const char *text = row == 0 ? field->name : own_value(field, row + i * (row > 12));

            if (left_out > 0 && i % 3 == left_out - 1 && !field->required)
                continue;
            buffer_string(out, out->len > start ? "," : "");
            escape_csv_cell(out, text, strlen(text));
        }
        buffer_string(out, row % 5 == 4 ? "\r\n" : "\n");
    }
}

static void check_own_file(const struct schema *schema, size_t left_out)
{
    const struct config config = {.bad_rows = CONFIG_REJECT_ROWS,
                                  .max_bad_percent = 100,
                                  .max_row_bytes = 1 << 20,
                                  .max_columns = 4096,
                                  .max_reported_errors = 100};
    struct outcome fast_path, reference, again;
    struct buffer text = {0};
    struct training_columns layout;
    struct file_check_request request = {
        .fd = csv, .name = "user_001_external_20240101_120000.csv", .layout = &layout};
    struct cause cause;
    const char *what;

    twice_init(&fast_path, schema, &config);
    twice_init(&reference, schema, &config);
    twice_init(&again, schema, &config);
    csv_reader_use_reference(reference.file_check.rows, true);
    if (training_columns_of_schema(&layout, schema, &cause) < 0)
        abort();
    make_csv(schema, left_out, &text);
    fuzz_put(csv, text.data, text.len);
    request.size = text.len;
    twice_read(&fast_path, &request);
    twice_read(&reference, &request);
    what = twice_difference(&fast_path, &reference);
    fuzz_require(what == NULL, "the fast path gives the same results: %s", what);
    judged_check_counts(&fast_path, &request);
    if (!check_result_rejects(&fast_path.check_result, &config))
        judged_check_written(&fast_path, &again, &layout, csv);
    training_columns_free(&layout);
    twice_free(&fast_path);
    twice_free(&reference);
    twice_free(&again);
    buffer_free(&text);
}

static void try_schema(void)
{
    struct schema schema;
    struct cause cause = {.kind = CAUSE_USAGE};
    size_t i, j;

    if (schema_load(&schema, path, &cause) < 0) {
        check_cause(&cause);
        return;
    }
    fuzz_require(problems == 0, "a schema with a problem is not taken");
    for (i = 0; i < schema.count; i++) {
        const struct field *field = &schema.fields[i];

        fuzz_require(schema_find(&schema, field->name, strlen(field->name)) == (int)i,
                     "each field has a name of its own");
        fuzz_require(field->fallback == NULL ||
                         field_check(field, field->fallback, strlen(field->fallback), NULL) ==
                             FIELD_FITS,
                     "a default is a good value");
        for (j = 0; j < field->value_count; j++)
            fuzz_require(field_check(field, field->values[j], strlen(field->values[j]), NULL) ==
                             FIELD_FITS,
                         "so is each value of enum");
    }
    if (schema.count < 200)
        for (i = 0; i < 4; i++)
            check_own_file(&schema, i);
    schema_free(&schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (file < 0) {
        file = fuzz_file();
        csv = fuzz_file();
        fuzz_path(file, path);
    }
    fuzz_put(file, data + 1, size - 1);
    count_lines((const char *)data + 1, size - 1);
    if (*data & 1)
        try_schema();
    else
        try_config();
    return 0;
}
