#include "fs/durable.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;

/* ---- wrappers of system calls, which can fail ---- */

static size_t most_written = SIZE_MAX, most_read = SIZE_MAX;
static unsigned interrupted;
static int sync_errno, write_errno, rename_errno, unlink_errno, syncs;

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (interrupted > 0 && interrupted-- > 0) {
        errno = EINTR;
        return -1;
    }
    if (write_errno != 0) {
        errno = write_errno;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, len < most_written ? len : most_written, offset);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
    if (interrupted > 0 && interrupted-- > 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_pread64, fd, bytes, len < most_read ? len : most_read, offset);
}

static int sync_it(long number, int fd)
{
    syncs++;
    if (sync_errno != 0) {
        errno = sync_errno;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fdatasync(int fd)
{
    return sync_it(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_it(SYS_fsync, fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    /* Renames of temporary files must stay in one directory. */
    if (rename_errno != 0 && !(rename_errno == EXDEV && from[0] == '.')) {
        errno = rename_errno;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
    if (unlink_errno != 0) {
        errno = unlink_errno;
        unlink_errno = 0;
        return -1;
    }
    return (int)syscall(SYS_unlinkat, dir_fd, name, flags);
}

static size_t count_files(void)
{
    DIR *list = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(list)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return count;
}

static int open_file(const char *name)
{
    return openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

/* ---- bytes ---- */

static void test_write(void)
{
    int fd = open_file("a");
    char bytes[64];

    check(durable_write(fd, "world", 5, 6, "a", &cause) == 0 &&
              durable_write(fd, "hello ", 6, 0, "a", &cause) == 0 &&
              place_holds(dir, "a", "hello world"),
          "bytes are written at their offset");
    most_written = most_read = 3;
    interrupted = 4;
    check(durable_write(fd, "0123456789", 10, 2, "a", &cause) == 0 &&
              place_holds(dir, "a", "he0123456789"),
          "also after short writes and EINTR");
    interrupted = 4;
    check(durable_read(fd, bytes, sizeof bytes, 2, "a", &cause) == 10 &&
              memcmp(bytes, "0123456789", 10) == 0,
          "bytes are read, also after short reads and EINTR");
    most_written = most_read = SIZE_MAX;
    check(durable_read(fd, bytes, 4, 0, "a", &cause) == 4 &&
              durable_read(fd, bytes, 4, 10, "a", &cause) == 2 &&
              durable_read(fd, bytes, 4, 12, "a", &cause) == 0 &&
              durable_read(fd, bytes, 4, 99, "a", &cause) == 0,
          "only the end of the file gives fewer bytes");
    check(durable_truncate(fd, 4, "a", &cause) == 0 && place_holds(dir, "a", "he01"),
          "the file is truncated");
    write_errno = ENOSPC;
    cause = (struct cause){0};
    check(durable_write(fd, "x", 1, 0, "a", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              cause.errnum == ENOSPC && strstr(cause.text, "No space") != NULL,
          "ENOSPC is CAUSE_RETRY: %s", cause.text);
    write_errno = 0;
    sync_errno = EIO;
    check(durable_sync(fd, "a", &cause) < 0 && cause.kind == CAUSE_PANIC && cause.errnum == EIO,
          "a failed sync is CAUSE_PANIC");
    check(durable_sync_dir(dir, "a", &cause) < 0 && cause.kind == CAUSE_PANIC,
          "so is a failed sync of a directory");
    syncs = 0;
    check(durable_sync(fd, "a", &cause) < 0 && syncs == 1, "a failed sync is not retried");
    sync_errno = EINVAL;
    check(durable_sync_dir(dir, "a", &cause) == 0, "EINVAL for a directory is no failure");
    sync_errno = 0;
    close(fd);
    check(durable_read(-1, bytes, 1, 0, "a", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              durable_truncate(-1, 1, "a", &cause) < 0 && cause.kind == CAUSE_PANIC,
          "errors of read and truncate are reported");
    unlinkat(dir, "a", 0);
}

/* ---- whole files ---- */

static void test_replace(void)
{
    char longest[256];

    check(durable_replace(dir, "a", "one", 3, true, &cause) == 0 && place_holds(dir, "a", "one") &&
              count_files() == 1,
          "a file is created");
    syncs = 0;
    check(durable_replace(dir, "a", "two", 3, false, &cause) == 0 && syncs == 0 &&
              place_holds(dir, "a", "two"),
          "a file is replaced without a sync");
    check(durable_replace(dir, "a", "", 0, true, &cause) == 0 && syncs == 2 &&
              place_holds(dir, "a", ""),
          "a file is replaced by an empty one, with syncs of file and directory");
    write_errno = ENOSPC;
    check(durable_replace(dir, "a", "three", 5, true, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              count_files() == 1 && place_holds(dir, "a", ""),
          "without space the old file stays, and no temporary file");
    write_errno = 0;
    sync_errno = EIO;
    check(durable_replace(dir, "a", "three", 5, true, &cause) < 0 && cause.kind == CAUSE_PANIC &&
              place_holds(dir, "a", ""),
          "a file whose sync failed does not replace the old one");
    sync_errno = 0;
    place_put_text(dir, ".a.tmp", "what a crash left");
    check(durable_replace(dir, "a", "x", 1, true, &cause) == 0 && place_holds(dir, "a", "x") &&
              count_files() == 1,
          "a temporary file of a crash is overwritten");
    memset(longest, 'n', 250);
    longest[250] = '\0';
    check(durable_replace(dir, longest, "x", 1, false, &cause) == 0 && count_files() == 2,
          "a name may have 250 bytes");
    unlinkat(dir, longest, 0);
    unlinkat(dir, "a", 0);
}

static void test_copy(void)
{
    int fd = open_file("a");
    struct buffer bytes = {0}, copy = {0};
    size_t i;

    for (i = 0; i < 700000; i++)
        buffer_byte(&bytes, (char)place_random());
    durable_write(fd, bytes.data, bytes.len, 0, "a", &cause);
    check(durable_copy(fd, 0, bytes.len, dir, "b", &cause) == 0 && place_get(dir, "b", &copy) &&
              copy.len == bytes.len && memcmp(copy.data, bytes.data, copy.len) == 0,
          "a file is copied");
    check(durable_copy(fd, 1000, 300000, dir, "b", &cause) == 0 && place_get(dir, "b", &copy) &&
              copy.len == 300000 && memcmp(copy.data, bytes.data + 1000, copy.len) == 0 &&
              count_files() == 2,
          "a range replaces another file");
    cause = (struct cause){0};
    check(durable_copy(fd, 600000, 100001, dir, "b", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              count_files() == 2 && place_get(dir, "b", &copy) && copy.len == 300000,
          "a range beyond the end changes nothing");
    check(durable_copy(fd, 5, 0, dir, "c", &cause) == 0 && place_holds(dir, "c", ""),
          "an empty range makes an empty file");
    unlinkat(dir, "a", 0);
    unlinkat(dir, "b", 0);
    unlinkat(dir, "c", 0);
    close(fd);
    buffer_free(&bytes);
    buffer_free(&copy);
}

/* ---- names ---- */

static void test_move(int error, const char *how)
{
    struct stat before, after;
    struct timespec times[2] = {{1000, 5}, {2000, 7}};

    rename_errno = error;
    place_put_text(dir, "a", "first");
    utimensat(dir, "a", times, 0);
    fchmodat(dir, "a", 0640, 0);
    fstatat(dir, "a", &before, 0);
    check(durable_move(dir, "a", dir, "b", &cause) == 0 && place_holds(dir, "b", "first") &&
              count_files() == 1,
          "%s: a file is moved", how);
    fstatat(dir, "b", &after, 0);
    check(after.st_mtim.tv_sec == 2000 && after.st_mtim.tv_nsec == 7 &&
              (after.st_mode & 0777) == 0640,
          "%s: time and mode are kept", how);
    place_put_text(dir, "a", "second");
    cause = (struct cause){0};
    check(durable_move(dir, "a", dir, "b", &cause) < 0 && cause.errnum == EEXIST &&
              place_holds(dir, "a", "second") && place_holds(dir, "b", "first") &&
              count_files() == 2,
          "%s: it never replaces another file", how);
    check(durable_move(dir, "x", dir, "c", &cause) < 0 && cause.errnum == ENOENT &&
              count_files() == 2,
          "%s: a missing file fails with ENOENT", how);
    if (error == EXDEV) {
        write_errno = ENOSPC;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && cause.kind == CAUSE_RETRY &&
                  place_holds(dir, "a", "second") && count_files() == 2,
              "%s: without space the file stays in its place", how);
        write_errno = 0;
        sync_errno = EIO;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && cause.kind == CAUSE_PANIC &&
                  place_holds(dir, "a", "second"),
              "%s: after a failed sync the file stays in its place", how);
        sync_errno = 0;
        syscall(SYS_unlinkat, dir, "c", 0);
        unlink_errno = EBUSY;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && place_holds(dir, "a", "second") &&
                  count_files() == 2,
              "%s: if the original cannot be removed, the copy is", how);
    }
    rename_errno = 0;
    unlinkat(dir, "a", 0);
    unlinkat(dir, "b", 0);
}

static void test_duplicate(void)
{
    int fd;

    place_put_text(dir, "a", "judged");
    fd = openat(dir, "a", O_RDONLY | O_CLOEXEC);
    unlinkat(dir, "a", 0);
    place_put_text(dir, "a", "swapped");
    check(durable_copy_file(fd, dir, "b", &cause) == 0 && place_holds(dir, "b", "judged"),
          "the open file is copied, not the one that has its name now");
    check(durable_copy_file(fd, dir, "a", &cause) < 0 && cause.errnum == EEXIST &&
              place_holds(dir, "a", "swapped") && count_files() == 2,
          "the copy never replaces another file");
    close(fd);
    fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(durable_copy_file(fd, dir, "c", &cause) < 0 && count_files() == 2,
          "a directory is not copied");
    close(fd);
    unlinkat(dir, "a", 0);
    unlinkat(dir, "b", 0);
}

static void test_names(void)
{
    struct stat st;

    check(durable_mkdir(dir, "d", 0750, &cause) == 0 && fstatat(dir, "d", &st, 0) == 0 &&
              S_ISDIR(st.st_mode),
          "a directory is created");
    syncs = 0;
    check(durable_mkdir(dir, "d", 0750, &cause) == 0 && syncs == 0,
          "an existing directory takes no sync");
    check(durable_mkdir(dir, "x/y", 0750, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "a directory without parent fails");
    place_put_text(dir, "a", "new");
    place_put_text(dir, "b", "old");
    check(durable_rename(dir, "a", "b", &cause) == 0 && place_holds(dir, "b", "new"),
          "a rename replaces the other file");
    check(durable_rename(dir, "a", "b", &cause) < 0 && cause.errnum == ENOENT,
          "a missing file is not renamed");
    unlinkat(dir, "b", 0);
    unlinkat(dir, "d", AT_REMOVEDIR);
    place_put_text(dir, ".a.csv.tmp", "x");
    place_put_text(dir, ".tmp", "x");
    place_put_text(dir, "b.tmp", "mine");
    place_put_text(dir, ".hidden", "mine");
    durable_sweep(dir);
    check(place_holds(dir, ".a.csv.tmp", NULL) && place_holds(dir, "b.tmp", "mine") &&
              place_holds(dir, ".hidden", "mine"),
          "durable_sweep removes temporary files only");
}

static void test_group(void)
{
    struct durable_group group = {0};
    char name[16];
    unsigned i, good = 0;
    size_t before = count_files();

    syncs = 0;
    check(durable_group_sync(&group, "nothing", &cause) == 0 && syncs == 0,
          "a group of no files takes no sync");
    for (i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "g%u", i);
        good += durable_group_write(&group, dir, name, name, 2, &cause) == 0 &&
                place_holds(dir, name, name);
    }
    check(good == 3 && syncs == 0 && count_files() == before + 3,
          "durable_group_write names files without syncs");
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 4,
          "durable_group_sync syncs each file once, and the directory once");
    syncs = 0;
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 0,
          "a second durable_group_sync syncs nothing");
    for (i = 0; i < DURABLE_GROUP + 1; i++)
        good += durable_group_write(&group, dir, "g0", "again", 5, &cause) == 0;
    check(good == 3 + DURABLE_GROUP + 1 && syncs == DURABLE_GROUP && group.count == 1,
          "a full group is synced before the next file");
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == DURABLE_GROUP + 2,
          "durable_group_sync syncs the last file and the directory");
    write_errno = ENOSPC;
    check(durable_group_write(&group, dir, "g0", "more", 4, &cause) < 0 &&
              cause.kind == CAUSE_RETRY && place_holds(dir, "g0", "again"),
          "without space the old file stays");
    write_errno = 0;
    durable_group_write(&group, dir, "g1", "lost", 4, &cause);
    durable_group_forget(&group);
    syncs = 0;
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 0,
          "files of a forgotten group are not synced");
    durable_group_write(&group, dir, "g1", "bad", 3, &cause);
    sync_errno = EIO;
    check(durable_group_sync(&group, "g", &cause) < 0 && cause.kind == CAUSE_PANIC &&
              group.count == 0,
          "a failed sync of a group is CAUSE_PANIC");
    sync_errno = 0;
    for (i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "g%u", i);
        unlinkat(dir, name, 0);
    }
}

int main(void)
{
    dir = place_enter();
    umask(0);
    test_write();
    test_replace();
    test_group();
    test_copy();
    test_move(0, "by renaming");
    test_move(EINVAL, "by linking");
    test_move(EXDEV, "across file systems");
    test_duplicate();
    test_names();
    close(dir);
    return unit_done();
}
