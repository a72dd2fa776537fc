/*
 * durable: the steps by which bytes and names survive a crash.
 *
 * The only module that calls fsync, rename and ftruncate. `what` names the file in messages. A
 * failed sync is CAUSE_PANIC and must never be retried: the kernel may have dropped the pages, and
 * the next sync would succeed without them. Every other failure is CAUSE_RETRY and leaves nothing
 * that a restart would not undo.
 */
#ifndef PHASESENTINEL_DURABLE_H
#define PHASESENTINEL_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cause.h"

int durable_sync(int fd, const char *what, struct cause *cause);
int durable_sync_dir(int dir_fd, const char *what, struct cause *cause);

/* Write all bytes at the offset; repeat after short writes and EINTR. */
int durable_write(int fd, const void *bytes, size_t len, uint64_t offset, const char *what,
                  struct cause *cause);

/* Read up to len bytes at the offset; fewer only at the end of the file. Return their count, or -1.
 */
ssize_t durable_read(int fd, void *bytes, size_t len, uint64_t offset, const char *what,
                     struct cause *cause);

/* Append the whole of a small file to `out`; nothing if there is no such file. */
int durable_read_file(int dir_fd, const char *name, struct buffer *out, struct cause *cause);

int durable_truncate(int fd, uint64_t length, const char *what, struct cause *cause);

/* Bytes of an open file. */
struct durable_range {
    int fd;
    uint64_t offset, length;
};

/* Copy a range into another file, at an offset. */
int durable_copy_range(struct durable_range from, int to_fd, uint64_t to_offset, const char *what,
                       struct cause *cause);

/* Ask the kernel to start writing these bytes to disk, so that a later sync takes less time. */
void durable_writeback(int fd, uint64_t offset, uint64_t length);

/* Create a file without a name in the directory. The file vanishes when it is closed, also by a
 * crash. Return the descriptor, or -1. */
int durable_tmpfile(int dir_fd, struct cause *cause);

/* Create the directory if it is missing, and sync its parent. */
int durable_mkdir(int dir_fd, const char *name, mode_t mode, struct cause *cause);

/*
 * Replace the file: write .NAME.tmp, sync it if `sync`, rename it over NAME. After a crash NAME has
 * its old or its new content; without `sync` a power cut may leave it short.
 */
int durable_replace(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                    struct cause *cause);

/*
 * A group of files in one directory that become durable together. durable_group_write replaces a
 * file like durable_replace without `sync`; after durable_group_sync all files and their names are
 * durable. Up to DURABLE_GROUP files are open until then. durable_group_forget closes them instead.
 */
#define DURABLE_GROUP 64

struct durable_group {
    int dir_fd;
    int fds[DURABLE_GROUP];
    size_t count;
    bool named; /* a name was given since the directory was synced */
};

int durable_group_write(struct durable_group *group, int dir_fd, const char *name,
                        const void *bytes, size_t len, struct cause *cause);
int durable_group_sync(struct durable_group *group, const char *what, struct cause *cause);
void durable_group_forget(struct durable_group *group);

/* Copy `length` bytes at `offset` into a file of this name, replacing any other, and sync file and
 * directory. */
int durable_copy(int from_fd, uint64_t offset, uint64_t length, int dir_fd, const char *name,
                 struct cause *cause);

/*
 * Move a file, never over another one: if the name is taken, return -1 with errnum EEXIST in the
 * cause. Across file systems copy the file, sync it, then unlink the original. The directories are
 * not synced: call durable_sync_dir once for many files.
 */
int durable_move(int from_dir, const char *from, int to_dir, const char *to, struct cause *cause);

/* Copy an open file, with its mode and times, never over another file. The copy is synced before it
 * gets its name. */
int durable_copy_file(int from_fd, int to_dir, const char *to, struct cause *cause);

/* Remove the temporary files that a crash left in the directory, while no process writes there. */
void durable_sweep(int dir_fd);

/* Rename within one directory, replacing `to`. */
int durable_rename(int dir_fd, const char *from, const char *to, struct cause *cause);

#endif
