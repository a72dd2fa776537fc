/*
 * blind: file systems of which inotify does not tell all. What another machine does on NFS, a FUSE
 * daemon behind its mount, somebody in the directories below an overlay: there is no event for it.
 * A directory on such a file system is watched, and looked at often as well.
 */
#ifndef PHASESENTINEL_FS_TYPE_H
#define PHASESENTINEL_FS_TYPE_H

#include <stdint.h>

/* The name of the file system that the open file is on, if it is such a one; else NULL. */
const char *fs_type_name(int fd);

/* The same for the f_type of statfs(2). */
const char *fs_type_misses_events(uint32_t type);

#endif
