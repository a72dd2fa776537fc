#include "fs/durable.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;

/* ---- the calls that fail, ours instead of libc's ------------------------------------------ */

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
    /* A temporary file gets its name in its own directory. */
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

/* ---- bytes -------------------------------------------------------------------------------- */

static void test_write(void)
{
    int fd = open_file("a");
    char bytes[64];

    check(durable_write(fd, "world", 5, 6, "a", &cause) == 0 &&
              durable_write(fd, "hello ", 6, 0, "a", &cause) == 0 &&
              place_holds(dir, "a", "hello world"),
          "bytes are written where they belong");
    most_written = most_read = 3;
    interrupted = 4;
    check(durable_write(fd, "0123456789", 10, 2, "a", &cause) == 0 &&
              place_holds(dir, "a", "he0123456789"),
          "through short writes and interruptions");
    interrupted = 4;
    check(durable_read(fd, bytes, sizeof bytes, 2, "a", &cause) == 10 &&
              memcmp(bytes, "0123456789", 10) == 0,
          "and read so");
    most_written = most_read = SIZE_MAX;
    check(durable_read(fd, bytes, 4, 0, "a", &cause) == 4 &&
              durable_read(fd, bytes, 4, 10, "a", &cause) == 2 &&
              durable_read(fd, bytes, 4, 12, "a", &cause) == 0 &&
              durable_read(fd, bytes, 4, 99, "a", &cause) == 0,
          "fewer bytes only at the end");
    check(durable_truncate(fd, 4, "a", &cause) == 0 && place_holds(dir, "a", "he01"), "cut");
    write_errno = ENOSPC;
    cause = (struct cause){0};
    check(durable_write(fd, "x", 1, 0, "a", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              cause.errnum == ENOSPC && strstr(cause.text, "No space") != NULL,
          "no space is trouble: %s", cause.text);
    write_errno = 0;
    sync_errno = EIO;
    check(durable_sync(fd, "a", &cause) < 0 && cause.kind == CAUSE_PANIC && cause.errnum == EIO,
          "a sync that fails stops all");
    check(durable_sync_dir(dir, "a", &cause) < 0 && cause.kind == CAUSE_PANIC,
          "of a directory too");
    syncs = 0;
    check(durable_sync(fd, "a", &cause) < 0 && syncs == 1, "it is not tried again");
    sync_errno = EINVAL;
    check(durable_sync_dir(dir, "a", &cause) == 0, "a directory that cannot be synced need not be");
    sync_errno = 0;
    close(fd);
    check(durable_read(-1, bytes, 1, 0, "a", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              durable_truncate(-1, 1, "a", &cause) < 0 && cause.kind == CAUSE_PANIC,
          "what fails is told");
    unlinkat(dir, "a", 0);
}

/* ---- whole files -------------------------------------------------------------------------- */

static void test_replace(void)
{
    char longest[256];

    check(durable_replace(dir, "a", "one", 3, true, &cause) == 0 && place_holds(dir, "a", "one") &&
              count_files() == 1,
          "a new file");
    syncs = 0;
    check(durable_replace(dir, "a", "two", 3, false, &cause) == 0 && syncs == 0 &&
              place_holds(dir, "a", "two"),
          "replaced, without a sync");
    check(durable_replace(dir, "a", "", 0, true, &cause) == 0 && syncs == 2 &&
              place_holds(dir, "a", ""),
          "by an empty one, with those of file and directory");
    write_errno = ENOSPC;
    check(durable_replace(dir, "a", "three", 5, true, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              count_files() == 1 && place_holds(dir, "a", ""),
          "no space: the old one stays, and nothing beside it");
    write_errno = 0;
    sync_errno = EIO;
    check(durable_replace(dir, "a", "three", 5, true, &cause) < 0 && cause.kind == CAUSE_PANIC &&
              place_holds(dir, "a", ""),
          "not synced, it does not take the old one's place");
    sync_errno = 0;
    place_put_text(dir, ".a.tmp", "what a crash left");
    check(durable_replace(dir, "a", "x", 1, true, &cause) == 0 && place_holds(dir, "a", "x") &&
              count_files() == 1,
          "left-overs of a crash do not matter");
    memset(longest, 'n', 250);
    longest[250] = '\0';
    check(durable_replace(dir, longest, "x", 1, false, &cause) == 0 && count_files() == 2,
          "a name of 250 bytes");
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
          "a copy");
    check(durable_copy(fd, 1000, 300000, dir, "b", &cause) == 0 && place_get(dir, "b", &copy) &&
              copy.len == 300000 && memcmp(copy.data, bytes.data + 1000, copy.len) == 0 &&
              count_files() == 2,
          "of a part, over another");
    cause = (struct cause){0};
    check(durable_copy(fd, 600000, 100001, dir, "b", &cause) < 0 && cause.kind == CAUSE_RETRY &&
              count_files() == 2 && place_get(dir, "b", &copy) && copy.len == 300000,
          "of more than there is: nothing has changed");
    check(durable_copy(fd, 5, 0, dir, "c", &cause) == 0 && place_holds(dir, "c", ""), "of nothing");
    unlinkat(dir, "a", 0);
    unlinkat(dir, "b", 0);
    unlinkat(dir, "c", 0);
    close(fd);
    buffer_free(&bytes);
    buffer_free(&copy);
}

/* ---- names -------------------------------------------------------------------------------- */

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
          "%s: moved", how);
    fstatat(dir, "b", &after, 0);
    check(after.st_mtim.tv_sec == 2000 && after.st_mtim.tv_nsec == 7 &&
              (after.st_mode & 0777) == 0640,
          "%s: time and mode are kept", how);
    place_put_text(dir, "a", "second");
    cause = (struct cause){0};
    check(durable_move(dir, "a", dir, "b", &cause) < 0 && cause.errnum == EEXIST &&
              place_holds(dir, "a", "second") && place_holds(dir, "b", "first") &&
              count_files() == 2,
          "%s: never over another", how);
    check(durable_move(dir, "x", dir, "c", &cause) < 0 && cause.errnum == ENOENT &&
              count_files() == 2,
          "%s: what is not there is not moved", how);
    if (error == EXDEV) {
        write_errno = ENOSPC;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && cause.kind == CAUSE_RETRY &&
                  place_holds(dir, "a", "second") && count_files() == 2,
              "%s: no space: it stays where it is, whole", how);
        write_errno = 0;
        sync_errno = EIO;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && cause.kind == CAUSE_PANIC &&
                  place_holds(dir, "a", "second"),
              "%s: not synced: it stays", how);
        sync_errno = 0;
        syscall(SYS_unlinkat, dir, "c", 0);
        unlink_errno = EBUSY;
        check(durable_move(dir, "a", dir, "c", &cause) < 0 && place_holds(dir, "a", "second") &&
                  count_files() == 2,
              "%s: not removed: there are not two of it", how);
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
          "what is open is copied, not what has its name now");
    check(durable_copy_file(fd, dir, "a", &cause) < 0 && cause.errnum == EEXIST &&
              place_holds(dir, "a", "swapped") && count_files() == 2,
          "never over another");
    close(fd);
    fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(durable_copy_file(fd, dir, "c", &cause) < 0 && count_files() == 2, "no directory");
    close(fd);
    unlinkat(dir, "a", 0);
    unlinkat(dir, "b", 0);
}

static void test_names(void)
{
    struct stat st;

    check(durable_mkdir(dir, "d", 0750, &cause) == 0 && fstatat(dir, "d", &st, 0) == 0 &&
              S_ISDIR(st.st_mode),
          "a directory");
    syncs = 0;
    check(durable_mkdir(dir, "d", 0750, &cause) == 0 && syncs == 0, "that is there already");
    check(durable_mkdir(dir, "x/y", 0750, &cause) < 0 && cause.kind == CAUSE_RETRY, "or cannot be");
    place_put_text(dir, "a", "new");
    place_put_text(dir, "b", "old");
    check(durable_rename(dir, "a", "b", &cause) == 0 && place_holds(dir, "b", "new"),
          "renamed over");
    check(durable_rename(dir, "a", "b", &cause) < 0 && cause.errnum == ENOENT, "once");
    unlinkat(dir, "b", 0);
    unlinkat(dir, "d", AT_REMOVEDIR);
    place_put_text(dir, ".a.csv.tmp", "x");
    place_put_text(dir, ".tmp", "x");
    place_put_text(dir, "b.tmp", "mine");
    place_put_text(dir, ".hidden", "mine");
    durable_sweep(dir);
    check(place_holds(dir, ".a.csv.tmp", NULL) && place_holds(dir, "b.tmp", "mine") &&
              place_holds(dir, ".hidden", "mine"),
          "only temporary files are swept away");
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
          "files of a group have their names, and are not synced");
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 4,
          "then each is synced once, and the directory once");
    syncs = 0;
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 0, "and no more");
    for (i = 0; i < DURABLE_GROUP + 1; i++)
        good += durable_group_write(&group, dir, "g0", "again", 5, &cause) == 0;
    check(good == 3 + DURABLE_GROUP + 1 && syncs == DURABLE_GROUP && group.count == 1,
          "more than a group holds: those before are synced");
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == DURABLE_GROUP + 2,
          "the last one and the directory as before");
    write_errno = ENOSPC;
    check(durable_group_write(&group, dir, "g0", "more", 4, &cause) < 0 &&
              cause.kind == CAUSE_RETRY && place_holds(dir, "g0", "again"),
          "no space: the old one stays");
    write_errno = 0;
    durable_group_write(&group, dir, "g1", "lost", 4, &cause);
    durable_group_forget(&group);
    syncs = 0;
    check(durable_group_sync(&group, "g", &cause) == 0 && syncs == 0,
          "what is forgotten is not synced");
    durable_group_write(&group, dir, "g1", "bad", 3, &cause);
    sync_errno = EIO;
    check(durable_group_sync(&group, "g", &cause) < 0 && cause.kind == CAUSE_PANIC &&
              group.count == 0,
          "a sync that fails ends it all");
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
