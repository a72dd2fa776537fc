/* merge: one run over the drop directory. */
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "ops/merge_run.h"

static void print_file(const char *what, const char *name, const char *detail)
{
    struct buffer line = {0};

    buffer_printf(&line, "%s ", what);
    escape_printable(&line, name, strlen(name));
    buffer_string(&line, ": ");
    escape_printable(&line, detail, strlen(detail));
    buffer_byte(&line, '\n');
    if (!buffer_failed(&line))
        fwrite(line.data, 1, line.len, stdout);
    buffer_free(&line);
}

static void print_verdict(void *context, const struct ingest_notice *notice)
{
    (void)context;
    /* print_waiting lists each waiting file once, at the end. */
    if (notice->event != INGEST_WAITING)
        print_file(ingest_event_name(notice->event), notice->name, notice->detail);
}

static void print_waiting(const struct pending *pending)
{
    struct pending_view file;
    size_t cursor = 0;

    while (pending_next_waiting(pending, &cursor, &file))
        print_file("waiting", file.name,
                   file.detail[0] == '\0' ? pending_reason_name(file.reason) : file.detail);
}

static void print_summary(const struct merge_run *run)
{
    printf("%" PRIu64 " merged, %" PRIu64 " grown, %" PRIu64 " duplicate, %" PRIu64
           " quarantined, %zu waiting; %" PRIu64 " rows merged, %" PRIu64 " in training_data.csv\n",
           run->files[INGEST_MERGED], run->files[INGEST_GROWN], run->files[INGEST_DUPLICATE],
           run->files[INGEST_QUARANTINED], pending_waiting_count(merge_run_pending(run)), run->rows,
           merge_run_training_rows(run));
}

int command_merge(const struct command *command, struct session *session, struct args args,
                  struct cause *cause)
{
    const struct merge_run_request request = {
        .program = "phasesentinel merge", .wait_ms = COMMAND_LOCK_WAIT, .notify = print_verdict};
    struct merge_run run;
    int code, result;

    if (command_option(command, session, args, "", NULL, &code) == COMMAND_HELP)
        return code;
    if (optind < args.count)
        return cause_set(cause, CAUSE_USAGE, "merge takes the whole drop directory, no file names");
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) < 0 ||
        merge_run_open(&run, session, &request, cause) < 0)
        return -1;
    result = merge_run_all(&run, cause);
    if (result == 0) {
        print_waiting(merge_run_pending(&run));
        print_summary(&run);
        result = run.files[INGEST_QUARANTINED] > 0 ? COMMAND_BAD : COMMAND_DONE;
    }
    merge_run_close(&run);
    return result;
}
