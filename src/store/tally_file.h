/*
 * stats: what is in the training file, by user, source, label and phase, without reading it again.
 *
 * Counted while files are merged, kept in state/tally.csv together with the place in the ledger
 * that the counts reach. After a crash the lines behind that place are made up for by reading their
 * ranges; if the file is lost, all of them. So the numbers can always be made again from ledger and
 * training file.
 */
#ifndef PHASESENTINEL_TALLY_FILE_H
#define PHASESENTINEL_TALLY_FILE_H

#include <stdint.h>

#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "schema/schema.h"
#include "csv/tally.h"
#include "store/training.h"

struct tally_file {
    const struct datadir *dir;
    const struct schema *schema;
    uint64_t at;             /* the ledger is counted up to here */
    struct tally tally;      /* the rows of the present training file */
    struct counter files;    /* accepted files by user */
    struct counter rejected; /* quarantined files by the user in their name */
    struct counter arrivals; /* time of the last verdict by user, nanoseconds since the epoch */
};

/* Reads state/tally.csv. One that is missing or damaged counts from the ledger's beginning. */
int tally_file_open(struct tally_file *stats, const struct datadir *dir,
                    const struct schema *schema, struct cause *cause);
void tally_file_close(struct tally_file *stats);

/* Counts all committed lines that are not counted yet, reading their ranges. */
int tally_file_catch_up(struct tally_file *stats, const struct ledger *ledger,
                        const struct training *training, struct cause *cause);

/* Counts one line whose rows are already tallied. The caller sets `at` behind the batch. */
int tally_file_apply(struct tally_file *stats, const struct ledger_line *line,
                     const struct tally *tally, struct cause *cause);

/* Replaces state/tally.csv. */
int tally_file_save(const struct tally_file *stats, struct cause *cause);

#endif
