/*
 * slot: where a file finds its place in quarantine/ and archive/.
 *
 * Below them stand the directories of the drop directory, made as they are needed: what came as
 * alice/one.csv goes to quarantine/alice/. There the nth file of a name has the nth slot, one.csv,
 * one.csv.~2~ and so on, with the companions of a quarantined file behind it: one.csv.errors.csv.
 * Nothing is ever overwritten, whatever somebody else puts there.
 */
#ifndef PHASESENTINEL_BACKUP_NAME_H
#define PHASESENTINEL_BACKUP_NAME_H

#include <limits.h>
#include <stdbool.h>

#include "base/cause.h"

#define BACKUP_NAME_SIZE    (NAME_MAX + 1)
#define BACKUP_NAME_LONGEST 224 /* with ".~9999999~.rejects.csv" it fits into NAME_MAX */

/*
 * Opens the directory below `root` in which the name's slots are; with `create` it is made where it
 * is missing, else -1 with ENOENT in the cause. Where something else has the name of a directory,
 * that one is called NAME.d.
 */
int backup_name_open(int root, const char *name, bool create, struct cause *cause);

/* The nth slot of the name in there, with a companion's suffix. */
void backup_name_format(char out[BACKUP_NAME_SIZE], const char *name, unsigned n,
                        const char *suffix);

/* The path of the name's first slot, if that is not the name itself, which was too long; `out` has
 * room for the name. */
bool backup_name_of_long(const char *name, char *out);

/* Makes the path of a slot below quarantine/ or archive/ the name that it is a slot of. */
void backup_name_strip(char *path);

/* The same, with NAME for each directory NAME.d, which may also be a directory's own name. False if
 * there is none. */
bool backup_name_other_origin(char *path);

#endif
