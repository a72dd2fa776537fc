#include "ingest/move_out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/durable.h"
#include "store/ledger_line.h"
#include "base/log.h"
#include "fs/backup_name.h"
#include "base/csv_name.h"
#include "fs/beneath.h"
#include "fs/lease.h"
#include "drop/sidecar.h"

#define CHUNK_SIZE  (256 * 1024)
#define HIDINGS     100 /* somebody may have made something of that name */
#define HIDING_SIZE 32

int same_bytes(int left, int right, uint64_t limit, struct cause *cause)
{
    char *chunks = malloc(2 * CHUNK_SIZE);
    uint64_t done = 0;
    int result = 1;

    if (chunks == NULL)
        return cause_memory(cause);
    while (result == 1 && done < limit) {
        size_t want = limit - done < CHUNK_SIZE ? (size_t)(limit - done) : CHUNK_SIZE;
        ssize_t l =
            durable_read(left, chunks, want, done, "a copy in quarantine or archive", cause);
        ssize_t r =
            durable_read(right, chunks + CHUNK_SIZE, want, done, "a file on its way there", cause);

        if (l < 0 || r < 0)
            result = -1;
        else if (l != (ssize_t)want || r != l || memcmp(chunks, chunks + CHUNK_SIZE, want) != 0)
            result = 0;
        done += want;
    }
    free(chunks);
    return result;
}

/* ---- back --------------------------------------------------------------------------------- */

static bool is_beginning_of(int from_dir, const char *from, int home, const char *base)
{
    struct file_id older, newer;
    struct cause ignored;
    int fd, other, same = 0;

    if (beneath_open(from_dir, from, &fd, &older) != FILE_REGULAR)
        return false;
    if (beneath_open(home, base, &other, &newer) == FILE_REGULAR) {
        same = older.size <= newer.size ? same_bytes(fd, other, older.size, &ignored) : 0;
        close(other);
    }
    close(fd);
    return same > 0;
}

/* Into the directory, under another name if its own is taken. */
static int put_into(int from_dir, const char *from, int home, const char *name, struct cause *cause)
{
    const char *base = path_base(name);
    char other[BACKUP_NAME_SIZE];
    const size_t end = (size_t)(csv_name_suffix(base) - base);
    const size_t stem = end < BACKUP_NAME_LONGEST ? end : BACKUP_NAME_LONGEST;
    unsigned n;

    if (durable_move(from_dir, from, home, base, cause) == 0)
        return 0;
    /* The sender has replaced it by a version that goes on from it: its rows are all there. */
    if (cause->errnum == EEXIST && is_beginning_of(from_dir, from, home, base))
        return unlinkat(from_dir, from, 0) < 0
                   ? cause_errno(cause, CAUSE_RETRY, "cannot remove %s, which has grown", from)
                   : 0;
    for (n = 2; cause->errnum == EEXIST && n < 10000; n++) {
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
    /* Its own directory may be gone. */
    int home = backup_name_open(dir->drop, name, true, cause), result;

    if (home < 0)
        return -1;
    result = put_into(from_dir, from, home, name, cause);
    close(home);
    return result;
}

/* ---- out ---------------------------------------------------------------------------------- */

/* A file on its way. */
struct taking {
    const struct datadir *dir;
    const char *name, *base;
    const struct file_id *read;
    int home; /* the directory it stands in */
    int fd;
    bool held; /* who wants to write to it waits */
};

/* Opens the file, if it is what was read and nobody writes to it. As far as the kernel tells, it
 * stays so while it is held. */
static bool open_what_was_read(struct taking *taking)
{
    struct file_id found;
    enum lease_state writer;

    if (beneath_open(taking->home, taking->base, &taking->fd, &found) != FILE_REGULAR)
        return false;
    writer = lease_hold(taking->fd);
    taking->held = writer == LEASE_NO_WRITER;
    return writer != LEASE_WRITER && file_id_of_fd(taking->fd, &found) == FILE_REGULAR &&
           file_id_equal(&found, taking->read);
}

/* Moved, is it what was opened, and has nobody come to write meanwhile? A rename changes the ctime.
 */
static bool is_what_was_opened(const struct taking *taking, int dir_fd, const char *name)
{
    const struct file_id *read = taking->read;
    struct file_id now;

    return beneath_stat(dir_fd, name, &now) == FILE_REGULAR && now.device == read->device &&
           now.inode == read->inode && now.size == read->size && now.mtime == read->mtime &&
           (taking->held ? !lease_is_breaking(taking->fd)
                         : lease_probe(taking->fd) != LEASE_WRITER);
}

static int changed(const struct taking *taking, const char *when, struct cause *cause)
{
    return cause_set(cause, CAUSE_CHANGED, "%s changed %s", taking->name, when);
}

/* ---- out, from a file system of its own --------------------------------------------------- */

static void hiding_name(char out[HIDING_SIZE], unsigned n)
{
    if (n == 1)
        snprintf(out, HIDING_SIZE, ".phasesentinel");
    else
        snprintf(out, HIDING_SIZE, ".phasesentinel.~%u~", n);
}

/* A directory of ours in there, where nobody else reaches what is in it; or -1. */
static int open_hiding(int home, unsigned n, bool create)
{
    char name[HIDING_SIZE];
    struct stat st;
    int fd;

    hiding_name(name, n);
    if (create)
        mkdirat(home, name, 0700);
    fd = openat(home, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Whatever is left in there comes back. Closes it. */
static int clear_hiding(int home, unsigned n, int fd, struct cause *cause)
{
    char name[HIDING_SIZE];
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
    hiding_name(name, n);
    unlinkat(home, name, AT_REMOVEDIR);
    return result;
}

/* From its hiding it is copied, and goes if nobody came to write to it while that was done. */
static int copy_hidden(const struct taking *taking, int hiding, const char *moving,
                       struct cause *cause)
{
    if (!is_what_was_opened(taking, hiding, taking->base))
        return changed(taking, "while it was moved", cause);
    if (durable_copy_file(taking->fd, taking->dir->moving, moving, cause) < 0)
        return -1;
    if (is_what_was_opened(taking, hiding, taking->base) && unlinkat(hiding, taking->base, 0) == 0)
        return 0;
    unlinkat(taking->dir->moving, moving, 0);
    return changed(taking, "while it was copied", cause);
}

static int take_hidden(const struct taking *taking, const char *moving, struct cause *cause)
{
    struct cause second;
    unsigned n = 1;
    int hiding, result;

    while ((hiding = open_hiding(taking->home, n, true)) < 0)
        if (++n > HIDINGS)
            return cause_set(cause, CAUSE_RETRY, "cannot make a directory .phasesentinel beside %s",
                             taking->name);
    result = durable_move(taking->home, taking->base, hiding, taking->base, cause);
    if (result < 0 && cause->errnum == ENOENT)
        cause->kind = CAUSE_CHANGED;
    if (result == 0)
        result = copy_hidden(taking, hiding, moving, cause);
    if (clear_hiding(taking->home, n, hiding, &second) < 0 &&
        (result == 0 || cause->kind == CAUSE_CHANGED)) {
        *cause = second;
        return -1;
    }
    return result;
}

static int take_across(const struct taking *taking, const char *moving, const char *marker,
                       struct cause *cause)
{
    const int moving_dir = taking->dir->moving;
    int result;

    if (durable_replace(moving_dir, marker, taking->name, strlen(taking->name), true, cause) < 0)
        return -1;
    result = take_hidden(taking, moving, cause);
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
    for (n = 1; n <= HIDINGS && result == 0; n++) {
        fd = open_hiding(home, n, false);
        if (fd >= 0)
            result = clear_hiding(home, n, fd, cause);
    }
    close(home);
    if (result == 0)
        unlinkat(dir->moving, marker, 0);
    return result;
}

/* ---- out, on ------------------------------------------------------------------------------ */

static int take_open(struct taking *taking, const char *moving, const char *marker,
                     struct cause *cause)
{
    const int moving_dir = taking->dir->moving;
    struct stat st;

    if (!open_what_was_read(taking))
        return changed(taking, "before it was moved", cause);
    if (fstat(moving_dir, &st) == 0 && st.st_dev != taking->read->device)
        return take_across(taking, moving, marker, cause);
    if (durable_move(taking->home, taking->base, moving_dir, moving, cause) < 0) {
        if (cause->errnum == ENOENT)
            cause->kind = CAUSE_CHANGED;
        return -1;
    }
    if (is_what_was_opened(taking, moving_dir, moving))
        return 0;
    if (put_into(moving_dir, moving, taking->home, taking->name, cause) < 0)
        return -1;
    return changed(taking, "while it was moved", cause);
}

int move_out(const struct datadir *dir, const char *name, const struct file_id *read,
             const char *moving, const char *marker, struct cause *cause)
{
    struct taking taking = {.dir = dir,
                            .name = name,
                            .base = path_base(name),
                            .read = read,
                            .home = beneath_open_parent(dir->drop, name),
                            .fd = -1};
    int result;

    if (taking.home < 0) /* no directory any more, or a link */
        return cause_errno(cause,
                           errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? CAUSE_CHANGED
                                                                                 : CAUSE_RETRY,
                           "cannot open the directory of %s", name);
    result = take_open(&taking, moving, marker, cause);
    if (taking.fd >= 0) {
        lease_release(taking.fd); /* whoever waits to write goes on */
        close(taking.fd);
    }
    close(taking.home);
    return result;
}
