/*
 * backup_name: the places of files in quarantine/ and archive/, and their names.
 *
 * Below both stand the directories of the drop directory, made when they are needed: what came as
 * alice/one.csv goes to quarantine/alice/. The first file of a name is called one.csv there, the
 * nth one.csv.~n~, as numbered backups are by cp(1). A companion has its suffix behind that, such
 * as one.csv.~2~.errors.csv. Names are only formatted here; callers look which of them are taken.
 */
#ifndef PHASESENTINEL_BACKUP_NAME_H
#define PHASESENTINEL_BACKUP_NAME_H

#include <limits.h>

#include "base/cause.h"

#define BACKUP_NAME_SIZE    (NAME_MAX + 1)
#define BACKUP_NAME_LONGEST 224 /* with ".~9999999~.rejects.csv" it fits into NAME_MAX */

/*
 * Open the directory below `root` that holds the places of the name. With `create`, make it where
 * it is missing. A directory whose name is taken by something else is called NAME.d. Return -1 with
 * the cause; without `create`, ENOENT means that nothing has been placed there.
 */
int backup_name_open(int root, const char *name, bool create, struct cause *cause);

/* Write the name of the nth place of `name` in its directory, with a companion's suffix. In a name
 * longer than BACKUP_NAME_LONGEST a hash takes the place of the end. */
void backup_name_format(char out[BACKUP_NAME_SIZE], const char *name, unsigned n,
                        const char *suffix);

/* Cut ".~n~" off the end of a path. */
void backup_name_strip(char *path);

#endif
