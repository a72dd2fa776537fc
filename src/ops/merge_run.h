/*
 * merge_run: one run over the drop directory, from opening the batch to publishing the statistics.
 *
 *     merge_run_open
 *     merge_run_all, merge_run_file or merge_run_adopt, once
 *     merge_run_close
 *
 * A run is safe beside a running daemon. A failed or killed run leaves what a batch leaves (transaction.c).
 */
#ifndef PHASESENTINEL_MERGE_RUN_H
#define PHASESENTINEL_MERGE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/publish.h"
#include "ops/session.h"

struct merge_run_request {
    const char *program;      /* for the mark in state/lock */
    unsigned wait_ms;         /* for state/lock, each time it is needed */
    ingest_notice_fn *notify; /* may be NULL */
    void *notify_context;
};

struct merge_run {
    struct merge_run_request request;
    struct batch batch;
    struct publisher publisher;
    uint64_t files[INGEST_EVENTS]; /* events of this run */
    uint64_t rows;                 /* merged by this run */
};

/* Open a batch. The session's directories are open and borrowed, as everything in the request. */
int merge_run_open(struct merge_run *run, struct session *session,
                   const struct merge_run_request *request, struct cause *cause);
void merge_run_close(struct merge_run *run);

/* Merge everything in the drop directory. A file that fails, or still changes, is waited for once,
 * for `settle` seconds; what is undecided then stays waiting. */
int merge_run_all(struct merge_run *run, struct cause *cause);

/* Do the same, but begin with the files that are due and this one, without a scan. */
int merge_run_file(struct merge_run *run, const char *name, struct cause *cause);

/* Take the training file as it is. With drops_merged, record the rows of all dropped files as merged
 * already. */
int merge_run_adopt(struct merge_run *run, bool drops_merged, struct cause *cause);

/* Return the files that wait, for reading. */
const struct pending *merge_run_pending(const struct merge_run *run);

/* Return the number of rows in the training file. */
uint64_t merge_run_training_rows(const struct merge_run *run);

#endif
