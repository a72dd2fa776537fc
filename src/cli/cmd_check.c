/* check: print the verdict that the daemon would give on a file's content, without side effects. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv/file_check.h"
#include "drop/sidecar.h"
#include "fs/backup_name.h"
#include "fs/csv_name.h"
#include "fs/beneath.h"
#include "base/escape.h"

struct checking {
    struct file_check file_check;
    struct check_result result;
    uint64_t files, valid, rows, violations;
};

static void print_line(FILE *to, const char *path, const char *text)
{
    struct buffer out = {0};

    escape_printable(&out, path, strlen(path));
    fprintf(to, "%s: %s\n", buffer_text(&out), text);
    buffer_free(&out);
}

/* Open the file as the daemon would, relative to its directory, and read its sidecars. */
static enum file_kind open_path(const char *path, int *ret_fd, struct file_id *file_id,
                                struct sidecars *sidecars)
{
    char *directory = strdup(path), *base = strdup(path);
    enum file_kind kind = FILE_TROUBLE;
    struct opened_file opened;
    int fd = -1;

    if (directory != NULL && base != NULL)
        fd = open(dirname(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        opened_file_open(fd, basename(base), &opened);
        kind = opened.kind;
        errno = opened.errnum;
        *ret_fd = opened.fd;
        *file_id = opened.file_id;
        if (kind == FILE_REGULAR)
            sidecar_read(fd, path_base(path), opened.access.owner, sidecars);
        close(fd);
    } else if (errno == ENOENT || errno == ENOTDIR) {
        kind = FILE_GONE;
    } else if (errno == EACCES) {
        kind = FILE_UNREADABLE;
    }
    free(directory);
    free(base);
    return kind;
}

/*
 * Append the name by which the daemon would know the file; a directory in it may name the user. Of a
 * file below user_data/, quarantine/ or archive/ that is its path below there, where `recursive` is
 * set. Of any other file it is the last part of the path, or the whole path if the schema's file
 * name has directories.
 */
static void dropped_name(const struct file_check *file_check, const char *path, struct buffer *out)
{
    static const char *const places[] = {DATADIR_DROP, "quarantine", "archive"};
    char *data_dir = realpath(file_check->config->data_dir, NULL), *whole = realpath(path, NULL);
    const char *below = NULL;
    size_t len = data_dir == NULL ? 0 : strlen(data_dir), i, part;

    if (len > 0 && whole != NULL && strncmp(whole, data_dir, len) == 0 && whole[len] == '/') {
        for (i = 0; i < sizeof places / sizeof *places; i++) {
            part = strlen(places[i]);
            if (strncmp(whole + len + 1, places[i], part) == 0 && whole[len + 1 + part] == '/')
                below = whole + len + 1 + part + 1;
        }
    }
    if (file_check->config->recursive && below != NULL)
        buffer_string(out, below);
    else
        buffer_string(out, file_check->schema->filename.slashes > 0 ? path : path_base(path));
    free(data_dir);
    free(whole);
}

static int check_content(struct checking *checking, const char *path, int fd,
                         const struct file_id *file_id, const struct sidecars *sidecars,
                         struct cause *cause)
{
    struct file_check_request request = {.fd = fd, .size = file_id->size};
    struct check_result *result = &checking->result;
    struct buffer out = {0}, name = {0};
    int checked;

    dropped_name(&checking->file_check, path, &name);
    request.name = buffer_text(&name);
    if (!buffer_failed(&name))
        backup_name_strip(name.data); /* NAME.~2~ in quarantine/ and archive/ */
    checked = buffer_failed(&name)
                  ? cause_memory(cause)
                  : file_check_run(&checking->file_check, &request, &checking->result, cause);
    buffer_free(&name);
    if (checked < 0)
        return -1;
    if (!result->no_rows && !result->cut_short)
        sidecar_agrees(sidecars, path, result->raw_sha256, &result->violations);
    violations_print(&result->violations, path, &out);
    if (result->violations.total > result->violations.count) {
        escape_printable(&out, path, strlen(path));
        buffer_printf(&out, ": %" PRIu64 " more violations are not listed (max_reported_errors)\n",
                      result->violations.total - result->violations.count);
    }
    if (buffer_failed(&out)) {
        buffer_free(&out);
        return cause_memory(cause);
    }
    fwrite(out.data == NULL ? "" : out.data, 1, out.len, stdout);
    buffer_free(&out);
    if (result->no_rows && result->violations.total == 0)
        print_line(stdout, path,
                   file_id->size == 0
                       ? "no bytes: such a file waits, it is not merged"
                       : "no rows, only a header: such a file waits, it is not merged");
    else if (result->no_newline && result->violations.total == 0)
        print_line(stderr, path,
                   "the last line has no newline: it counts once the file has been quiet for a "
                   "while");
    checking->valid += result->violations.total == 0 && !result->no_rows;
    checking->rows += result->rows + result->bad_rows;
    checking->violations += result->violations.total;
    return 0;
}

static int check_path(struct checking *checking, const char *path, struct cause *cause)
{
    struct sidecars sidecars;
    struct file_id file_id;
    int fd, result;

    checking->files++;
    switch (open_path(path, &fd, &file_id, &sidecars)) {
    case FILE_GONE:
        return cause_set(cause, CAUSE_NO_INPUT, "%s: no such file", path);
    case FILE_TROUBLE:
        return cause_errno(cause, CAUSE_RETRY, "cannot open %s", path);
    case FILE_OTHER:
    case FILE_DIRECTORY:
        print_line(
            stdout, path,
            "file-type: no regular file: links, FIFOs, devices and directories are never opened");
        checking->violations++;
        return 0;
    case FILE_UNREADABLE:
        print_line(stdout, path, "file-unreadable: no permission to read it: chmod a+r");
        checking->violations++;
        return 0;
    case FILE_REGULAR:
        break;
    }
    result = check_content(checking, path, fd, &file_id, &sidecars, cause);
    close(fd);
    return result;
}

int command_check(const struct command *command, struct session *session, struct args args,
                  struct cause *cause)
{
    struct checking checking = {0};
    int code, i, result = -1;

    if (command_option(command, session, args, "", NULL, &code) == COMMAND_HELP)
        return code;
    if (optind == args.count)
        return cause_set(cause, CAUSE_USAGE, "check which file? Try: phasesentinel check --help");
    if (session_load(session, cause) < 0)
        return -1;
    check_result_init(&checking.result, &session->config);
    if (file_check_init(&checking.file_check, &session->schema, &session->config, cause) < 0)
        goto out;
    for (i = optind; i < args.count; i++)
        if (check_path(&checking, args.values[i], cause) < 0)
            goto out;
    printf("%" PRIu64 " of %" PRIu64 " files valid, %" PRIu64 " rows, %" PRIu64 " violations\n",
           checking.valid, checking.files, checking.rows, checking.violations);
    result = checking.valid == checking.files ? COMMAND_DONE : COMMAND_BAD;
out:
    file_check_free(&checking.file_check);
    check_result_free(&checking.result);
    return result;
}
