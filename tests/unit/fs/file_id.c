#include "fs/file_id.h"

#include <errno.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;

static void id_of_name(const char *name, struct file_id *ret_id)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        abort();
    file_id_of_stat(&st, ret_id);
}

static void test_equality(void)
{
    struct file_id first, second;
    struct timespec times[2] = {{5, 6}, {1700000000, 123456789}};
    int fd = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC);

    utimensat(dir, "file.csv", times, 0);
    check(file_id_of_fd(fd, &first) == FILE_REGULAR && first.size == 7 &&
              first.mtime == INT64_C(1700000000123456789) && first.inode != 0 && first.ctime > 0,
          "size and times are read");
    id_of_name("file.csv", &second);
    check(file_id_equal(&first, &second), "name and descriptor give the same file_id");
    id_of_name("hard.csv", &second);
    check(file_id_equal(&first, &second), "so does another name of the file");
    usleep(20000);
    place_put_text(dir, "file.csv", "CONTENT");
    utimensat(dir, "file.csv", times, 0);
    check(file_id_of_fd(fd, &second) == FILE_REGULAR && second.size == first.size &&
              second.mtime == first.mtime && !file_id_equal(&first, &second),
          "a file rewritten with its old size and mtime has another file_id");
    close(fd);
}

static void test_birth_time(void)
{
    int fd = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC);
    int64_t birth = file_id_birth_time(fd);
    struct file_id file_id;

    file_id_of_fd(fd, &file_id);
    check(birth == -1 || birth <= file_id.ctime, "a file is not created after its last change");
    check(file_id_birth_time(-1) == -1, "a closed descriptor has no birth time");
    close(fd);
}

static void test_access(void)
{
    struct file_access file_access;
    struct stat st;

    if (fstatat(dir, "file.csv", &st, 0) < 0)
        abort();
    file_access_of_stat(&st, &file_access);
    check(file_access.owner == geteuid() && file_access.linked && !file_access.is_protected,
          "owner, a second name and a mode for everybody");
    if (unlinkat(dir, "hard.csv", 0) < 0 || fchmodat(dir, "file.csv", 0640, 0) < 0 ||
        fstatat(dir, "file.csv", &st, 0) < 0)
        abort();
    file_access_of_stat(&st, &file_access);
    check(!file_access.linked && file_access.is_protected, "one name, and a protected file");
    if (fstat(dir, &st) < 0)
        abort();
    file_access_of_stat(&st, &file_access);
    check(!file_access.linked, "the link count of a directory is no second name");
}

static void test_errno(void)
{
    static const struct {
        int error;
        enum file_kind kind;
    } table[] = {
        {ENOENT, FILE_GONE}, {ELOOP, FILE_OTHER},       {EXDEV, FILE_OTHER},
        {ENXIO, FILE_OTHER}, {EACCES, FILE_UNREADABLE}, {EPERM, FILE_UNREADABLE},
        {EIO, FILE_TROUBLE},
    };
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        errno = table[i].error;
        check(file_kind_of_errno() == table[i].kind, "%s", strerror(table[i].error));
    }
}

int main(void)
{
    umask(022);
    dir = place_enter();
    place_put_text(dir, "file.csv", "content");
    if (linkat(dir, "file.csv", dir, "hard.csv", 0) < 0)
        abort();
    test_equality();
    test_birth_time();
    test_access();
    test_errno();
    close(dir);
    return unit_done();
}
