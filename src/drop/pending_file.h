/*
 * pending_file: state/waiting.csv, the list of pending files on disk.
 *
 * `phasesentinel status` shows the file, and a merge started by cron learns from it how long a file
 * has been unchanged. Losing the file costs no more than that.
 */
#ifndef PHASESENTINEL_PENDING_FILE_H
#define PHASESENTINEL_PENDING_FILE_H

#include "base/cause.h"
#include "drop/pending.h"

/* Fill an empty list; each file is due at once. A missing file, a `state_fd` of -1 and damaged
 * lines are no errors. */
int pending_load(struct pending *pending, int state_fd, struct cause *cause);

/* Replace the file if the list changed since it was loaded or saved. */
int pending_save(struct pending *pending, int state_fd, struct cause *cause);

#endif
