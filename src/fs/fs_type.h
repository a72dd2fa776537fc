/*
 * fs_type: file systems for which inotify misses events.
 *
 * There is no event for what another machine does on NFS, a FUSE daemon behind its mount, or a user
 * in the directories below an overlay. Directories on such file systems are watched and also
 * scanned often.
 */
#ifndef PHASESENTINEL_FS_TYPE_H
#define PHASESENTINEL_FS_TYPE_H

#include <stdint.h>

/* Return the name of the file system that contains the open file, if inotify misses events there;
 * else NULL. */
const char *fs_type_name(int fd);

/* Return the same for an f_type of statfs(2). */
const char *fs_type_misses_events(uint32_t type);

#endif
