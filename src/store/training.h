/*
 * training: training_data.csv, which this module alone writes.
 *
 *     training_open      under the lock: makes file and ledger agree (start, adopt, cut a tail,
 * refuse) training_append    the rows of an accepted file; few of them wait in memory for more
 *     training_commit    all appended bytes are in the file, durable
 *     training_rollback   or none of them
 *
 * Appends only. What stands behind the ledger's end was never committed: a reader that stops at
 * committed_bytes of stats.json never sees it, and after a crash the next training_open saves it in
 * state/cut/ and cuts it off.
 */
#ifndef PHASESENTINEL_TRAINING_H
#define PHASESENTINEL_TRAINING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/appender.h"
#include "base/cause.h"
#include "store/datadir.h"
#include "store/ledger.h"
#include "schema/schema.h"
#include "store/spill.h"
#include "csv/tally.h"
#include "csv/row_check.h"

struct training {
    const struct datadir *dir;
    const struct schema *schema;
    int fd;
    dev_t device;
    ino_t inode;
    struct training_columns layout; /* from the file's own header */
    struct appender tail;
};

void training_init(struct training *training, const struct datadir *dir,
                   const struct schema *schema);
void training_close(struct training *training);

/*
 * `ledger` is refreshed. CAUSE_CORRUPT: file and ledger contradict each other, nothing was touched.
 * CAUSE_CONFIG: a file with rows, no ledger, and dropped files of which nobody said whether they
 * are merged (adopt); or a required field is not in the file's header.
 */
int training_open(struct training *training, struct ledger *ledger, struct cause *cause);

/*
 * Takes the file as it is, whatever the ledger says: adds an `adopted` line. The caller commits the
 * ledger, with the lines of dropped files whose rows are in the file: all of them or none. If that
 * fails, nothing may be cut off.
 */
int training_adopt(struct training *training, struct ledger *ledger, struct cause *cause);

/* Would the file that is there now go with this schema? CAUSE_CONFIG: it would not. */
int training_check_schema(const struct datadir *dir, const struct schema *schema,
                          struct cause *cause);

/* Append all rows of the spill, which is finished. With a pool, a thread of it syncs early. */
int training_append(struct training *training, const struct spill *rows, struct thread_pool *pool,
                    struct cause *cause);
int training_commit(struct training *training, struct cause *cause);

/* The file ends at `end` again, whatever was appended or half written since. */
int training_rollback(struct training *training, uint64_t end, struct cause *cause);

/* Counts the rows of a committed range. */
int training_tally(const struct training *training, uint64_t offset, uint64_t length,
                   struct tally *tally, struct cause *cause);

#endif
