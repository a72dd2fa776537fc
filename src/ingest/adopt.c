#include "ingest/adopt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "ingest/outcome.h"
#include "base/log.h"

struct adoption {
    const struct desk *desk;
    struct judge *judge;
    struct judgement verdict;
    int dir_fd;
    uint64_t files;
    struct cause *cause;
    bool failed;
};

/* A file whose rows are in the training file already: its content is known from now on, valid or
 * not. */
static void adopt_drop(void *context, const char *name, enum spool_kind kind,
                       const struct signature *found)
{
    struct adoption *adoption = context;
    struct judgement *verdict = &adoption->verdict;
    struct judge_order order = {.name = name};
    struct signature signature;
    struct ledger_line *line;

    (void)found;
    if (adoption->failed || kind == SPOOL_OTHER ||
        (!adoption->desk->config->recursive && !spool_name_counts(name)))
        return;
    /* Left out it would be merged later, and its rows are in the training file already. */
    if (spool_open(adoption->dir_fd, name, &order.fd, &signature) != SPOOL_FILE) {
        cause_errno(adoption->cause, CAUSE_TROUBLE,
                    "cannot read %s, and what is adopted must be known: nothing was booked", name);
        adoption->failed = true;
        return;
    }
    order.size = signature.size;
    line = malloc(sizeof *line);
    if (line == NULL)
        cause_memory(adoption->cause);
    adoption->failed =
        line == NULL || judge_run(adoption->judge, &order, verdict, adoption->cause) < 0;
    if (line != NULL && !adoption->failed && !verdict->no_rows) {
        booking_fill_line(name, verdict, VERDICT_DUPLICATE, line);
        line->duplicate = verdict->rows + verdict->bad_rows;
        adoption->failed = ledger_add(&adoption->desk->merge->ledger, line, adoption->cause) < 0;
        adoption->files++;
    }
    free(line);
    close(order.fd);
}

int adopt_drops(const struct desk *desk, struct judge *judge, struct cause *cause)
{
    struct adoption adoption = {.desk = desk, .judge = judge, .cause = cause};
    const int dirs[] = {desk->dir->drop, desk->dir->archive};
    /* Into directories in any case: the question was asked because of these files too. */
    const struct spool_order order = {
        .recursive = true, .names_only = true, .found = adopt_drop, .context = &adoption};
    uint64_t ignored;
    size_t i;

    judgement_init(&adoption.verdict, desk->config);
    for (i = 0; i < sizeof dirs / sizeof *dirs && !adoption.failed; i++) {
        adoption.dir_fd = dirs[i];
        adoption.failed |= spool_scan(dirs[i], &order, &ignored, cause) < 0;
    }
    judgement_free(&adoption.verdict);
    if (adoption.failed)
        return -1;
    log_notice("%" PRIu64 " files in " DATADIR_DROP "/ and archive/ count as merged",
               adoption.files);
    return 0;
}
