#include "fs/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COPY_SIZE (256 * 1024)

int durable_sync(int fd, const char *what, struct cause *cause)
{
    if (fdatasync(fd) < 0)
        return cause_errno(cause, CAUSE_PANIC, "cannot sync %s", what);
    return 0;
}

int durable_sync_dir(int dir_fd, const char *what, struct cause *cause)
{
    /* EINVAL: this file system cannot sync directories, so there is nothing to wait for. */
    if (fsync(dir_fd) < 0 && errno != EINVAL)
        return cause_errno(cause, CAUSE_PANIC, "cannot sync the directory of %s", what);
    return 0;
}

int durable_write(int fd, const void *bytes, size_t len, uint64_t offset, const char *what,
                  struct cause *cause)
{
    const char *from = bytes;
    ssize_t n;

    while (len > 0) {
        n = pwrite(fd, from, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cause_errno(cause, CAUSE_RETRY, "cannot write to %s", what);
        from += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

ssize_t durable_read(int fd, void *bytes, size_t len, uint64_t offset, const char *what,
                     struct cause *cause)
{
    char *to = bytes;
    size_t done = 0;
    ssize_t n;

    while (done < len) {
        n = pread(fd, to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cause_errno(cause, CAUSE_RETRY, "cannot read %s", what);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int durable_read_file(int dir_fd, const char *name, struct buffer *out, struct cause *cause)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? 0 : cause_errno(cause, CAUSE_RETRY, "cannot open %s", name);
    if (fstat(fd, &st) < 0 || buffer_reserve(out, (size_t)st.st_size + 1) < 0) {
        close(fd);
        return cause_memory(cause);
    }
    n = durable_read(fd, out->data + out->len, (size_t)st.st_size, 0, name, cause);
    close(fd);
    if (n < 0)
        return -1;
    out->len += (size_t)n;
    return 0;
}

int durable_truncate(int fd, uint64_t length, const char *what, struct cause *cause)
{
    if (ftruncate(fd, (off_t)length) < 0)
        return cause_errno(cause, CAUSE_PANIC, "cannot cut %s back to %llu bytes", what,
                           (unsigned long long)length);
    return 0;
}

int durable_mkdir(int dir_fd, const char *name, mode_t mode, struct cause *cause)
{
    if (mkdirat(dir_fd, name, mode) == 0)
        return durable_sync_dir(dir_fd, name, cause);
    if (errno != EEXIST)
        return cause_errno(cause, CAUSE_RETRY, "cannot create the directory %s", name);
    return 0;
}

/* Write the file under a temporary name, sync it if `sync`, and rename it. The directory is not
 * synced. Return the descriptor, or -1. */
static int write_and_rename(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                            struct cause *cause)
{
    char temporary[300];
    int fd;

    snprintf(temporary, sizeof temporary, ".%.250s.tmp", name);
    fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot create %s", temporary);
    if (durable_write(fd, bytes, len, 0, temporary, cause) == 0 &&
        (!sync || durable_sync(fd, temporary, cause) == 0) &&
        durable_rename(dir_fd, temporary, name, cause) == 0)
        return fd;
    close(fd);
    unlinkat(dir_fd, temporary, 0);
    return -1;
}

int durable_replace(int dir_fd, const char *name, const void *bytes, size_t len, bool sync,
                    struct cause *cause)
{
    int fd = write_and_rename(dir_fd, name, bytes, len, sync, cause);

    if (fd < 0)
        return -1;
    close(fd);
    return sync ? durable_sync_dir(dir_fd, name, cause) : 0;
}

static void close_group(struct durable_group *group)
{
    while (group->count > 0)
        close(group->fds[--group->count]);
}

/* Sync the content of the files, not their names. */
static int sync_group(struct durable_group *group, const char *what, struct cause *cause)
{
    size_t i;
    int result = 0;

    for (i = 0; i < group->count && result == 0; i++)
        result = durable_sync(group->fds[i], what, cause);
    close_group(group);
    return result;
}

int durable_group_write(struct durable_group *group, int dir_fd, const char *name,
                        const void *bytes, size_t len, struct cause *cause)
{
    int fd;

    if (group->count == DURABLE_GROUP && sync_group(group, name, cause) < 0)
        return -1;
    fd = write_and_rename(dir_fd, name, bytes, len, false, cause);
    if (fd < 0)
        return -1;
    /* Start writing all files to disk before the first sync waits. */
    durable_writeback(fd, 0, len);
    group->fds[group->count++] = fd;
    group->dir_fd = dir_fd;
    group->named = true;
    return 0;
}

int durable_group_sync(struct durable_group *group, const char *what, struct cause *cause)
{
    if (sync_group(group, what, cause) < 0)
        return -1;
    if (group->named && durable_sync_dir(group->dir_fd, what, cause) < 0)
        return -1;
    group->named = false;
    return 0;
}

void durable_group_forget(struct durable_group *group)
{
    close_group(group);
    group->named = false;
}

static int copy_bytes(struct durable_range from, int to_fd, uint64_t to_offset, const char *what,
                      struct cause *cause)
{
    char *chunk = malloc(COPY_SIZE);
    uint64_t done = 0;
    ssize_t n = 0;

    if (chunk == NULL)
        return cause_memory(cause);
    while (done < from.length) {
        size_t want = from.length - done < COPY_SIZE ? (size_t)(from.length - done) : COPY_SIZE;

        n = durable_read(from.fd, chunk, want, from.offset + done, what, cause);
        if (n <= 0 || durable_write(to_fd, chunk, (size_t)n, to_offset + done, what, cause) < 0)
            break;
        done += (uint64_t)n;
    }
    free(chunk);
    if (done < from.length)
        return n == 0 ? cause_set(cause, CAUSE_RETRY, "%s is shorter than it was", what) : -1;
    return 0;
}

int durable_copy(int from_fd, uint64_t offset, uint64_t length, int dir_fd, const char *name,
                 struct cause *cause)
{
    char temporary[300];
    int fd, result = -1;

    snprintf(temporary, sizeof temporary, ".%.250s.tmp", name);
    fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot create %s", temporary);
    if (copy_bytes((struct durable_range){from_fd, offset, length}, fd, 0, name, cause) == 0 &&
        durable_sync(fd, name, cause) == 0 && durable_rename(dir_fd, temporary, name, cause) == 0)
        result = durable_sync_dir(dir_fd, name, cause);
    close(fd);
    if (result < 0)
        unlinkat(dir_fd, temporary, 0);
    return result;
}

int durable_copy_range(struct durable_range from, int to_fd, uint64_t to_offset, const char *what,
                       struct cause *cause)
{
    off_t source = (off_t)from.offset, target = (off_t)to_offset;
    uint64_t done = 0;
    ssize_t n;

    while (done < from.length) {
        n = copy_file_range(from.fd, &source, to_fd, &target, (size_t)(from.length - done), 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        done = (uint64_t)source - from.offset;
    }
    /* Not every file system supports copy_file_range. A plain copy also reports the real error. */
    from.offset += done;
    from.length -= done;
    return copy_bytes(from, to_fd, to_offset + done, what, cause);
}

void durable_writeback(int fd, uint64_t offset, uint64_t length)
{
    sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE);
}

int durable_tmpfile(int dir_fd, struct cause *cause)
{
    char name[64];
    int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        /* This file system has no O_TMPFILE: give the file a name that durable_sweep removes. */
        snprintf(name, sizeof name, ".unnamed.%ld.tmp", (long)gettid());
        fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlinkat(dir_fd, name, 0);
    }
    return fd < 0 ? cause_errno(cause, CAUSE_RETRY, "cannot create a temporary file in state/")
                  : fd;
}

/* Rename `temporary` to a name of the same directory that must not exist yet. */
static int name_new_file(int dir_fd, const char *temporary, const char *name, struct cause *cause)
{
    if (renameat2(dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL && linkat(dir_fd, temporary, dir_fd, name, 0) == 0 &&
        unlinkat(dir_fd, temporary, 0) == 0)
        return 0;
    return cause_errno(cause, CAUSE_RETRY, "cannot create %s", name);
}

int durable_copy_file(int from_fd, int to_dir, const char *to, struct cause *cause)
{
    struct timespec times[2], now;
    char temporary[64];
    struct stat st;
    int out, result = -1;

    if (fstat(from_fd, &st) < 0 || !S_ISREG(st.st_mode))
        return cause_set(cause, CAUSE_RETRY, "what becomes %s is no regular file", to);
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(temporary, sizeof temporary, ".%ld-%lld%09ld.tmp", (long)getpid(),
             (long long)now.tv_sec, now.tv_nsec);
    out = openat(to_dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0666);
    if (out < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot create %s", temporary);
    if (copy_bytes((struct durable_range){from_fd, 0, (uint64_t)st.st_size}, out, 0, to, cause) < 0)
        goto done;
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    futimens(out, times);
    if (durable_sync(out, to, cause) == 0 && name_new_file(to_dir, temporary, to, cause) == 0)
        result = durable_sync_dir(to_dir, to, cause);
done:
    close(out);
    if (result < 0)
        unlinkat(to_dir, temporary, 0);
    return result;
}

static int copy_and_unlink(int from_dir, const char *from, int to_dir, const char *to,
                           struct cause *cause)
{
    int fd = openat(from_dir, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), result;

    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open %s", from);
    result = durable_copy_file(fd, to_dir, to, cause);
    close(fd);
    if (result < 0 || unlinkat(from_dir, from, 0) == 0)
        return result;
    cause_errno(cause, CAUSE_RETRY, "cannot remove %s after it was copied", from);
    unlinkat(to_dir, to, 0);
    return -1;
}

int durable_move(int from_dir, const char *from, int to_dir, const char *to, struct cause *cause)
{
    if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EXDEV)
        return copy_and_unlink(from_dir, from, to_dir, to, cause);
    if (errno == EINVAL) {
        /* This file system has no NOREPLACE, but link does not replace a file either. */
        if (linkat(from_dir, from, to_dir, to, 0) == 0 && unlinkat(from_dir, from, 0) == 0)
            return 0;
    }
    return cause_errno(cause, CAUSE_RETRY, "cannot move %s to %s", from, to);
}

int durable_rename(int dir_fd, const char *from, const char *to, struct cause *cause)
{
    if (renameat(dir_fd, from, dir_fd, to) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot rename %s to %s", from, to);
    return 0;
}

void durable_sweep(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    size_t len;

    if (list == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        len = strlen(entry->d_name);
        if (entry->d_name[0] == '.' && len > 5 && strcmp(entry->d_name + len - 4, ".tmp") == 0)
            unlinkat(dir_fd, entry->d_name, 0);
    }
    closedir(list);
}
