/*
 * publish: write stats/ and the state files after a batch.
 *
 *     publisher_init      once the batch is open; borrows it
 *     publisher_due       after batch_run: is there anything new to publish?
 *     publish
 *
 * A crash leaves each file as it was or as it is now, never half written. All of them can be made
 * again from ledger and training file.
 */
#ifndef PHASESENTINEL_PUBLISH_H
#define PHASESENTINEL_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/batch.h"
#include "ingest/quarantine_scan.h"

struct publisher {
    struct batch *batch;               /* borrowed */
    struct quarantine_summary summary; /* quarantine/ as of the last scan */
    struct file_id stats_json;         /* the file as this process wrote it */
    uint64_t pending;                  /* the number of waiting files that it states */
};

void publisher_init(struct publisher *publisher, struct batch *batch);

/* Return true if the statistics differ from what was last published. */
bool publisher_due(const struct publisher *publisher);

/*
 * Write the list of waiting files and, with save_cache, the file cache; then the statistics, if they
 * are due or another process wrote them last. `trouble` is shown by `status` until the next call,
 * "" if there is none. Takes the lock, because two processes must not write the same temporary
 * files, and fails as batch_run does.
 */
int publish(struct publisher *publisher, bool save_cache, unsigned wait_ms, const char *trouble,
            struct cause *cause);

#endif
