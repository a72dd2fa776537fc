/*
 * report: the statistics as files, for scripts and for people.
 *
 * stats.json, users.csv, summary.txt and phasesentinel.prom, each replaced whole, all of the same
 * instant. The only module that includes jansson.
 */
#ifndef PHASESENTINEL_REPORT_H
#define PHASESENTINEL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "store/tally_file.h"
#include "ingest/quarantine_scan.h"

/* What is reported; all of it borrowed. */
struct report {
    const struct tally_file *stats;
    const struct ledger *ledger;
    const struct quarantine_summary *quarantine;
    uint64_t user_files;         /* CSV files in the drop directory */
    uint64_t total_user_samples; /* rows read from them */
    uint64_t pending;            /* files that are neither merged nor in quarantine */
    uint64_t training_inode;
    int64_t time; /* nanoseconds since the epoch */
};

int report_write(const struct report *report, const struct datadir *dir, struct cause *cause);

int report_json(const struct report *report, struct buffer *out, struct cause *cause);
void report_summary(const struct report *report, struct buffer *out);

/* What `status` tells. */
struct status_file {
    const char *name;
    const char *reason;
    const char *detail;
};

struct status {
    bool daemon_up;
    const char *daemon; /* its process, from daemon.lock */
    const char *data_dir;
    const struct status_file *pending;
    size_t waiting_count;
    uint64_t ignored;
    int64_t last_merge; /* nanoseconds since the epoch; 0: none */
    uint64_t quarantined;
    const char *trouble; /* "": none */
    const char *polled;  /* what is looked at often, and why; "": nothing */
    const char *next;    /* the command to run next; "": none */
};

int report_status_json(const struct status *status, struct buffer *out, struct cause *cause);

#endif
