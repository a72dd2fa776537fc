#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/csv_name.h"

/* Open the name component by component, refusing links and "..": for kernels without openat2. */
static int open_by_parts(int dir_fd, const char *name, int flags)
{
    char part[NAME_MAX + 1];
    int at = dir_fd, next, error;
    size_t len;
    bool last;

    for (;; name += len + 1) {
        len = strcspn(name, "/");
        last = name[len] == '\0';
        errno = len > NAME_MAX ? ENAMETOOLONG : EXDEV;
        next = -1;
        if (len > 0 && len <= NAME_MAX && strspn(name, ".") != len) {
            memcpy(part, name, len);
            part[len] = '\0';
            next = openat(at, part, last ? flags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        error = errno;
        if (at != dir_fd)
            close(at);
        errno = error;
        if (next < 0 || last)
            return next;
        at = next;
    }
}

static int open_beneath(int dir_fd, const char *name, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);

    if (fd < 0 && errno == EPERM && (flags & O_NOATIME) != 0) /* only the owner may ask for that */
        return open_beneath(dir_fd, name, flags & ~O_NOATIME);
    /* ENOSYS: kernels before 5.6. EPERM: sandboxes whose seccomp filter does not know the call. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_by_parts(dir_fd, name, (int)how.flags);
    return (int)fd;
}

int beneath_open_parent(int dir_fd, const char *name)
{
    size_t len = (size_t)(path_base(name) - name);
    char parent[PATH_MAX];

    if (len == 0)
        return openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (len > sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(parent, name, len - 1);
    parent[len - 1] = '\0';
    return open_beneath(dir_fd, parent, O_DIRECTORY);
}

enum file_kind beneath_open_dir(int dir_fd, const char *name, int *ret_fd)
{
    const char *slash;
    unsigned depth = 1;
    int fd;

    for (slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
        depth++;
    if (depth > BENEATH_DEPTH || strlen(name) > BENEATH_DIRECTORY_BYTES)
        return FILE_OTHER;
    if (path_is_hidden(name))
        return FILE_GONE;
    fd = *name == '\0' ? openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                       : open_beneath(dir_fd, name, O_DIRECTORY);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? FILE_GONE : file_kind_of_errno();
    *ret_fd = fd;
    return FILE_DIRECTORY;
}

/* Stat a name that contains no directories. */
static enum file_kind stat_base(int dir_fd, const char *base, struct file_id *ret_id,
                                struct file_access *ret_access)
{
    struct stat st;

    if (fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return file_kind_of_errno();
    file_id_of_stat(&st, ret_id);
    file_access_of_stat(&st, ret_access);
    return file_kind_of_stat(&st);
}

enum file_kind beneath_stat(int dir_fd, const char *name, struct file_id *ret_id)
{
    struct file_access ignored;

    return beneath_stat_access(dir_fd, name, ret_id, &ignored);
}

enum file_kind beneath_stat_access(int dir_fd, const char *name, struct file_id *ret_id,
                                   struct file_access *ret_access)
{
    const char *base = path_base(name);
    enum file_kind kind;
    int parent, error;

    if (base == name)
        return stat_base(dir_fd, name, ret_id, ret_access);
    parent = beneath_open_parent(dir_fd, name);
    if (parent < 0) /* a file behind a link is not beneath dir_fd */
        return errno == ELOOP || errno == ENOTDIR ? FILE_GONE : file_kind_of_errno();
    kind = stat_base(parent, base, ret_id, ret_access);
    error = errno;
    close(parent);
    errno = error;
    return kind;
}

static enum file_kind open_regular(int dir_fd, const char *name, int *ret_fd, struct stat *ret_st)
{
    struct file_id before;
    enum file_kind kind = beneath_stat(dir_fd, name, &before);
    int fd;

    /* Stat before opening: to open a FIFO or a device may have an effect. */
    if (kind != FILE_REGULAR)
        return kind;
    /* Updating the access time would cost more than reading a small file. */
    fd = open_beneath(dir_fd, name, O_NOATIME);
    if (fd < 0)
        return file_kind_of_errno();
    kind = fstat(fd, ret_st) < 0 ? FILE_TROUBLE : file_kind_of_stat(ret_st);
    if (kind != FILE_REGULAR)
        close(fd);
    else
        *ret_fd = fd;
    return kind;
}

enum file_kind beneath_open(int dir_fd, const char *name, int *ret_fd, struct file_id *ret_id)
{
    struct stat st;
    enum file_kind kind = open_regular(dir_fd, name, ret_fd, &st);

    if (kind == FILE_REGULAR)
        file_id_of_stat(&st, ret_id);
    return kind;
}

void opened_file_open(int dir_fd, const char *name, struct opened_file *ret_file)
{
    struct stat st;

    *ret_file = (struct opened_file){.fd = -1};
    ret_file->kind = open_regular(dir_fd, name, &ret_file->fd, &st);
    ret_file->errnum = errno;
    if (ret_file->kind != FILE_REGULAR)
        return;
    file_id_of_stat(&st, &ret_file->file_id);
    file_access_of_stat(&st, &ret_file->access);
    ret_file->writer = lease_probe(ret_file->fd);
}
