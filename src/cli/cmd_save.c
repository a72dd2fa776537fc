/* save: metric rows become a file in the drop directory, complete from its first instant. */
#include "base/clock.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/durable.h"
#include "csv/csv_file.h"
#include "ops/merge_run.h"
#include "csv/file_check.h"
#include "base/escape.h"

struct saving {
    const char *user_id, *source, *label, *path;
    bool merge;
};

static int check_word(const struct schema *schema, const char *field, const char *option,
                      const char *value, struct cause *cause)
{
    int i = schema_find(schema, field, strlen(field));
    struct buffer why = {0};

    if (strchr(value, '/') != NULL || value[0] == '\0' || value[0] == '.')
        return cause_set(cause, CAUSE_USAGE, "%s: '%s' cannot stand in a file name", option, value);
    if (i >= 0 && field_check(&schema->fields[i], value, strlen(value), &why) != FIELD_FITS) {
        cause_set(cause, CAUSE_USAGE, "%s: %s", option, buffer_text(&why));
        buffer_free(&why);
        return -1;
    }
    buffer_free(&why);
    return 0;
}

/* All of the input; it may be a pipe. */
static int read_input(const char *path, struct buffer *input, struct cause *cause)
{
    int fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0)
        return cause_errno(cause, errno == ENOENT ? CAUSE_NO_INPUT : CAUSE_RETRY, "cannot open %s",
                           path);
    while (buffer_reserve(input, 65536) == 0) {
        n = read(fd, input->data + input->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        input->len += (size_t)n;
    }
    if (path != NULL)
        close(fd);
    if (buffer_failed(input))
        return cause_memory(cause);
    if (n < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot read %s",
                           path == NULL ? "standard input" : path);
    if (input->len == 0)
        return cause_set(cause, CAUSE_NO_INPUT, "%s is empty: a header and rows are needed",
                         path == NULL ? "standard input" : path);
    return 0;
}

/* What each row gets, because neither its columns nor the file's name say it: the value of --label
 * above all. */
struct addition {
    const char *field, *value;
};

static size_t find_additions(const struct schema *schema, const struct saving *saving,
                             const char *name, const struct row *header,
                             struct addition additions[3], struct cause *cause)
{
    const struct addition wanted[3] = {
        {"user_id", saving->user_id}, {"source", saving->source}, {"label", saving->label}};
    char **derived = calloc(schema->count + 1, sizeof *derived);
    size_t i, j, count = 0;

    if (derived == NULL || schema_match_name(schema, name, derived, cause) < 0) {
        free(derived);
        return SIZE_MAX;
    }
    for (i = 0; i < 3; i++) {
        int field = schema_find(schema, wanted[i].field, strlen(wanted[i].field));

        for (j = 0; j < header->count; j++)
            if (header->cells[j].len == strlen(wanted[i].field) &&
                memcmp(header->cells[j].text, wanted[i].field, header->cells[j].len) == 0)
                break;
        if (field >= 0 && wanted[i].value != NULL && j == header->count &&
            (derived[field] == NULL || strcmp(derived[field], wanted[i].value) != 0))
            additions[count++] = wanted[i];
    }
    for (i = 0; i < schema->count; i++)
        free(derived[i]);
    free(derived);
    return count;
}

/* The input with the additions as columns behind its own. Rows that are no CSV pass as they are:
 * the check names them. */
static int build(const struct session *session, const struct saving *saving, const char *name,
                 const struct buffer *input, struct buffer *out, struct cause *cause)
{
    const struct csv_file_request request = {.bytes = input->data,
                                             .end = input->len,
                                             .max_row_bytes = session->config.max_row_bytes,
                                             .max_columns = session->config.max_columns};
    struct addition additions[3];
    size_t len, count = 0, i;
    struct csv_file rows;
    bool header = true;
    struct row row;
    int next, result = -1;

    if (csv_file_open(&rows, &request, cause) < 0)
        return -1;
    while ((next = csv_file_next(&rows, &row, cause)) == CSV_READER_ROW) {
        if (header) {
            count = find_additions(&session->schema, saving, name, &row, additions, cause);
            if (count == SIZE_MAX)
                goto out;
        }
        len = row.raw_len;
        while (len > 0 && (row.raw[len - 1] == '\n' || row.raw[len - 1] == '\r'))
            len--;
        buffer_append(out, row.raw, len);
        for (i = 0; i < count && row.fault == ROW_SOUND; i++) {
            buffer_byte(out, ',');
            escape_csv_cell(out, header ? additions[i].field : additions[i].value,
                            strlen(header ? additions[i].field : additions[i].value));
        }
        buffer_byte(out, '\n');
        header = false;
    }
    if (next == CSV_READER_END)
        result = buffer_failed(out) ? cause_memory(cause) : 0;
out:
    csv_file_close(&rows);
    return result;
}

/* Nothing is saved that the daemon would not take. 0, 1: bad, and said why; -1. */
static int check(const struct session *session, const char *shown, const char *name, int fd,
                 uint64_t size, struct cause *cause)
{
    struct file_check file_check = {0};
    struct check_result verdict;
    struct file_check_request order = {.fd = fd, .name = name, .size = size};
    struct buffer out = {0};
    int result = -1;

    check_result_init(&verdict, &session->config);
    if (file_check_init(&file_check, &session->schema, &session->config, cause) == 0 &&
        file_check_run(&file_check, &order, &verdict, cause) == 0) {
        violations_print(&verdict.violations, shown, &out);
        if (verdict.no_rows && verdict.violations.total == 0)
            buffer_printf(&out, "%s: no rows, only a header\n", shown);
        fwrite(out.data == NULL ? "" : out.data, 1, out.len, stderr);
        result = verdict.no_rows || verdict.violations.total > 0;
    }
    buffer_free(&out);
    file_check_free(&file_check);
    check_result_free(&verdict);
    return result;
}

static void name_for(char *out, size_t size, const struct saving *saving, time_t when)
{
    struct tm tm;

    gmtime_r(&when, &tm);
    snprintf(out, size, "%s_%s_%04d%02d%02d_%02d%02d%02d.csv", saving->user_id, saving->source,
             (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
}

/* Written under a hidden name, synced, then named: a name that is taken means the next second. */
static int write_file(struct session *session, const struct saving *saving,
                      const struct buffer *input, char *name, size_t size, struct cause *cause)
{
    struct buffer content = {0};
    char hidden[64];
    time_t when = time(NULL);
    int fd = -1, result = -1;

    snprintf(hidden, sizeof hidden, ".save.%ld.csv", (long)getpid());
    name_for(name, size, saving, when);
    if (build(session, saving, name, input, &content, cause) < 0)
        goto out;
    fd = openat(session->dir.drop, hidden, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                0644);
    if (fd < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot create %s in the drop directory", hidden);
        goto out;
    }
    if (durable_write(fd, content.data, content.len, 0, hidden, cause) < 0 ||
        durable_sync(fd, hidden, cause) < 0)
        goto out;
    result = check(session, saving->path == NULL ? "standard input" : saving->path, name, fd,
                   content.len, cause);
    if (result != 0)
        goto out;
    /* Closed first: whoever sees the name finds no writer. */
    close(fd);
    fd = -1;
    while ((result = durable_move(session->dir.drop, hidden, session->dir.drop, name, cause)) < 0 &&
           cause->errnum == EEXIST)
        name_for(name, size, saving, ++when);
    if (result == 0)
        result = durable_sync_dir(session->dir.drop, name, cause);
out:
    if (fd >= 0)
        close(fd);
    if (result != 0)
        unlinkat(session->dir.drop, hidden, 0);
    buffer_free(&content);
    return result;
}

static int merge_saved(struct session *session, const char *name, struct cause *cause)
{
    const struct merge_run_request request = {.program = "phasesentinel save",
                                              .wait_ms = COMMAND_LOCK_WAIT};
    struct merge_run run;
    int result;

    if (merge_run_open(&run, session, &request, cause) < 0)
        return -1;
    result = merge_run_file(&run, name, cause);
    if (result == 0 && run.files[INGEST_QUARANTINED] > 0)
        result = COMMAND_BAD;
    merge_run_close(&run);
    return result;
}

static int save(struct session *session, const struct saving *saving, struct cause *cause)
{
    struct buffer input = {0};
    char name[512];
    int result = -1;

    if (check_word(&session->schema, "user_id", "--user-id", saving->user_id, cause) < 0 ||
        check_word(&session->schema, "source", "--source", saving->source, cause) < 0 ||
        (saving->label != NULL &&
         check_word(&session->schema, "label", "--label", saving->label, cause) < 0) ||
        read_input(saving->path, &input, cause) < 0 ||
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) < 0 ||
        datadir_open_drop(&session->dir, cause) < 0)
        goto out;
    result = write_file(session, saving, &input, name, sizeof name, cause);
    datadir_close_drop(&session->dir);
    if (result == 0)
        printf("%s/" DATADIR_DROP "/%s\n", session->dir.path, name);
    if (result == 0 && saving->merge)
        result = merge_saved(session, name, cause);
out:
    buffer_free(&input);
    return result;
}

int command_save(const struct command *command, struct session *session, int argc, char **argv,
                 struct cause *cause)
{
    static const struct option own[] = {{"user-id", required_argument, NULL, 'U'},
                                        {"source", required_argument, NULL, 'S'},
                                        {"label", required_argument, NULL, 'L'},
                                        {"merge", no_argument, NULL, 'M'},
                                        {NULL, 0, NULL, 0}};
    struct saving saving = {.source = "external"};
    int option, code;

    while ((option = command_option(command, session, argc, argv, "", own, &code)) != -1) {
        switch (option) {
        case COMMAND_HELP:
            return code;
        case 'U':
            saving.user_id = optarg;
            break;
        case 'S':
            saving.source = optarg;
            break;
        case 'L':
            saving.label = optarg;
            break;
        default:
            saving.merge = true;
        }
    }
    if (saving.user_id == NULL || optind + 1 < argc)
        return cause_set(
            cause, CAUSE_USAGE,
            "save needs --user-id and at most one file. Try: phasesentinel save --help");
    saving.path = optind < argc && strcmp(argv[optind], "-") != 0 ? argv[optind] : NULL;
    if (session_load(session, cause) < 0)
        return -1;
    return save(session, &saving, cause);
}
