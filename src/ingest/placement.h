/*
 * disposal: what becomes of a judged file. Archived, deleted, or in quarantine with its reasons.
 *
 * Before the verdict is booked its reasons are written under the number that its ledger line will
 * have, and synced with those of the batch, in state/moving/: SEQ.errors.csv and SEQ.rejects.csv.
 * After it the file itself is taken from the drop directory to state/moving/SEQ.csv, where nobody
 * else reaches it, compared with what was read, and only then given its place, reasons first. What
 * a crash leaves in state/moving/ is completed by placement_recover, or undone where no line was
 * booked.
 *
 * Names in quarantine/ and archive/ are never overwritten: a second NAME becomes NAME.~2~, its
 * companions likewise; but a copy equal byte for byte is dropped.
 */
#ifndef PHASESENTINEL_PLACEMENT_H
#define PHASESENTINEL_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "fs/durable.h"
#include "store/ledger.h"
#include "drop/sidecar.h"
#include "store/spill.h"
#include "fs/file_id.h"
#include "csv/violations.h"

enum placement { PLACE_KEEP, PLACE_ARCHIVE, PLACE_DELETE, PLACE_QUARANTINE };

/* What the configuration wants done with an accepted file. */
enum placement placement_of_accepted(const struct config *config);

/* Writes SEQ.errors.csv and, unless there are no rejected rows (NULL or empty), SEQ.rejects.csv:
 * durable once the group is, or at once (NULL). */
int placement_write_reasons(const struct datadir *dir, uint64_t seq,
                            const struct violations *violations, const struct spill *rejected,
                            struct durable_group *group, struct cause *cause);

/* SEQ.errors.csv and SEQ.rejects.csv go away again: nothing was booked. */
void placement_drop_reasons(const struct datadir *dir, uint64_t seq);

/*
 * Takes the file out of the drop directory. CAUSE_CHANGED: there stands something else than was
 * read (it was put back, a new arrival), or somebody has it open. Then, and when it is gone,
 * nothing has changed.
 */
int placement_take(const struct datadir *dir, const char *name, const struct file_id *read,
                   uint64_t seq, struct cause *cause);

/*
 * The same for its sidecars, which become state/moving/SEQ.sha256 and SEQ.done. They go before
 * their file, so that none is left behind by a crash: without SEQ.csv they come back. One that is
 * another by now is of another file, and stays.
 */
int placement_take_sidecars(const struct datadir *dir, const char *name,
                            const struct sidecars *read, uint64_t seq, struct cause *cause);

/* Their file did not follow: back beside it. */
int placement_return_sidecars(const struct datadir *dir, const char *name, uint64_t seq,
                              struct cause *cause);

/* Gives what stands under SEQ in state/moving/ its place. */
int placement_finish(const struct datadir *dir, const char *name, uint64_t seq,
                     enum placement disposal, struct cause *cause);

/*
 * Sidecars that came after their file, of the line with this number, has left: they follow it, to
 * the last of its slots, or are deleted. Where they do not fit they stay.
 */
int placement_follow(const struct datadir *dir, const char *name, const struct sidecars *read,
                     uint64_t seq, enum placement disposal, struct cause *cause);

/* NAME was accepted: copies in quarantine that are a prefix of it (fd) are taken away, with their
 * companions. */
int placement_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                      struct cause *cause);

/* Under the lock: completes or undoes whatever stands in state/moving/. */
int placement_recover(const struct datadir *dir, const struct ledger *ledger,
                      const struct config *config, struct cause *cause);

#endif
