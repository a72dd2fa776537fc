/*
 * durable: the steps by which bytes and names survive a crash.
 *
 * The only module that calls fsync, rename and ftruncate. `what` names the file in messages. A
 * failed sync is CAUSE_PANIC and must never be tried again: the kernel may have dropped the pages
 * and call the next one a success. Everything else that fails here is CAUSE_RETRY: nothing has
 * happened that a restart would not undo.
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

/* Writes all of it at the offset, through short writes and EINTR. */
int durable_write(int fd, const void *bytes, size_t len, uint64_t offset, const char *what,
                  struct cause *cause);

/* Reads up to len bytes at the offset; fewer only at the end of the file. */
ssize_t durable_read(int fd, void *bytes, size_t len, uint64_t offset, const char *what,
                     struct cause *cause);

/* Append the whole of a small file to `out`; nothing if there is no such file. */
int durable_read_file(int dir_fd, const char *name, struct buffer *out, struct cause *cause);

int durable_truncate(int fd, uint64_t length, const char *what, struct cause *cause);

/* Copies `length` bytes from one file into another, each at its offset. */
int durable_copy_range(int from_fd, uint64_t from, uint64_t length, int to_fd, uint64_t to,
                       const char *what, struct cause *cause);

/* The disk may begin to write these bytes: the sync to come is shorter then. */
void durable_writeback(int fd, uint64_t offset, uint64_t length);

/* A new file without a name in a directory; it goes when it is closed, whatever happens. */
int durable_tmpfile(int dir_fd, struct cause *cause);

/* Creates the directory where it is missing, and syncs its parent then. */
int durable_mkdir(int dir_fd, const char *name, mode_t mode, struct cause *cause);

/*
 * The whole file at once: written as .NAME.tmp, synced if `sync`, renamed over NAME. After a crash
 * NAME is old or new; without `sync` a power cut may leave it short.
 */
int durable_replace(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                    struct cause *cause);

/*
 * Files of one directory that become durable together. Each is written and has its name at once, as
 * by durable_replace without `sync`; once durable_group_sync has returned all are durable, with
 * their names. A few files' descriptors are kept until then. One directory at a time.
 */
#define DURABLE_GROUP 64

struct durable_group {
    int dir_fd;
    int fds[DURABLE_GROUP];
    size_t count;
    bool named; /* names that the directory was not synced for */
};

int durable_group_write(struct durable_group *group, int dir_fd, const char *name,
                        const void *bytes, size_t len, struct cause *cause);
int durable_group_sync(struct durable_group *group, const char *what, struct cause *cause);
void durable_group_forget(struct durable_group *group); /* takes zeroed ones */

/* A new file from `length` bytes at `offset` of another, synced with its directory. Replaces a file
 * of that name. */
int durable_copy(int from_fd, uint64_t offset, uint64_t length, int dir_fd, const char *name,
                 struct cause *cause);

/*
 * Moves a file, never over another one: -1 with errno EEXIST in the cause if the name is taken.
 * Across file systems it is copied, synced and then unlinked. Does not sync the directories:
 * durable_sync_dir does, once for many.
 */
int durable_move(int from_dir, const char *from, int to_dir, const char *to, struct cause *cause);

/* A copy of an open file, complete from its first instant and synced, with its mode and times;
 * never over another file. */
int durable_copy_file(int from_fd, int to_dir, const char *to, struct cause *cause);

/* Removes the temporary files that a crash left in a directory; nobody may be writing there. */
void durable_sweep(int dir_fd);

/* Renames within the file system over whatever `to` is. */
int durable_rename(int dir_fd, const char *from, const char *to, struct cause *cause);

#endif
