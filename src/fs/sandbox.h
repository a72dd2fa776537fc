/*
 * sandbox: the process gives up what it does not need.
 *
 * No new privileges; of the capabilities only those that help with strangers' files; and with
 * Landlock nothing but its own directories: below them files and directories may be read, written,
 * made, moved and removed, but not executed, the named files' directories may be read, everything
 * else cannot be opened. No TCP, no signals to others, no abstract sockets, as far as the kernel's
 * Landlock knows of them. Descriptors that are open stay as they are.
 *
 * Call it once, after the data directory is open and before the first thread is started: all of
 * this holds for the calling thread and what comes of it, and can never be taken back.
 *
 * Landlock's rules are bound to directories, not to paths. What is removed and made anew, or
 * mounted over, is found again because the rule is on the directory above: for all that lies in the
 * data directory that is the data directory itself. Where the drop directory is a symbolic link,
 * the whole directory in which its target lies is allowed, unless that is the root directory.
 */
#ifndef PHASESENTINEL_SANDBOX_H
#define PHASESENTINEL_SANDBOX_H

#include <stdbool.h>

#include "base/buffer.h"
#include "store/datadir.h"

/* `files` (up to NULL) are read again later: the directory of each, and that of what it is a link
 * to. Appends to `said` what was given up, for the log. False: the kernel cannot confine us to
 * directories. */
bool sandbox_enter(const struct datadir *dir, const char *const *files, struct buffer *said);

#endif
