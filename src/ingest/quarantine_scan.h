/*
 * survey: what stands in quarantine/ now, for the statistics. Nothing is remembered: whoever takes
 * files out of there by hand changes the counts.
 */
#ifndef PHASESENTINEL_QUARANTINE_SCAN_H
#define PHASESENTINEL_QUARANTINE_SCAN_H

#include <stdint.h>

#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "csv/violations.h"

struct quarantine_summary {
    uint64_t files;    /* data files whose name's last verdict is quarantined */
    uint64_t resolved; /* the others: a later file of that name was accepted */
    uint64_t violations[VIOLATION_CODE_COUNT]; /* in all NAME.errors.csv */
};

int quarantine_scan(const struct datadir *dir, const struct ledger *ledger,
                    struct quarantine_summary *survey, struct cause *cause);

#endif
