#include "daemon/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/hash_index.h"
#include "base/vector.h"

/* No MODIFY: a transfer causes hundreds. No OPEN, ACCESS, CLOSE_NOWRITE: our own reading would. */
#define WATCH_APPEARED_MASK (IN_CREATE | IN_ATTRIB)
#define WATCH_CLOSED_MASK   (IN_CLOSE_WRITE | IN_MOVED_TO)
#define WATCH_GONE_MASK     (IN_DELETE | IN_MOVED_FROM)
#define WATCH_LOST_MASK     (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCH_MASK                                                                                 \
    (WATCH_APPEARED_MASK | WATCH_CLOSED_MASK | WATCH_GONE_MASK | IN_DELETE_SELF | IN_MOVE_SELF |   \
     IN_ONLYDIR | IN_EXCL_UNLINK)

#define DEAD_LIMIT 10000

/* A directory below that is watched. */
struct below {
    char *name; /* owned; relative to the drop directory */
    int wd;
    dev_t dev;
    ino_t ino;
};

static struct {
    int fd; /* the library's; it has no getter, see lowest_free_fd */
    int wd;
    int newest;        /* the highest number given; none is given twice */
    int refused;       /* since then */
    time_t full_until; /* so many directories are watched that more need not be tried */
    dev_t dev;
    ino_t ino;
    char *path; /* owned; ends in '/', without which the library takes a symlink for a file */
    struct below *below; /* owned */
    size_t count, cap;
    struct hash_index by_wd, by_name; /* their index + 1 */
    struct buffer name;               /* what watch_next has lent */
} watch = {.fd = -1};

/* The lowest free descriptor, which is the one that the library's inotify_init will get. */
static int lowest_free_fd(struct cause *cause)
{
    int fd = open("/", O_PATH | O_CLOEXEC);

    if (fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open a descriptor for the watch");
    close(fd);
    if (fd >= FD_SETSIZE)
        return cause_set(cause, CAUSE_RETRY,
                         "descriptor %d is too high for libinotifytools, which takes less than %d",
                         fd, FD_SETSIZE);
    return fd;
}

static bool is_inotify(int fd)
{
    char path[64], target[64];
    ssize_t len;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    return strstr(target, "inotify") != NULL;
}

static int initialize(struct cause *cause)
{
    int fd = lowest_free_fd(cause);

    if (fd < 0)
        return -1;
    if (!inotifytools_initialize()) {
        errno = inotifytools_error();
        return cause_errno(cause, CAUSE_RETRY, "inotify cannot start%s",
                           errno == EMFILE ? " (raise sysctl fs.inotify.max_user_instances, or the "
                                             "limit of open files)"
                                           : "");
    }
    if (!is_inotify(fd)) {
        inotifytools_cleanup();
        return cause_set(cause, CAUSE_RETRY,
                         "libinotifytools' descriptor was not found (is /proc mounted?)");
    }
    watch.fd = fd;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot set flags of the watch");
    return 0;
}

static int cannot_watch(const char *path, struct cause *cause)
{
    return cause_errno(cause, CAUSE_RETRY, "cannot watch %s%s", path,
                       errno == ENOSPC ? " (raise sysctl fs.inotify.max_user_watches)" : "");
}

/*
 * Watches the directory. Its number, which the library does not say, or 0 if the inode is watched
 * already. The kernel counts up; one that it refuses for its limits may have got a number too.
 */
static int add_watch(const char *path, struct cause *cause)
{
    int wd;

    if (watch.full_until > time(NULL)) {
        errno = ENOSPC;
        return cannot_watch(path, cause);
    }
    if (!inotifytools_watch_file(path, WATCH_MASK)) {
        errno = inotifytools_error();
        watch.refused++;
        if (errno == ENOSPC)
            watch.full_until = time(NULL) + 2;
        return cannot_watch(path, cause);
    }
    for (wd = watch.newest + 1; wd <= watch.newest + 1 + watch.refused; wd++) {
        if (strcmp(inotifytools_filename_from_wd(wd), path) == 0) {
            watch.newest = wd;
            watch.refused = 0;
            return wd;
        }
    }
    return 0;
}

int watch_open(const char *dir, struct cause *cause)
{
    size_t len = strlen(dir);
    struct stat stat_buf;

    watch_close();
    if (asprintf(&watch.path, "%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/") < 0) {
        watch.path = NULL;
        return cause_memory(cause);
    }
    /* Before the watch: if the directory is replaced in between, what is noted is stale and opened
     * again. */
    if (stat(watch.path, &stat_buf) < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot watch %s", dir);
        goto fail;
    }
    watch.dev = stat_buf.st_dev;
    watch.ino = stat_buf.st_ino;
    if (initialize(cause) < 0)
        goto fail;
    watch.wd = add_watch(watch.path, cause);
    if (watch.wd < 0)
        goto fail;
    return 0;
fail:
    watch_close();
    return -1;
}

/* ---- directories below -------------------------------------------------------------------- */

static uint64_t key_of(const char *name)
{
    return digest_key(name, strlen(name));
}

static struct below *find_name(const char *name)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&watch.by_name, key_of(name), &cursor)) != NULL)
        if (strcmp(watch.below[slot->value - 1].name, name) == 0)
            return &watch.below[slot->value - 1];
    return NULL;
}

static uint64_t key_of_wd(int wd)
{
    return digest_key(&wd, sizeof wd);
}

static struct below *find_wd(int wd)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(&watch.by_wd, key_of_wd(wd), &cursor)) != NULL)
        if (watch.below[slot->value - 1].wd == wd)
            return &watch.below[slot->value - 1];
    return NULL;
}

static struct hash_index_slot *slot_of(const struct hash_index *map, uint64_t key, size_t value)
{
    struct hash_index_slot *slot;
    size_t cursor = 0;

    while ((slot = hash_index_find(map, key, &cursor)) != NULL && slot->value != value)
        ;
    return slot;
}

/* Not with the library's function: that complains where the kernel was first. */
static void forget(struct below *below)
{
    size_t i = (size_t)(below - watch.below);
    struct below *last = &watch.below[watch.count - 1];

    watch.full_until = 0;
    inotify_rm_watch(watch.fd, below->wd);
    hash_index_remove(&watch.by_wd, slot_of(&watch.by_wd, key_of_wd(below->wd), i + 1));
    hash_index_remove(&watch.by_name, slot_of(&watch.by_name, key_of(below->name), i + 1));
    free(below->name);
    if (last != below) {
        slot_of(&watch.by_wd, key_of_wd(last->wd), watch.count)->value = (uint32_t)(i + 1);
        slot_of(&watch.by_name, key_of(last->name), watch.count)->value = (uint32_t)(i + 1);
        *below = *last;
    }
    watch.count--;
}

/* It, and what is below it. */
static void forget_tree(const char *name)
{
    size_t i = watch.count, len = strlen(name);

    while (i-- > 0)
        if (strncmp(watch.below[i].name, name, len) == 0 &&
            (watch.below[i].name[len] == '\0' || watch.below[i].name[len] == '/'))
            forget(&watch.below[i]);
}

static void forget_all(void)
{
    while (watch.count > 0)
        forget(&watch.below[watch.count - 1]);
}

/* The inode is watched under another name: it was renamed, which is still to be told, or mounted
 * twice. Whoever looks into it last has the watch. */
static void forget_inode(const struct stat *st)
{
    size_t i = watch.count;

    while (i-- > 0)
        if (watch.below[i].dev == st->st_dev && watch.below[i].ino == st->st_ino)
            forget(&watch.below[i]);
}

static int remember(const char *name, int wd, const struct stat *st, struct cause *cause)
{
    char *copy = strdup(name);

    if (copy == NULL ||
        vector_grow(&watch.below, sizeof *watch.below, watch.count, &watch.cap) < 0 ||
        hash_index_put(&watch.by_wd, key_of_wd(wd), watch.count + 1) < 0)
        goto fail;
    if (hash_index_put(&watch.by_name, key_of(name), watch.count + 1) < 0) {
        hash_index_remove(&watch.by_wd, slot_of(&watch.by_wd, key_of_wd(wd), watch.count + 1));
        goto fail;
    }
    watch.below[watch.count++] = (struct below){copy, wd, st->st_dev, st->st_ino};
    return 0;
fail:
    free(copy);
    inotify_rm_watch(watch.fd, wd);
    return cause_memory(cause);
}

int watch_enter(const char *name, struct cause *cause)
{
    const struct below *known = find_name(name);
    struct buffer path = {0};
    struct stat st;
    int wd, result = -1;

    buffer_printf(&path, "%s%s/", watch.path, name);
    if (buffer_failed(&path)) {
        cause_memory(cause);
        goto out;
    }
    /* As in watch_open, before the watch. */
    if (stat(buffer_text(&path), &st) < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot watch %s", buffer_text(&path));
        goto out;
    }
    result = 0;
    if (known != NULL && known->dev == st.st_dev && known->ino == st.st_ino)
        goto out;
    if (known != NULL)
        forget_tree(name);
    wd = add_watch(buffer_text(&path), cause);
    if (wd == 0) {
        forget_inode(&st);
        wd = add_watch(buffer_text(&path), cause);
    }
    if (wd == 0)
        cause_set(cause, CAUSE_RETRY, "cannot watch %s: it is watched already", buffer_text(&path));
    result = wd > 0 ? remember(name, wd, &st, cause) : -1;
out:
    buffer_free(&path);
    return result;
}

/* ---- events ------------------------------------------------------------------------------- */

int watch_fd(void)
{
    return watch.fd;
}

/* Whatever comes next, or NULL when drained or broken. */
static struct inotify_event *next_event(void)
{
    struct inotify_event *event;

    /* (0, 1): with a timeout of 0, next_event waits for ever; with more than one event, next_events
     * spins. */
    do {
        event = inotifytools_next_events(0, 1);
    } while (event == NULL && inotifytools_error() == EINTR);
    return event;
}

/* What the event says of a directory below; WATCH_NONE: nothing. */
static enum watch_kind directory_event(const struct inotify_event *event, const char *name)
{
    struct below *below = find_name(name);

    if (event->mask & IN_MOVED_FROM)
        forget_tree(name);
    else if ((event->mask & IN_DELETE) && below != NULL)
        forget(below);
    if (event->mask & WATCH_GONE_MASK)
        return WATCH_DIRECTORY_GONE;
    return (event->mask & (IN_CREATE | IN_MOVED_TO)) || below == NULL ? WATCH_DIRECTORY
                                                                      : WATCH_NONE;
}

static enum watch_kind take_event(const struct inotify_event *event)
{
    const struct below *below;

    if (event->mask & IN_Q_OVERFLOW) {
        forget_all();
        return WATCH_OVERFLOW;
    }
    below = event->wd == watch.wd ? NULL : find_wd(event->wd);
    if (event->wd != watch.wd && below == NULL)
        return WATCH_NONE;
    buffer_clear(&watch.name);
    if (below != NULL)
        buffer_string(&watch.name, below->name);
    if (event->mask & WATCH_LOST_MASK) {
        if (below == NULL)
            return WATCH_LOST;
        forget_tree(buffer_text(&watch.name));
        return WATCH_DIRECTORY_GONE;
    }
    if (event->len == 0)
        return WATCH_NONE;
    if (below != NULL)
        buffer_byte(&watch.name, '/');
    buffer_string(&watch.name, event->name);
    if (event->mask & IN_ISDIR)
        return directory_event(event, buffer_text(&watch.name));
    if (event->mask & WATCH_GONE_MASK)
        return WATCH_GONE;
    return event->mask & WATCH_CLOSED_MASK ? WATCH_CLOSED : WATCH_APPEARED;
}

enum watch_kind watch_next(const char **ret_name)
{
    const struct inotify_event *event;
    enum watch_kind kind;
    int error;

    *ret_name = NULL;
    if (watch.fd < 0)
        return WATCH_LOST;
    while ((event = next_event()) != NULL) {
        kind = take_event(event);
        if (kind == WATCH_NONE)
            continue;
        if (kind == WATCH_LOST || kind == WATCH_OVERFLOW)
            return kind;
        if (!buffer_failed(&watch.name)) {
            *ret_name = buffer_text(&watch.name);
            if (!buffer_failed(&watch.name))
                return kind;
        }
        /* No memory for a name: all of them are to be looked for. */
        *ret_name = NULL;
        return WATCH_OVERFLOW;
    }
    error = inotifytools_error();
    return error == 0 || error == EAGAIN ? WATCH_NONE : WATCH_LOST;
}

bool watch_is_stale(void)
{
    struct stat stat_buf;

    return watch.fd < 0 || stat(watch.path, &stat_buf) < 0 || stat_buf.st_dev != watch.dev ||
           stat_buf.st_ino != watch.ino;
}

/* What the library keeps of watches that are gone is only given back by closing it. */
bool watch_needs_reopen(void)
{
    return watch.newest + watch.refused - (int)watch.count > DEAD_LIMIT;
}

void watch_close(void)
{
    if (watch.fd >= 0) {
        /*
         * What stays in the library's buffer would be replayed to the next watch, which has the
         * same number. With the watches removed nothing is added, so the draining ends.
         */
        forget_all();
        inotify_rm_watch(watch.fd, watch.wd);
        while (next_event() != NULL)
            ;
        inotifytools_cleanup();
    }
    while (watch.count > 0)
        free(watch.below[--watch.count].name);
    free(watch.below);
    hash_index_free(&watch.by_wd);
    hash_index_free(&watch.by_name);
    buffer_free(&watch.name);
    free(watch.path);
    memset(&watch, 0, sizeof watch);
    watch.fd = -1;
}
