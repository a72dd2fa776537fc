/*
 * status: what goes on in a data directory now: is the daemon up, which files wait and why, what
 * trouble there is, and the command that helps most.
 *
 * Everything is read without a lock, and nothing is changed.
 */
#ifndef PHASESENTINEL_STATUS_H
#define PHASESENTINEL_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "drop/pending.h"
#include "ingest/quarantine_scan.h"
#include "ops/session.h"

/* A zeroed struct is empty. */
struct status {
    bool daemon_up;
    struct buffer holder;   /* the daemon's process, from state/daemon.lock */
    const char *data_dir;   /* borrowed from the session */
    struct pending pending; /* the files that wait; read it with pending_next_waiting */
    uint64_t ignored;       /* names in the drop directory that are not accepted, orphans too */
    uint64_t orphan_count;
    struct buffer orphans; /* names of sidecars whose file is not there, each ended by a NUL */
    int64_t last_merge;    /* nanoseconds since the epoch; 0: never */
    struct quarantine_summary quarantine;
    struct buffer trouble; /* empty: none */
    struct buffer polled;  /* the directory that is scanned often, and why; empty: none */
};

/* Read the status. The session's directories are open (SESSION_LOOK_ONLY is enough). Call
 * status_free afterwards, also when this fails. */
int status_read(struct status *status, struct session *session, struct cause *cause);
void status_free(struct status *status);

/* Return the command to run next, or advice in a sentence; "" if there is nothing to do. */
const char *status_next(const struct status *status);

/* Append the status as `status --json` prints it. */
int status_json(const struct status *status, struct buffer *out, struct cause *cause);

#endif
