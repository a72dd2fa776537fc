/*
 * take: a file leaves the drop directory, or comes back to it.
 *
 * Whoever writes to the drop directory may swap files at any moment. So a file is opened and
 * compared with what was read, and held, so that who wants to write to it waits; then it is renamed
 * to where nobody else reaches it, and compared with what is open: what came under our hands
 * instead goes back. state/moving/ is such a place. Where the file is on a file system of its own,
 * it is a directory .phasesentinel beside it, ours alone, from which it is copied; state/moving/
 * has a marker meanwhile, that holds the file's name. What a crash leaves there comes back, a new
 * arrival.
 */
#ifndef PHASESENTINEL_MOVE_OUT_H
#define PHASESENTINEL_MOVE_OUT_H

#include <stdint.h>

#include "base/cause.h"
#include "store/datadir.h"
#include "fs/file_id.h"

/*
 * The file becomes state/moving/MOVING. CAUSE_CHANGED: there stands something else than was read,
 * or somebody has it open. Then, and when it is gone, nothing has changed.
 */
int move_out(const struct datadir *dir, const char *name, const struct file_id *read,
             const char *moving, const char *marker, struct cause *cause);

/* Back to the drop directory, under another name if its own is taken; or nowhere, if what has its
 * name now begins with it. */
int move_back(const struct datadir *dir, int from_dir, const char *from, const char *name,
              struct cause *cause);

/* Under the lock: what a crash left hidden, as this marker says, comes back. While its file system
 * is away it stays hidden. */
int move_out_recover(const struct datadir *dir, const char *marker, struct cause *cause);

/* 1: the first `limit` bytes are the same in both; 0: not; -1. */
int same_bytes(int left, int right, uint64_t limit, struct cause *cause);

#endif
