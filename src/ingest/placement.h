/*
 * placement: where a judged file goes. It stays, or goes to archive/, is deleted, or goes to
 * quarantine/ with the reasons for that.
 *
 *     placement_write_reasons     before the verdict is committed: state/moving/SEQ.errors.csv and
 *                                 SEQ.rejects.csv, where SEQ is the number of its ledger line
 *     ... the ledger line is durable ...
 *     placement_take_sidecars     NAME.sha256 and NAME.done leave the drop directory
 *     placement_take              the file leaves it and becomes state/moving/SEQ.csv
 *     placement_finish            everything under SEQ in state/moving/ gets its place
 *
 * In state/moving/ nobody else reaches a file, so it is compared there with what was read
 * (move_out) before it is placed. Its reasons are placed before the file, so that quarantine/ never
 * holds a file without them. A crash leaves files in state/moving/; placement_recovery completes or
 * undoes the move.
 *
 * Names in quarantine/ and archive/ are never overwritten: a second NAME becomes NAME.~2~, and its
 * companions likewise (backup_name). A file equal byte for byte to a copy there is deleted instead.
 * "Not there" always means ENOENT: any other error ends the operation.
 *
 * A sidecar that comes after its file has left stays in the drop directory until its owner removes
 * it. It is not moved after the file.
 *
 * All functions return 0, or -1 with the cause. `name` is the path of the file below the drop
 * directory.
 */
#ifndef PHASESENTINEL_PLACEMENT_H
#define PHASESENTINEL_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "csv/violations.h"
#include "drop/sidecar.h"
#include "fs/durable.h"
#include "fs/file_id.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "store/spill.h"

enum placement { PLACE_KEEP, PLACE_ARCHIVE, PLACE_DELETE, PLACE_QUARANTINE };

/* Return the place that the configuration wants for an accepted file. */
enum placement placement_of_accepted(const struct config *config);

/* Write SEQ.errors.csv and, unless `rejected` is NULL or empty, SEQ.rejects.csv. They are durable
 * once `group` is synced; with group NULL when this returns. */
int placement_write_reasons(const struct datadir *dir, uint64_t seq,
                            const struct violations *violations, const struct spill *rejected,
                            struct durable_group *group, struct cause *cause);

/* Delete SEQ.errors.csv and SEQ.rejects.csv: no verdict was committed, or there will be another. */
void placement_drop_reasons(const struct datadir *dir, uint64_t seq);

/* Move the sidecars that were read to state/moving/. Call this before placement_take: sidecars
 * without SEQ.csv come back after a crash, and none is left behind by a file that has left.
 * CAUSE_CHANGED: a sidecar has changed since it was read, or a program has it open, so that the
 * file must not leave either; placement_return_sidecars moves the others back. */
int placement_take_sidecars(const struct datadir *dir, const char *name,
                            const struct sidecars *read, uint64_t seq, struct cause *cause);

/* Move the file to state/moving/SEQ.csv. Fails as move_out does: with CAUSE_CHANGED nothing has
 * moved, and placement_return_sidecars undoes placement_take_sidecars. */
int placement_take(const struct datadir *dir, const char *name, const struct file_id *read,
                   uint64_t seq, struct cause *cause);

/* Move the sidecars back beside their file. */
int placement_return_sidecars(const struct datadir *dir, const char *name, uint64_t seq,
                              struct cause *cause);

/* Give everything under SEQ in state/moving/ its place. Where the file is not there (PLACE_KEEP,
 * or a crash after it was placed), only the reasons of its rejected rows are placed. */
int placement_finish(const struct datadir *dir, const char *name, uint64_t seq,
                     enum placement placement, struct cause *cause);

/* Delete from quarantine/ the copies of NAME that are a prefix of the first `size` bytes of `fd`,
 * which were accepted, with their companions. */
int placement_resolve(const struct datadir *dir, const char *name, int fd, uint64_t size,
                      struct cause *cause);

/* ---- state/moving/, for placement_recovery ------------------------------------------------ */

/* The files under one SEQ, in the order in which they get their place. */
enum moving_file {
    MOVING_ERRORS,
    MOVING_REJECTS,
    MOVING_SHA256,
    MOVING_DONE,
    MOVING_FILE,
    MOVING_FILES
};

#define MOVING_NAME_SIZE 64

/* Write the name in state/moving/, such as SEQ.errors.csv. */
void moving_name(char out[MOVING_NAME_SIZE], uint64_t seq, enum moving_file which);

/* Find out which files there are under this SEQ. */
int moving_look(const struct datadir *dir, uint64_t seq, bool ret_there[MOVING_FILES],
                struct cause *cause);

#endif
