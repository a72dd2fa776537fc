/*
 * move_out: move a file out of the drop directory into state/moving/, or back.
 *
 * Whoever writes to the drop directory may replace or change a file at any moment. So move_out
 *
 *     1 opens the file, takes a lease, so that new writers are blocked, and compares it with what
 *       was read;
 *     2 renames it to a place that nobody else can reach;
 *     3 compares it once more, there. If another file was moved instead, or a writer has opened
 *       this one, it goes back to the drop directory, where it is a new arrival.
 *
 * The place is state/moving/ itself where that is on the same file system. On another file system
 * it is a directory .phasesentinel beside the file, only for its owner; from there the file is
 * copied to state/moving/, compared again and unlinked. Meanwhile a marker in state/moving/ holds
 * the file's name, and move_out_recover moves back what a crash left hidden.
 *
 * The hidden directory is not used on the same file system too, although that would be one way
 * instead of two: state/moving/ is just as private, one rename puts the file there under the number
 * of its ledger line, and a crash at any instant leaves it under one name or the other. Measured
 * with 20,000 tiny files and source = archive, `merge` took 8 s with one rename, 14 s through a
 * hidden directory that stayed open, 58 s where it was made and removed for each file; and the
 * marker, which a crash needs, takes two syncs on top.
 */
#ifndef PHASESENTINEL_MOVE_OUT_H
#define PHASESENTINEL_MOVE_OUT_H

#include <stdint.h>

#include "base/cause.h"
#include "fs/file_id.h"
#include "store/datadir.h"

#define MOVE_OUT_MARKER ".hidden" /* suffix of the markers in state/moving/ */

/*
 * Move the file to state/moving/MOVING. `marker` is the name of the marker, if one is needed.
 * Return 0, or -1: with CAUSE_CHANGED the file is gone, is not what was read, or a program has it
 * open for writing, and nothing has moved.
 */
int move_out(const struct datadir *dir, const char *name, const struct file_id *read,
             const char *moving, const char *marker, struct cause *cause);

/*
 * Move `from` back to the drop directory as `name`, whose directory is made if it is gone; as
 * NAME.~2~.csv and so on, if the name is taken. Where the file that has the name begins with the
 * bytes of `from`, `from` is deleted: its sender has sent it again.
 */
int move_back(const struct datadir *dir, int from_dir, const char *from, const char *name,
              struct cause *cause);

/* Move back what is hidden where this marker says, and delete the marker. While the directory is
 * away (its file system is not mounted) both stay. Call this under the lock. */
int move_out_recover(const struct datadir *dir, const char *marker, struct cause *cause);

/* Return 1 if the first `length` bytes of two open files are the same, 0 if not or if one is
 * shorter, -1 if they cannot be read. */
int same_prefix(int left_fd, int right_fd, uint64_t length, struct cause *cause);

#endif
