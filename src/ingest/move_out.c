#include "ingest/move_out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/csv_name.h"
#include "base/log.h"
#include "drop/sidecar.h"
#include "fs/backup_name.h"
#include "fs/beneath.h"
#include "fs/durable.h"
#include "fs/lease.h"
#include "store/ledger_line.h"

#define CHUNK_SIZE       (256 * 1024)
#define HIDDEN_DIRS      100 /* names tried: another user may have made one of them */
#define HIDDEN_NAME_SIZE 32
#define RETURN_NAMES     10000 /* names tried for a file that goes back */

int same_prefix(int left_fd, int right_fd, uint64_t length, struct cause *cause)
{
    char *left = malloc(2 * CHUNK_SIZE), *right;
    uint64_t done = 0;
    int result = 1;

    if (left == NULL)
        return cause_memory(cause);
    right = left + CHUNK_SIZE;
    while (result == 1 && done < length) {
        size_t want = length - done < CHUNK_SIZE ? (size_t)(length - done) : CHUNK_SIZE;
        ssize_t l =
            durable_read(left_fd, left, want, done, "a copy in quarantine or archive", cause);
        ssize_t r = durable_read(right_fd, right, want, done, "a file on its way there", cause);

        if (l < 0 || r < 0)
            result = -1;
        else if (l != (ssize_t)want || r != l || memcmp(left, right, want) != 0)
            result = 0;
        done += want;
    }
    free(left);
    return result;
}

/* ---- back --------------------------------------------------------------------------------- */

/* Return true if the file that has the name now begins with all bytes of `from`. */
static bool is_continued(int from_dir, const char *from, int home, const char *base)
{
    struct file_id older, newer;
    struct cause ignored;
    int fd, other, same = 0;

    if (beneath_open(from_dir, from, &fd, &older) != FILE_REGULAR)
        return false;
    if (beneath_open(home, base, &other, &newer) == FILE_REGULAR) {
        same = older.size <= newer.size ? same_prefix(fd, other, older.size, &ignored) : 0;
        close(other);
    }
    close(fd);
    return same > 0;
}

/* Move a file into its open directory, under another name if its own is taken. */
static int put_into(int from_dir, const char *from, int home, const char *name, struct cause *cause)
{
    const char *base = path_base(name);
    char other[BACKUP_NAME_SIZE];
    const size_t end = (size_t)(csv_name_suffix(base) - base);
    const size_t stem = end < BACKUP_NAME_LONGEST ? end : BACKUP_NAME_LONGEST;
    unsigned n;

    if (durable_move(from_dir, from, home, base, cause) == 0)
        return 0;
    if (cause->errnum == EEXIST && is_continued(from_dir, from, home, base))
        return unlinkat(from_dir, from, 0) < 0
                   ? cause_errno(cause, CAUSE_RETRY, "cannot remove %s, which has grown", from)
                   : 0;
    for (n = 2; cause->errnum == EEXIST && n < RETURN_NAMES; n++) {
        snprintf(other, sizeof other, "%.*s.~%u~%s", (int)stem, base, n, base + end);
        if (durable_move(from_dir, from, home, other, cause) == 0) {
            log_notice("%s was replaced while it was moved: the older one is back as %s", name,
                       other);
            return 0;
        }
    }
    return -1;
}

int move_back(const struct datadir *dir, int from_dir, const char *from, const char *name,
              struct cause *cause)
{
    int home = backup_name_open(dir->drop, name, true, cause), result;

    if (home < 0)
        return -1;
    result = put_into(from_dir, from, home, name, cause);
    close(home);
    return result;
}

/* ---- out ---------------------------------------------------------------------------------- */

/* A file on its way out. */
struct departure {
    const struct datadir *dir;
    const char *name, *base;
    const struct file_id *read; /* the state in which the file was read */
    int home;                   /* the directory that the file stands in */
    int fd;                     /* the file; -1: not open */
    bool leased;                /* new writers are blocked */
};

/* Open the file and take a lease. Return false if it is not what was read, or has a writer. */
static bool open_what_was_read(struct departure *file)
{
    struct file_id found;
    enum lease_state writer;

    if (beneath_open(file->home, file->base, &file->fd, &found) != FILE_REGULAR)
        return false;
    writer = lease_hold(file->fd);
    file->leased = writer == LEASE_NO_WRITER;
    /* The lease comes first: from now on a change shows in the lease. */
    return writer != LEASE_WRITER && file_id_of_fd(file->fd, &found) == FILE_REGULAR &&
           file_id_equal(&found, file->read);
}

/* Return true if this name is that of the open file, and no writer has opened it meanwhile. The
 * ctime is not compared: a rename changes it. */
static bool is_what_was_opened(const struct departure *file, int dir_fd, const char *name)
{
    const struct file_id *read = file->read;
    struct file_id now;

    return beneath_stat(dir_fd, name, &now) == FILE_REGULAR && now.device == read->device &&
           now.inode == read->inode && now.size == read->size && now.mtime == read->mtime &&
           (file->leased ? !lease_is_breaking(file->fd) : lease_probe(file->fd) != LEASE_WRITER);
}

static int fail_changed(const struct departure *file, const char *when, struct cause *cause)
{
    return cause_set(cause, CAUSE_CHANGED, "%s changed %s", file->name, when);
}

/* Rename the file out of the drop directory. */
static int rename_out(const struct departure *file, int to_dir, const char *to, struct cause *cause)
{
    if (durable_move(file->home, file->base, to_dir, to, cause) == 0)
        return 0;
    if (cause->errnum == ENOENT)
        cause->kind = CAUSE_CHANGED;
    return -1;
}

static int move_within(const struct departure *file, const char *moving, struct cause *cause)
{
    const int moving_dir = file->dir->moving;

    if (rename_out(file, moving_dir, moving, cause) < 0)
        return -1;
    if (is_what_was_opened(file, moving_dir, moving))
        return 0;
    if (put_into(moving_dir, moving, file->home, file->name, cause) < 0)
        return -1;
    return fail_changed(file, "while it was moved", cause);
}

/* ---- out of another file system ----------------------------------------------------------- */

static void hidden_name(char out[HIDDEN_NAME_SIZE], unsigned n)
{
    if (n == 1)
        snprintf(out, HIDDEN_NAME_SIZE, ".phasesentinel");
    else
        snprintf(out, HIDDEN_NAME_SIZE, ".phasesentinel.~%u~", n);
}

/* Open the nth hidden directory, with `create` after making it. Return -1 if there is none, or if
 * others own it or may enter it. */
static int open_hidden(int home, unsigned n, bool create)
{
    char name[HIDDEN_NAME_SIZE];
    struct stat st;
    int fd;

    hidden_name(name, n);
    if (create)
        mkdirat(home, name, 0700);
    fd = openat(home, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Move back what is in the hidden directory, close and remove it. */
static int clear_hidden(int home, unsigned n, int fd, struct cause *cause)
{
    char name[HIDDEN_NAME_SIZE];
    const struct dirent *entry;
    int result = 0;
    DIR *list = fdopendir(fd);

    if (list == NULL) {
        close(fd);
        return cause_errno(cause, CAUSE_RETRY, "cannot list what is hidden");
    }
    while (result == 0 && (entry = readdir(list)) != NULL)
        if ((csv_name_is_accepted(entry->d_name) || sidecar_target_length(entry->d_name) > 0) &&
            put_into(fd, entry->d_name, home, entry->d_name, cause) < 0 && cause->errnum != ENOENT)
            result = -1;
    closedir(list);
    hidden_name(name, n);
    unlinkat(home, name, AT_REMOVEDIR);
    return result;
}

/* Copy the hidden file to state/moving/ and unlink it, unless it is written to meanwhile: where no
 * lease can be had, a program may have it open since before it was hidden. */
static int copy_hidden(const struct departure *file, int hidden, const char *moving,
                       struct cause *cause)
{
    if (!is_what_was_opened(file, hidden, file->base))
        return fail_changed(file, "while it was moved", cause);
    if (durable_copy_file(file->fd, file->dir->moving, moving, cause) < 0)
        return -1;
    if (is_what_was_opened(file, hidden, file->base) && unlinkat(hidden, file->base, 0) == 0)
        return 0;
    unlinkat(file->dir->moving, moving, 0);
    return fail_changed(file, "while it was copied", cause);
}

static int move_through_hidden(const struct departure *file, const char *moving,
                               struct cause *cause)
{
    struct cause second;
    unsigned n = 1;
    int hidden, result;

    while ((hidden = open_hidden(file->home, n, true)) < 0)
        if (++n > HIDDEN_DIRS)
            return cause_set(cause, CAUSE_RETRY, "cannot make a directory .phasesentinel beside %s",
                             file->name);
    result = rename_out(file, hidden, file->base, cause);
    if (result == 0)
        result = copy_hidden(file, hidden, moving, cause);
    if (clear_hidden(file->home, n, hidden, &second) < 0 &&
        (result == 0 || cause->kind == CAUSE_CHANGED)) {
        *cause = second;
        return -1;
    }
    return result;
}

/* Write the marker, so that a crash leaves nothing hidden that is not found again. */
static int move_across(const struct departure *file, const char *moving, const char *marker,
                       struct cause *cause)
{
    const int moving_dir = file->dir->moving;
    int result;

    if (durable_replace(moving_dir, marker, file->name, strlen(file->name), true, cause) < 0)
        return -1;
    result = move_through_hidden(file, moving, cause);
    if (result == 0 || cause->kind == CAUSE_CHANGED)
        unlinkat(moving_dir, marker, 0);
    return result;
}

int move_out_recover(const struct datadir *dir, const char *marker, struct cause *cause)
{
    char name[LEDGER_NAME_SIZE] = "";
    int fd = openat(dir->moving, marker, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), home, result = 0;
    ssize_t len = fd < 0 ? -1 : durable_read(fd, name, sizeof name - 1, 0, marker, cause);
    unsigned n;

    if (fd >= 0)
        close(fd);
    if (len < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot read state/moving/%s", marker);
    home = beneath_open_parent(dir->drop, name);
    if (home < 0)
        return 0;
    for (n = 1; n <= HIDDEN_DIRS && result == 0; n++) {
        fd = open_hidden(home, n, false);
        if (fd >= 0)
            result = clear_hidden(home, n, fd, cause);
    }
    close(home);
    if (result == 0)
        unlinkat(dir->moving, marker, 0);
    return result;
}

/* ---- out, either way ---------------------------------------------------------------------- */

static int move_open(struct departure *file, const char *moving, const char *marker,
                     struct cause *cause)
{
    struct stat st;

    if (!open_what_was_read(file))
        return fail_changed(file, "before it was moved", cause);
    if (fstat(file->dir->moving, &st) == 0 && st.st_dev != file->read->device)
        return move_across(file, moving, marker, cause);
    return move_within(file, moving, cause);
}

int move_out(const struct datadir *dir, const char *name, const struct file_id *read,
             const char *moving, const char *marker, struct cause *cause)
{
    struct departure file = {.dir = dir,
                             .name = name,
                             .base = path_base(name),
                             .read = read,
                             .home = beneath_open_parent(dir->drop, name),
                             .fd = -1};
    int result;

    if (file.home < 0) /* the directory is gone, or is a link now */
        return cause_errno(cause,
                           errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? CAUSE_CHANGED
                                                                                 : CAUSE_RETRY,
                           "cannot open the directory of %s", name);
    result = move_open(&file, moving, marker, cause);
    if (file.fd >= 0) {
        lease_release(file.fd);
        close(file.fd);
    }
    close(file.home);
    return result;
}
