#include "ingest/adopt.h"

#include <inttypes.h>
#include <unistd.h>

#include "fs/csv_name.h"
#include "base/log.h"
#include "drop/drop_scan.h"
#include "ingest/outcome.h"

struct adoption {
    const struct ingest_env *env;
    struct file_check *file_check;
    struct check_result result;
    int dir_fd; /* the directory that is scanned */
    uint64_t files;
    struct cause *cause;
    bool failed;
};

/* Add the line of one file. A drop_scan_found. */
static void adopt_file(void *context, const char *name, enum file_kind kind,
                       const struct file_id *found)
{
    struct adoption *adoption = context;
    struct check_result *result = &adoption->result;
    struct file_check_request request = {.name = name};
    struct file_id file_id;
    struct ledger_line line;

    (void)found;
    if (adoption->failed || kind == FILE_OTHER ||
        (!adoption->env->config->recursive && !csv_name_is_accepted(name)))
        return;
    if (beneath_open(adoption->dir_fd, name, &request.fd, &file_id) != FILE_REGULAR) {
        cause_errno(adoption->cause, CAUSE_RETRY,
                    "cannot read %s, and what is adopted must be known: nothing was booked", name);
        adoption->failed = true;
        return;
    }
    request.size = file_id.size;
    adoption->failed = file_check_run(adoption->file_check, &request, result, adoption->cause) < 0;
    if (!adoption->failed && !result->no_rows) {
        outcome_fill_line(name, result, VERDICT_DUPLICATE, &line);
        line.duplicate = result->rows + result->bad_rows;
        adoption->failed =
            ledger_add(&adoption->env->transaction->ledger, &line, adoption->cause) < 0;
        adoption->files++;
    }
    close(request.fd);
}

int adopt_drops(const struct ingest_env *env, struct file_check *file_check, struct cause *cause)
{
    struct adoption adoption = {.env = env, .file_check = file_check, .cause = cause};
    const int dirs[] = {env->dir->drop, env->dir->archive};
    /* Scan directories even without `recursive`: files in them kept the training file from being
     * adopted without this. */
    const struct drop_scan_request request = {
        .recursive = true, .names_only = true, .found = adopt_file, .context = &adoption};
    uint64_t ignored;
    size_t i;

    check_result_init(&adoption.result, env->config);
    for (i = 0; i < sizeof dirs / sizeof *dirs && !adoption.failed; i++) {
        adoption.dir_fd = dirs[i];
        adoption.failed |= drop_scan(dirs[i], &request, &ignored, cause) < 0;
    }
    check_result_free(&adoption.result);
    if (adoption.failed)
        return -1;
    log_notice("%" PRIu64 " files in " DATADIR_DROP "/ and archive/ count as merged",
               adoption.files);
    return 0;
}

static void note_regular_file(void *context, const char *name, enum file_kind kind,
                              const struct file_id *file_id)
{
    (void)name;
    (void)file_id;
    *(bool *)context |= kind == FILE_REGULAR;
}

int adopt_has_drops(const struct datadir *dir, struct cause *cause)
{
    bool found = false;
    const struct drop_scan_request request = {
        .recursive = true, .names_only = true, .found = note_regular_file, .context = &found};
    uint64_t ignored;

    if (drop_scan(dir->drop, &request, &ignored, cause) < 0 ||
        drop_scan(dir->archive, &request, &ignored, cause) < 0)
        return -1;
    return found;
}
