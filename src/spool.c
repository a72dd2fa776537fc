#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "listing.h"

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void take_signature(const struct stat *st, struct signature *signature)
{
    *signature = (struct signature){st->st_dev, st->st_ino, (uint64_t)st->st_size,
                                    nanoseconds(st->st_mtim), nanoseconds(st->st_ctim)};
}

static enum spool_kind kind_of(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return SPOOL_FILE;
    return S_ISDIR(st->st_mode) ? SPOOL_DIRECTORY : SPOOL_OTHER;
}

static enum spool_kind kind_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return SPOOL_GONE;
    case ELOOP:
    case EXDEV:
    case ENXIO:
        return SPOOL_OTHER;
    case EACCES:
    case EPERM:
        return SPOOL_UNREADABLE;
    default:
        return SPOOL_TROUBLE;
    }
}

bool signature_equal(const struct signature *left, const struct signature *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->mtime == right->mtime && left->ctime == right->ctime;
}

bool spool_name_counts(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 4 && strcasecmp(name + len - 4, ".csv") == 0;
}

enum spool_kind spool_look(int dir_fd, const char *name, struct signature *ret_signature)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return kind_of_errno();
    take_signature(&st, ret_signature);
    return kind_of(&st);
}

static int open_beneath(int dir_fd, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);

    /* Kernels before 5.6, and sandboxes that do not know the call (EPERM too, from seccomp). */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM) && strchr(name, '/') == NULL)
        fd = openat(dir_fd, name, (int)how.flags);
    return (int)fd;
}

enum spool_kind spool_open(int dir_fd, const char *name, int *ret_fd,
                           struct signature *ret_signature)
{
    struct signature before;
    enum spool_kind kind = spool_look(dir_fd, name, &before);
    int fd;

    /* Looked at first, because opening a FIFO or a device may already have an effect. */
    if (kind != SPOOL_FILE)
        return kind;
    fd = open_beneath(dir_fd, name);
    if (fd < 0)
        return kind_of_errno();
    kind = spool_signature(fd, ret_signature);
    if (kind != SPOOL_FILE)
        close(fd);
    else
        *ret_fd = fd;
    return kind;
}

enum spool_kind spool_signature(int fd, struct signature *ret_signature)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return SPOOL_TROUBLE;
    take_signature(&st, ret_signature);
    return kind_of(&st);
}

enum spool_writer spool_writer(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return SPOOL_NO_WRITER;
    }
    return errno == EAGAIN ? SPOOL_WRITER : SPOOL_WRITER_UNKNOWN;
}

static bool wants_look(const char *name, unsigned char type)
{
    return type != DT_DIR && spool_name_counts(name);
}

static bool wants_type(const char *name, unsigned char type)
{
    return type == DT_UNKNOWN && spool_name_counts(name);
}

/* What stands behind a name that counts; without a signature where nobody wants one. */
static enum spool_kind kind_of_entry(const struct listing_entry *entry, struct signature *signature)
{
    if (entry->type == DT_DIR)
        return SPOOL_DIRECTORY;
    if (!entry->looked)
        return entry->type == DT_REG ? SPOOL_FILE : SPOOL_OTHER;
    errno = entry->errnum;
    if (errno != 0)
        return kind_of_errno();
    take_signature(&entry->st, signature);
    return kind_of(&entry->st);
}

int spool_scan(int dir_fd, enum spool_depth depth, spool_found *found, void *context,
               uint64_t *ret_ignored, struct cause *cause)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next = -1;
    const struct listing_entry *entry;
    struct signature signature = {0};
    struct listing *listing = NULL;
    enum spool_kind kind;
    uint64_t ignored = 0;

    if (fd >= 0)
        listing = listing_open(fd, depth == SPOOL_NAMES ? wants_type : wants_look);
    while (listing != NULL && (next = listing_next(listing, &entry)) > 0) {
        kind = spool_name_counts(entry->name) ? kind_of_entry(entry, &signature) : SPOOL_DIRECTORY;
        if (kind == SPOOL_DIRECTORY)
            ignored++;
        else if (kind != SPOOL_GONE)
            found(context, entry->name, kind, &signature);
    }
    if (next < 0)
        cause_errno(cause, CAUSE_TROUBLE, "cannot list the drop directory");
    listing_close(listing);
    if (fd >= 0)
        close(fd);
    if (next == 0)
        *ret_ignored = ignored;
    return next;
}
