/*
 * tally_file: counts of the rows and files by user, source, label and phase, in state/tally.csv.
 *
 *     tally_file_open        read the counts
 *     tally_file_catch_up    count the ledger's lines that are not counted yet
 *     tally_file_apply       count a line whose rows are tallied already, while files are merged
 *     tally_file_save        write the counts
 *     tally_file_close
 *
 * The file names the offset in the ledger up to which lines are counted. After a crash
 * tally_file_catch_up reads the ranges of the later lines, or of all lines if the file is lost: the
 * counts can always be made again from ledger and training file.
 *
 * The fields that are counted are known by name: see csv/tally.
 */
#ifndef PHASESENTINEL_TALLY_FILE_H
#define PHASESENTINEL_TALLY_FILE_H

#include <stdint.h>

#include "base/cause.h"
#include "csv/tally.h"
#include "schema/schema.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "store/training.h"

struct tally_file {
    const struct datadir *dir;   /* borrowed */
    const struct schema *schema; /* borrowed */
    uint64_t at;                 /* offset in the ledger up to which lines are counted */
    struct tally tally;          /* rows of the present training file */
    struct counter files;        /* accepted files by user */
    struct counter rejected;     /* quarantined files by the user in their name */
    struct counter arrivals;     /* time of the last verdict by user, nanoseconds since 1970 */
};

/* Read state/tally.csv. If it is missing or damaged, all counts are 0 and `at` is 0. */
int tally_file_open(struct tally_file *counts, const struct datadir *dir,
                    const struct schema *schema, struct cause *cause);
void tally_file_close(struct tally_file *counts);

/* Count all committed lines that are not counted yet, reading their ranges. */
int tally_file_catch_up(struct tally_file *counts, const struct ledger *ledger,
                        const struct training *training, struct cause *cause);

/* Count one line with the tally of its rows. The caller sets `at` to the end of the batch. */
int tally_file_apply(struct tally_file *counts, const struct ledger_line *line,
                     const struct tally *tally, struct cause *cause);

/* Replace state/tally.csv. */
int tally_file_save(const struct tally_file *counts, struct cause *cause);

#endif
