/* merge: one run over the drop directory. adopt: an existing training file. */
#include "base/clock.h"
#include "cli/command.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ops/publish.h"
#include "base/escape.h"

#define LOCK_WAIT 30000 /* milliseconds */

struct run {
    uint64_t files[VERDICT_COUNT];
    uint64_t rows;
};

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

static void tell(void *context, const char *what, const char *name, uint64_t rows,
                 const char *detail)
{
    struct run *run = context;
    enum verdict v;

    /* What waits is told at the end, once. */
    if (strcmp(what, "waiting") == 0)
        return;
    for (v = VERDICT_MERGED; v < VERDICT_COUNT; v++)
        if (strcmp(what, verdict_name(v)) == 0) {
            run->files[v]++;
            run->rows += v == VERDICT_MERGED || v == VERDICT_GROWN ? rows : 0;
        }
    print_file(what, name, detail == NULL ? "" : detail);
}

/* Until there is work, or a large file has been read. */
static void wait_for_work(const struct batch *batch)
{
    struct pollfd ready = {.fd = batch_fd(batch), .events = POLLIN};
    int64_t due = batch_due(batch), now = clock_monotonic();
    struct timespec pause = {0};

    if (due == CLOCK_NEVER)
        ppoll(&ready, 1, NULL, NULL);
    else if (due > now) {
        pause = (struct timespec){(due - now) / CLOCK_SECOND, (due - now) % CLOCK_SECOND};
        ppoll(&ready, 1, &pause, NULL);
    }
}

int command_run_intake(struct batch *batch, struct cause *cause)
{
    const int64_t quiet = clock_seconds(batch->config->settle) + CLOCK_SECOND / 2;
    int64_t deadline = clock_monotonic();
    bool passed = false, reading;

    while (batch_due(batch) <= deadline || batch_has_large(batch)) {
        wait_for_work(batch);
        reading = batch_has_large(batch); /* which may take long, and is no waiting */
        if (batch_run(batch, LOCK_WAIT, cause) < 0)
            return -1;
        /* What fails now may still be growing: it is given its time of quiet once. */
        if (reading || !passed)
            deadline = clock_monotonic() + quiet;
        passed = passed || pending_all_checked(&batch->drop.pending, clock_monotonic());
    }
    return 0;
}

static void print_waiting(const struct batch *batch)
{
    struct pending_view file;
    size_t cursor = 0;

    while (pending_next_waiting(&batch->drop.pending, &cursor, &file))
        print_file("waiting", file.name,
                   file.detail[0] == '\0' ? pending_reason_name(file.reason) : file.detail);
}

int command_merge(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause)
{
    struct batch batch = {0};
    struct publisher publisher;
    struct run run = {0};
    int code, result;

    if (command_option(command, session, argc, argv, "", NULL, &code) == COMMAND_HELP)
        return code;
    if (optind < argc)
        return cause_set(cause, CAUSE_USAGE, "merge takes the whole drop directory, no file names");
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) < 0)
        return -1;
    if (batch_open(&batch, &session->config, &session->schema, &session->dir, "phasesentinel merge",
                   tell, &run, cause) < 0)
        return -1;
    publisher_init(&publisher, &batch);
    result = batch_scan(&batch, clock_monotonic(), LOCK_WAIT, cause);
    if (result == 0)
        result = command_run_intake(&batch, cause);
    if (result == 0)
        result = publish(&publisher, true, LOCK_WAIT, "", cause);
    if (result == 0) {
        print_waiting(&batch);
        printf("%" PRIu64 " merged, %" PRIu64 " grown, %" PRIu64 " duplicate, %" PRIu64
               " quarantined, %zu waiting; %" PRIu64 " rows merged, %" PRIu64
               " in training_data.csv\n",
               run.files[VERDICT_MERGED], run.files[VERDICT_GROWN], run.files[VERDICT_DUPLICATE],
               run.files[VERDICT_QUARANTINED], pending_waiting_count(&batch.drop.pending), run.rows,
               batch.merge.ledger.training_rows);
        result = run.files[VERDICT_QUARANTINED] > 0 ? COMMAND_BAD : COMMAND_DONE;
    }
    batch_close(&batch);
    return result;
}

int command_adopt(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause)
{
    static const struct option own[] = {{"drops", required_argument, NULL, 'D'},
                                        {NULL, 0, NULL, 0}};
    struct batch batch = {0};
    struct publisher publisher;
    const char *drops = NULL;
    int option, code, result;

    while ((option = command_option(command, session, argc, argv, "", own, &code)) != -1) {
        if (option == COMMAND_HELP)
            return code;
        drops = optarg;
    }
    if (optind < argc || drops == NULL ||
        (strcmp(drops, "merged") != 0 && strcmp(drops, "new") != 0))
        return cause_set(cause, CAUSE_USAGE,
                         "adopt needs --drops merged or --drops new: are the rows of the files "
                         "that lie in " DATADIR_DROP "/ in the training file already?");
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) < 0)
        return -1;
    if (batch_open(&batch, &session->config, &session->schema, &session->dir, "phasesentinel adopt",
                   NULL, NULL, cause) < 0)
        return -1;
    publisher_init(&publisher, &batch);
    result = batch_adopt(&batch, strcmp(drops, "merged") == 0, cause);
    if (result == 0)
        result = batch_scan(&batch, CLOCK_NEVER, LOCK_WAIT, cause);
    if (result == 0)
        result = publish(&publisher, false, LOCK_WAIT, "", cause);
    batch_close(&batch);
    return result;
}
