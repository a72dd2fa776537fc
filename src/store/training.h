/*
 * training: training_data.csv, which this module alone writes.
 *
 *     training_init
 *     training_open        under the lock: make file and ledger agree, or refuse
 *     training_append      the rows of an accepted file; few rows wait in memory for more
 *     training_commit      write and sync all of them ...
 *     training_rollback    ... or remove them
 *     training_close
 *
 * The file only grows. Bytes behind the ledger's training_end were never committed: readers that
 * stop at committed_bytes of stats.json do not see them, and after a crash the next training_open
 * saves them in state/cut/ and cuts them off.
 */
#ifndef PHASESENTINEL_TRAINING_H
#define PHASESENTINEL_TRAINING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cause.h"
#include "csv/tally.h"
#include "schema/schema.h"
#include "store/appender.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "store/spill.h"
#include "store/training_header.h"

/* Return 1 if CSV files lie in user_data/ or archive/, 0 if not, or -1. */
typedef int training_drops_check(const struct datadir *dir, struct cause *cause);

struct training {
    const struct datadir *dir;       /* borrowed */
    const struct schema *schema;     /* borrowed */
    training_drops_check *has_drops; /* NULL: no CSV files lie there */
    int fd;
    dev_t device;
    ino_t inode;
    struct training_header header;
    struct appender appender;
};

void training_init(struct training *training, const struct datadir *dir,
                   const struct schema *schema, training_drops_check *has_drops);
void training_close(struct training *training);

/*
 * Open the file and compare it with the ledger, which is refreshed:
 *
 *     no file                          start one: record the header, then write it
 *     file, no started line            adopt it, if has_drops finds nothing; else CAUSE_CONFIG
 *     only the header was recorded,    write the header again
 *     and it is short or torn
 *     shorter than the ledger says     CAUSE_CORRUPT
 *     last range has another hash      CAUSE_CORRUPT; checked when the file is opened
 *     longer than the ledger says      save the rest in state/cut/, cut it off
 *
 * Return -1 with CAUSE_CONFIG also if a required field is not in the header of the file. With
 * CAUSE_CORRUPT and CAUSE_CONFIG nothing was changed.
 */
int training_open(struct training *training, struct ledger *ledger, struct cause *cause);

/*
 * Take the file as it is, whatever the ledger says: add an `adopted` line. The caller adds the
 * lines of dropped files whose rows are in the file and commits the ledger: all lines or none. If
 * that fails, the file stays as it is.
 */
int training_adopt(struct training *training, struct ledger *ledger, struct cause *cause);

/* Return -1 with CAUSE_CONFIG if the present file lacks a column that this schema requires. */
int training_check_schema(const struct datadir *dir, const struct schema *schema,
                          struct cause *cause);

/* Append all rows of a file. With a pool (or NULL) syncing begins in the background. */
int training_append(struct training *training, const struct spill *rows, struct thread_pool *pool,
                    struct cause *cause);
int training_commit(struct training *training, struct cause *cause);

/* Cut the file back to `end`, whatever was appended or half written since. */
int training_rollback(struct training *training, uint64_t end, struct cause *cause);

/* Add the rows of a committed range to the tally. */
int training_tally(const struct training *training, uint64_t offset, uint64_t length,
                   struct tally *tally, struct cause *cause);

#endif
