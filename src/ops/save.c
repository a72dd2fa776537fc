#include "ops/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/escape.h"
#include "csv/csv_file.h"
#include "csv/file_check.h"
#include "fs/durable.h"

/* ---- the request -------------------------------------------------------------------------- */

static int check_word(const struct schema *schema, const char *field, const char *option,
                      const char *value, struct cause *cause)
{
    int i = schema_find(schema, field, strlen(field));
    struct buffer why = {0};
    int result = 0;

    if (strchr(value, '/') != NULL || value[0] == '\0' || value[0] == '.')
        return cause_set(cause, CAUSE_USAGE, "%s: '%s' cannot stand in a file name", option, value);
    if (i >= 0 && field_check(&schema->fields[i], value, strlen(value), &why) != FIELD_FITS)
        result = cause_set(cause, CAUSE_USAGE, "%s: %s", option, buffer_text(&why));
    buffer_free(&why);
    return result;
}

int save_check_request(const struct save_request *request, const struct schema *schema,
                       struct cause *cause)
{
    if (check_word(schema, SCHEMA_USER_ID, "--user-id", request->user_id, cause) < 0 ||
        check_word(schema, SCHEMA_SOURCE, "--source", request->source, cause) < 0)
        return -1;
    return request->label == NULL
               ? 0
               : check_word(schema, SCHEMA_LABEL, "--label", request->label, cause);
}

/* ---- added columns ------------------------------------------------------------------------ */

struct added_column {
    const char *field, *value;
};

#define MAX_ADDED 3

static bool has_column(const struct row *header, const char *field)
{
    const size_t len = strlen(field);
    size_t i;

    for (i = 0; i < header->count; i++)
        if (header->cells[i].len == len && memcmp(header->cells[i].text, field, len) == 0)
            return true;
    return false;
}

/* List the fields whose value neither a column nor the file's name gives: above all the label. Return
 * their number, or -1. */
static int find_added_columns(const struct schema *schema, const struct save_request *request,
                              const char *name, const struct row *header,
                              struct added_column added[MAX_ADDED], struct cause *cause)
{
    const struct added_column wanted[MAX_ADDED] = {{SCHEMA_USER_ID, request->user_id},
                                                   {SCHEMA_SOURCE, request->source},
                                                   {SCHEMA_LABEL, request->label}};
    char **derived = calloc(schema->count + 1, sizeof *derived);
    int count = 0;
    size_t i;

    if (derived == NULL || schema_match_name(schema, name, derived, cause) < 0) {
        free(derived);
        return -1;
    }
    for (i = 0; i < MAX_ADDED; i++) {
        int field = schema_find(schema, wanted[i].field, strlen(wanted[i].field));

        if (field >= 0 && wanted[i].value != NULL && !has_column(header, wanted[i].field) &&
            (derived[field] == NULL || strcmp(derived[field], wanted[i].value) != 0))
            added[count++] = wanted[i];
    }
    for (i = 0; i < schema->count; i++)
        free(derived[i]);
    free(derived);
    return count;
}

/* Append a row without its line end. */
static void append_row(struct buffer *out, const struct row *row)
{
    size_t len = row->raw_len;

    while (len > 0 && (row->raw[len - 1] == '\n' || row->raw[len - 1] == '\r'))
        len--;
    buffer_append(out, row->raw, len);
}

static void append_cell(struct buffer *out, const char *text)
{
    buffer_byte(out, ',');
    escape_csv_cell(out, text, strlen(text));
}

/* Append the rows with the added columns behind their own. A row that is no CSV passes as it is; the
 * check names its fault. */
static int append_rows(const struct session *session, const struct save_request *request,
                       const char *name, struct csv_file *rows, struct buffer *out,
                       struct cause *cause)
{
    struct added_column added[MAX_ADDED];
    int count = -1, next, i;
    struct row row;

    while ((next = csv_file_next(rows, &row, cause)) == CSV_READER_ROW) {
        const bool header = count < 0;

        if (header)
            count = find_added_columns(&session->schema, request, name, &row, added, cause);
        if (count < 0)
            return -1;
        append_row(out, &row);
        for (i = 0; i < count && row.fault == ROW_SOUND; i++)
            append_cell(out, header ? added[i].field : added[i].value);
        buffer_byte(out, '\n');
    }
    if (next != CSV_READER_END)
        return -1;
    return buffer_failed(out) ? cause_memory(cause) : 0;
}

static int make_content(const struct session *session, const struct save_request *request,
                        const char *name, struct buffer *out, struct cause *cause)
{
    const struct csv_file_request source = {.bytes = request->rows->data,
                                            .end = request->rows->len,
                                            .max_row_bytes = session->config.max_row_bytes,
                                            .max_columns = session->config.max_columns};
    struct csv_file rows;
    int result = csv_file_open(&rows, &source, cause);

    if (result == 0)
        result = append_rows(session, request, name, &rows, out, cause);
    csv_file_close(&rows);
    return result;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Check the file as the daemon will. */
static enum save_result check_saved(const struct session *session, const char *input_name,
                                    const struct file_check_request *request,
                                    struct buffer *messages, struct cause *cause)
{
    struct file_check file_check = {0};
    struct check_result found;
    enum save_result result = SAVE_FAILED;

    check_result_init(&found, &session->config);
    if (file_check_init(&file_check, &session->schema, &session->config, cause) == 0 &&
        file_check_run(&file_check, request, &found, cause) == 0) {
        violations_print(&found.violations, input_name, messages);
        if (found.no_rows && found.violations.total == 0)
            buffer_printf(messages, "%s: no rows, only a header\n", input_name);
        result = found.no_rows || found.violations.total > 0 ? SAVE_INVALID : SAVE_DONE;
    }
    file_check_free(&file_check);
    check_result_free(&found);
    return result;
}

static void name_saved_file(char name[SAVE_NAME_SIZE], const struct save_request *request,
                            time_t when)
{
    struct tm tm;

    gmtime_r(&when, &tm);
    snprintf(name, SAVE_NAME_SIZE, "%s_%s_%04d%02d%02d_%02d%02d%02d.csv", request->user_id,
             request->source, (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
}

/* Write, sync and check the hidden file. It is closed on return: the daemon must not find a writer
 * under the final name. */
static enum save_result write_hidden(const struct session *session,
                                     const struct save_request *request, const char *hidden,
                                     const char *name, struct buffer *messages, struct cause *cause)
{
    struct buffer content = {0};
    struct file_check_request check = {.fd = -1, .name = name};
    enum save_result result = SAVE_FAILED;

    if (make_content(session, request, name, &content, cause) < 0)
        goto out;
    check.size = content.len;
    check.fd = openat(session->dir.drop, hidden,
                      O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (check.fd < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot create %s in the drop directory", hidden);
        goto out;
    }
    if (durable_write(check.fd, content.data, content.len, 0, hidden, cause) == 0 &&
        durable_sync(check.fd, hidden, cause) == 0)
        result = check_saved(session, request->input_name, &check, messages, cause);
    close(check.fd);
out:
    buffer_free(&content);
    return result;
}

/* Rename the hidden file. While the name is taken, try that of the next second. */
static int rename_hidden(const struct session *session, const struct save_request *request,
                         const char *hidden, char name[SAVE_NAME_SIZE], time_t when,
                         struct cause *cause)
{
    const int drop = session->dir.drop;

    while (durable_move(drop, hidden, drop, name, cause) < 0) {
        if (cause->errnum != EEXIST)
            return -1;
        name_saved_file(name, request, ++when);
    }
    return durable_sync_dir(drop, name, cause);
}

enum save_result save_rows(struct session *session, const struct save_request *request,
                           char name[SAVE_NAME_SIZE], struct buffer *messages, struct cause *cause)
{
    const time_t when = time(NULL);
    enum save_result result;
    char hidden[64];

    if (save_check_request(request, &session->schema, cause) < 0 ||
        datadir_open_drop(&session->dir, cause) < 0)
        return SAVE_FAILED;
    snprintf(hidden, sizeof hidden, ".save.%ld.csv", (long)getpid());
    name_saved_file(name, request, when);
    result = write_hidden(session, request, hidden, name, messages, cause);
    if (result == SAVE_DONE && rename_hidden(session, request, hidden, name, when, cause) < 0)
        result = SAVE_FAILED;
    if (result != SAVE_DONE)
        unlinkat(session->dir.drop, hidden, 0);
    datadir_close_drop(&session->dir);
    return result;
}
