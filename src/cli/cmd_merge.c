/* merge: one run over the drop directory. adopt: an existing training file. */
#include "cli/command.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ingest/batch.h"
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
    text_printable(&line, name, strlen(name));
    buffer_string(&line, ": ");
    text_printable(&line, detail, strlen(detail));
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
static void wait_for_work(const struct intake *intake)
{
    struct pollfd ready = {.fd = intake_fd(intake), .events = POLLIN};
    int64_t due = intake_due(intake), now = waiting_now();
    struct timespec pause = {0};

    if (due == WAITING_NEVER)
        ppoll(&ready, 1, NULL, NULL);
    else if (due > now) {
        pause = (struct timespec){(due - now) / WAITING_SECOND, (due - now) % WAITING_SECOND};
        ppoll(&ready, 1, &pause, NULL);
    }
}

/* Has each file been looked at? A pass may be more than one batch. */
static bool is_passed(const struct waiting *waiting)
{
    int64_t now = waiting_now();
    size_t i;

    for (i = 0; i < waiting->count; i++)
        if (!waiting->files[i].looked && waiting->files[i].due <= now)
            return false;
    return true;
}

int command_run_intake(struct intake *intake, struct cause *cause)
{
    const int64_t quiet = waiting_seconds(intake->config->settle) + WAITING_SECOND / 2;
    int64_t deadline = waiting_now();
    bool passed = false, reading;

    while (intake_due(intake) <= deadline || intake_is_reading(intake)) {
        wait_for_work(intake);
        reading = intake_is_reading(intake); /* which may take long, and is no waiting */
        if (intake_run(intake, LOCK_WAIT, cause) < 0)
            return -1;
        /* What fails now may still be growing: it is given its time of quiet once. */
        if (reading || !passed)
            deadline = waiting_now() + quiet;
        passed = passed || is_passed(&intake->drop.waiting);
    }
    return 0;
}

static void print_waiting(const struct intake *intake)
{
    size_t i;

    for (i = 0; i < intake->drop.waiting.count; i++) {
        const struct waiting_file *file = &intake->drop.waiting.files[i];

        if (file->reason != WAIT_DISPOSAL)
            print_file("waiting", file->name,
                       file->detail == NULL ? reason_name(file->reason) : file->detail);
    }
}

int command_merge(const struct command *command, struct setup *setup, int argc, char **argv,
                  struct cause *cause)
{
    struct intake intake = {0};
    struct run run = {0};
    int code, result;

    if (command_option(command, setup, argc, argv, "", NULL, &code) == COMMAND_HELP)
        return code;
    if (optind < argc)
        return cause_set(cause, CAUSE_USAGE, "merge takes the whole drop directory, no file names");
    if (setup_load(setup, cause) < 0 || setup_open_dirs(setup, SETUP_CREATE_DIRS, cause) < 0)
        return -1;
    if (intake_open(&intake, &setup->config, &setup->schema, &setup->dir, "phasesentinel merge",
                    tell, &run, cause) < 0)
        return -1;
    result = intake_scan(&intake, waiting_now(), LOCK_WAIT, cause);
    if (result == 0)
        result = command_run_intake(&intake, cause);
    if (result == 0)
        result = intake_report(&intake, true, LOCK_WAIT, "", cause);
    if (result == 0) {
        print_waiting(&intake);
        printf("%" PRIu64 " merged, %" PRIu64 " grown, %" PRIu64 " duplicate, %" PRIu64
               " quarantined, %zu waiting; %" PRIu64 " rows merged, %" PRIu64
               " in training_data.csv\n",
               run.files[VERDICT_MERGED], run.files[VERDICT_GROWN], run.files[VERDICT_DUPLICATE],
               run.files[VERDICT_QUARANTINED], waiting_unjudged(&intake.drop.waiting), run.rows,
               intake.merge.ledger.training_rows);
        result = run.files[VERDICT_QUARANTINED] > 0 ? COMMAND_BAD : COMMAND_DONE;
    }
    intake_close(&intake);
    return result;
}

int command_adopt(const struct command *command, struct setup *setup, int argc, char **argv,
                  struct cause *cause)
{
    static const struct option own[] = {{"drops", required_argument, NULL, 'D'},
                                        {NULL, 0, NULL, 0}};
    struct intake intake = {0};
    const char *drops = NULL;
    int option, code, result;

    while ((option = command_option(command, setup, argc, argv, "", own, &code)) != -1) {
        if (option == COMMAND_HELP)
            return code;
        drops = optarg;
    }
    if (optind < argc || drops == NULL ||
        (strcmp(drops, "merged") != 0 && strcmp(drops, "new") != 0))
        return cause_set(cause, CAUSE_USAGE,
                         "adopt needs --drops merged or --drops new: are the rows of the files "
                         "that lie in " DATADIR_DROP "/ in the training file already?");
    if (setup_load(setup, cause) < 0 || setup_open_dirs(setup, SETUP_CREATE_DIRS, cause) < 0)
        return -1;
    if (intake_open(&intake, &setup->config, &setup->schema, &setup->dir, "phasesentinel adopt",
                    NULL, NULL, cause) < 0)
        return -1;
    result = intake_adopt(&intake, strcmp(drops, "merged") == 0, cause);
    if (result == 0)
        result = intake_scan(&intake, WAITING_NEVER, LOCK_WAIT, cause);
    if (result == 0)
        result = intake_report(&intake, false, LOCK_WAIT, "", cause);
    intake_close(&intake);
    return result;
}
