/*
 * log_throttle: a line for each file, but not for each of thousands.
 *
 * A burst of lines is logged, then a few a second; the files beyond that are counted and summed up
 * in one line by log_throttle_flush.
 */
#ifndef PHASESENTINEL_LOG_THROTTLE_H
#define PHASESENTINEL_LOG_THROTTLE_H

#include <stdint.h>

#include "drop/ingest_event.h"

struct log_throttle {
    int64_t lines_left;
    int64_t refill_time; /* time of the last refill of lines_left */
    uint64_t suppressed_files, suppressed_rows;
};

void log_throttle_init(struct log_throttle *throttle);

/* Log the notice, or count it. */
void log_throttle_notice(struct log_throttle *throttle, const struct ingest_notice *notice);

/* Log how many files and rows were not logged, if any. */
void log_throttle_flush(struct log_throttle *throttle);

#endif
