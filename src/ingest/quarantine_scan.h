/*
 * quarantine_scan: count what is in quarantine/ now, for the statistics and for `status`.
 *
 * A data file counts if its NAME.errors.csv stands beside it. It is resolved if the ledger has a
 * later line of its name that is not `quarantined`: a corrected version was accepted. A file that
 * no line explains is to be looked at. Nothing is remembered between two scans, so files that
 * somebody takes away by hand count no more.
 */
#ifndef PHASESENTINEL_QUARANTINE_SCAN_H
#define PHASESENTINEL_QUARANTINE_SCAN_H

#include <stdint.h>

#include "base/cause.h"
#include "csv/violations.h"
#include "store/datadir.h"
#include "store/ledger.h"

struct quarantine_summary {
    uint64_t files;                            /* data files to be looked at */
    uint64_t resolved;                         /* the other data files */
    uint64_t violations[VIOLATION_CODE_COUNT]; /* by code, of all NAME.errors.csv */
};

/* Return 0, or -1 with the cause. Without a quarantine/ all counts are 0. */
int quarantine_scan(const struct datadir *dir, const struct ledger *ledger,
                    struct quarantine_summary *ret_summary, struct cause *cause);

#endif
