#include "fs/file_id.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"

static int64_t timespec_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool file_id_equal(const struct file_id *left, const struct file_id *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->mtime == right->mtime && left->ctime == right->ctime;
}

uint64_t file_id_hash(const struct file_id *file_id, uint64_t seed)
{
    uint64_t words[5] = {file_id->device, file_id->inode, file_id->size, (uint64_t)file_id->mtime,
                         (uint64_t)file_id->ctime};

    return digest_seeded(words, sizeof words, seed);
}

void file_id_of_stat(const struct stat *st, struct file_id *ret_id)
{
    *ret_id = (struct file_id){st->st_dev, st->st_ino, (uint64_t)st->st_size,
                               timespec_ns(st->st_mtim), timespec_ns(st->st_ctim)};
}

enum file_kind file_kind_of_stat(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return FILE_REGULAR;
    return S_ISDIR(st->st_mode) ? FILE_DIRECTORY : FILE_OTHER;
}

enum file_kind file_kind_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return FILE_GONE;
    case ELOOP:
    case EXDEV:
    case ENXIO:
        return FILE_OTHER;
    case EACCES:
    case EPERM:
        return FILE_UNREADABLE;
    default:
        return FILE_TROUBLE;
    }
}

enum file_kind file_id_of_fd(int fd, struct file_id *ret_id)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return FILE_TROUBLE;
    file_id_of_stat(&st, ret_id);
    return file_kind_of_stat(&st);
}

int64_t file_id_birth_time(int fd)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 || (stx.stx_mask & STATX_BTIME) == 0)
        return -1;
    return stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

void file_access_of_stat(const struct stat *st, struct file_access *ret_access)
{
    *ret_access = (struct file_access){st->st_uid, !S_ISDIR(st->st_mode) && st->st_nlink > 1,
                                       (st->st_mode & S_IROTH) == 0};
}
