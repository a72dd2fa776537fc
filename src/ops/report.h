/*
 * report: the statistics in four formats: stats.json, users.csv, summary.txt, phasesentinel.prom.
 *
 * All four describe the same instant. Each file is replaced whole.
 */
#ifndef PHASESENTINEL_REPORT_H
#define PHASESENTINEL_REPORT_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "store/tally_file.h"
#include "ingest/quarantine_scan.h"

/* The source of all numbers; everything is borrowed. */
struct report {
    const struct tally_file *stats;
    const struct ledger *ledger;
    const struct quarantine_summary *quarantine;
    uint64_t user_files;         /* CSV files in the drop directory */
    uint64_t total_user_samples; /* rows read from them */
    uint64_t pending;            /* files without a verdict */
    uint64_t training_inode;
    int64_t time; /* nanoseconds since the epoch */
};

/* Write the four files into stats/. */
int report_write(const struct report *report, const struct datadir *dir, struct cause *cause);

/* Append the text of stats.json, which `stats --json` prints. */
int report_json(const struct report *report, struct buffer *out, struct cause *cause);

/* Append the text of summary.txt: one screen for a person. */
void report_summary(const struct report *report, struct buffer *out);

#endif
