/*
 * sandbox: give up the rights that the process does not need.
 *
 * sandbox_enter gives up new privileges and all capabilities but those that help with files of
 * other users. With Landlock it also confines the process to its own directories: below them files
 * and directories may be read, written, created, moved and removed, but not executed. Of all other
 * files only those in the directories of `read_again` may be read. As far as the kernel's Landlock
 * supports it, TCP, signals to other processes and abstract sockets are forbidden. Open descriptors
 * keep their rights.
 *
 * Call it once, after the data directory is open and before the first thread is started: it holds
 * for the calling thread and all that it creates, and cannot be taken back.
 *
 * Landlock's rules are bound to directories, not to paths. A directory that is removed and created
 * again, or mounted over, stays reachable because the rule is on a directory above it: for all that
 * lies in the data directory that is the data directory itself. If the drop directory is a symbolic
 * link, the whole directory that contains its target is allowed, unless that is the root directory.
 */
#ifndef PHASESENTINEL_SANDBOX_H
#define PHASESENTINEL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct sandbox_access {
    const int *own;                /* the open data directory, and those that may be links in it */
    size_t own_count;              /* descriptors in `own` */
    const char *own_path;          /* the data directory's path, for the log */
    const char *drop_path;         /* the drop directory's path */
    const char *const *read_again; /* files to be read later, also through links; ends with NULL */
};

/* Enter the sandbox and append to `said` what was given up, for the log. Return false if the kernel
 * cannot confine the process to directories. */
bool sandbox_enter(const struct sandbox_access *access, struct buffer *said);

#endif
