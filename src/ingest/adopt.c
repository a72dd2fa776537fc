#include "ingest/adopt.h"

#include <inttypes.h>
#include <unistd.h>

#include "ingest/outcome.h"
#include "base/log.h"
#include "base/csv_name.h"
#include "drop/drop_scan.h"

struct adoption {
    const struct ingest_env *env;
    struct file_check *file_check;
    struct check_result verdict;
    int dir_fd;
    uint64_t files;
    struct cause *cause;
    bool failed;
};

/* A file whose rows are in the training file already: its content is known from now on, valid or
 * not. */
static void adopt_drop(void *context, const char *name, enum file_kind kind,
                       const struct file_id *found)
{
    struct adoption *adoption = context;
    struct check_result *verdict = &adoption->verdict;
    struct file_check_request order = {.name = name};
    struct file_id file_id;
    struct ledger_line line;

    (void)found;
    if (adoption->failed || kind == FILE_OTHER ||
        (!adoption->env->config->recursive && !csv_name_is_accepted(name)))
        return;
    /* Left out it would be merged later, and its rows are in the training file already. */
    if (beneath_open(adoption->dir_fd, name, &order.fd, &file_id) != FILE_REGULAR) {
        cause_errno(adoption->cause, CAUSE_RETRY,
                    "cannot read %s, and what is adopted must be known: nothing was booked", name);
        adoption->failed = true;
        return;
    }
    order.size = file_id.size;
    adoption->failed = file_check_run(adoption->file_check, &order, verdict, adoption->cause) < 0;
    if (!adoption->failed && !verdict->no_rows) {
        outcome_fill_line(name, verdict, VERDICT_DUPLICATE, &line);
        line.duplicate = verdict->rows + verdict->bad_rows;
        adoption->failed = ledger_add(&adoption->env->merge->ledger, &line, adoption->cause) < 0;
        adoption->files++;
    }
    close(order.fd);
}

int adopt_drops(const struct ingest_env *env, struct file_check *file_check, struct cause *cause)
{
    struct adoption adoption = {.env = env, .file_check = file_check, .cause = cause};
    const int dirs[] = {env->dir->drop, env->dir->archive};
    /* Into directories in any case: the question was asked because of these files too. */
    const struct drop_scan_request order = {
        .recursive = true, .names_only = true, .found = adopt_drop, .context = &adoption};
    uint64_t ignored;
    size_t i;

    check_result_init(&adoption.verdict, env->config);
    for (i = 0; i < sizeof dirs / sizeof *dirs && !adoption.failed; i++) {
        adoption.dir_fd = dirs[i];
        adoption.failed |= drop_scan(dirs[i], &order, &ignored, cause) < 0;
    }
    check_result_free(&adoption.verdict);
    if (adoption.failed)
        return -1;
    log_notice("%" PRIu64 " files in " DATADIR_DROP "/ and archive/ count as merged",
               adoption.files);
    return 0;
}
