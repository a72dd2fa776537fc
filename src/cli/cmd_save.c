/* save: put metric rows into the drop directory. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/merge_run.h"
#include "ops/save.h"

struct save_arguments {
    struct save_request request;
    const char *path; /* NULL: standard input */
    bool merge;
};

/* Read until the end of the input, which may be a pipe. Return 0, or -1 with errno. */
static int read_to_end(int fd, struct buffer *input)
{
    ssize_t n;

    while (buffer_reserve(input, 65536) == 0) {
        n = read(fd, input->data + input->len, 65536);
        if (n == 0)
            return 0;
        if (n > 0)
            input->len += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    errno = ENOMEM;
    return -1;
}

static int read_input(const struct save_arguments *arguments, struct buffer *input,
                      struct cause *cause)
{
    const char *name = arguments->request.input_name;
    int fd = arguments->path == NULL ? STDIN_FILENO : open(arguments->path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return cause_errno(cause, errno == ENOENT ? CAUSE_NO_INPUT : CAUSE_RETRY, "cannot open %s",
                           name);
    result = read_to_end(fd, input);
    if (result < 0 && !buffer_failed(input))
        cause_errno(cause, CAUSE_RETRY, "cannot read %s", name);
    else if (result < 0)
        cause_memory(cause);
    else if (input->len == 0)
        result =
            cause_set(cause, CAUSE_NO_INPUT, "%s is empty: a header and rows are needed", name);
    if (arguments->path != NULL)
        close(fd);
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

/* Save the rows, print the path, and merge if asked. */
static int save_and_print(struct session *session, const struct save_arguments *arguments,
                          struct cause *cause)
{
    struct buffer messages = {0};
    char name[SAVE_NAME_SIZE];
    enum save_result result;

    result = save_rows(session, &arguments->request, name, &messages, cause);
    fwrite(buffer_text(&messages), 1, messages.len, stderr);
    buffer_free(&messages);
    if (result == SAVE_FAILED)
        return -1;
    if (result == SAVE_INVALID)
        return COMMAND_BAD;
    printf("%s/" DATADIR_DROP "/%s\n", session->dir.path, name);
    return arguments->merge ? merge_saved(session, name, cause) : COMMAND_DONE;
}

static int save(struct session *session, struct save_arguments *arguments, struct cause *cause)
{
    struct buffer input = {0};
    int result = -1;

    arguments->request.input_name = arguments->path == NULL ? "standard input" : arguments->path;
    arguments->request.rows = &input;
    if (save_check_request(&arguments->request, &session->schema, cause) == 0 &&
        read_input(arguments, &input, cause) == 0 &&
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) == 0)
        result = save_and_print(session, arguments, cause);
    buffer_free(&input);
    return result;
}

int command_save(const struct command *command, struct session *session, struct args args,
                 struct cause *cause)
{
    static const struct option own[] = {{"user-id", required_argument, NULL, 'U'},
                                        {"source", required_argument, NULL, 'S'},
                                        {"label", required_argument, NULL, 'L'},
                                        {"merge", no_argument, NULL, 'M'},
                                        {NULL, 0, NULL, 0}};
    struct save_arguments arguments = {.request = {.source = "external"}};
    int option, code;

    while ((option = command_option(command, session, args, "", own, &code)) != -1) {
        switch (option) {
        case COMMAND_HELP:
            return code;
        case 'U':
            arguments.request.user_id = optarg;
            break;
        case 'S':
            arguments.request.source = optarg;
            break;
        case 'L':
            arguments.request.label = optarg;
            break;
        default:
            arguments.merge = true;
        }
    }
    if (arguments.request.user_id == NULL || optind + 1 < args.count)
        return cause_set(
            cause, CAUSE_USAGE,
            "save needs --user-id and at most one file. Try: phasesentinel save --help");
    arguments.path =
        optind < args.count && strcmp(args.values[optind], "-") != 0 ? args.values[optind] : NULL;
    if (session_load(session, cause) < 0)
        return -1;
    return save(session, &arguments, cause);
}
