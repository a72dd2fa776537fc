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

/* Leave out MODIFY, which a transfer causes hundreds of times, and OPEN, ACCESS and CLOSE_NOWRITE,
 * which our own reading causes. */
#define WATCH_APPEARED_MASK (IN_CREATE | IN_ATTRIB)
#define WATCH_CLOSED_MASK   (IN_CLOSE_WRITE | IN_MOVED_TO)
#define WATCH_GONE_MASK     (IN_DELETE | IN_MOVED_FROM)
#define WATCH_LOST_MASK     (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCH_MASK                                                                                 \
    (WATCH_APPEARED_MASK | WATCH_CLOSED_MASK | WATCH_GONE_MASK | IN_DELETE_SELF | IN_MOVE_SELF |   \
     IN_ONLYDIR | IN_EXCL_UNLINK)

#define DEAD_LIMIT 10000 /* removed watches of which the library still has the names */

/* A watched directory below the drop directory. */
struct below {
    char *name; /* owned; relative to the drop directory */
    int wd;
    dev_t dev;
    ino_t ino;
};

static struct {
    int fd; /* the descriptor of the library, which has no getter: see lowest_free_fd */
    int wd;
    int newest;        /* the highest watch descriptor so far; the kernel counts up */
    int refused;       /* watches refused since `newest` was given */
    time_t full_until; /* time before which add_watch need not try: the limit is reached */
    dev_t dev;
    ino_t ino;
    char *path; /* owned; ends in '/', or the library would take a symbolic link for a file */
    struct below *below; /* owned */
    size_t count, cap;
    struct hash_index by_wd, by_name; /* index in `below`, plus 1 */
    struct buffer name;               /* the name that watch_next returned */
} watch = {.fd = -1};

/* Return the lowest free descriptor: the one that inotify_init in the library will return. */
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
 * Watch a directory. Return its watch descriptor, 0 if the inode is watched already, or -1.
 *
 * libinotifytools does not return the watch descriptor: find it by the path among the next numbers.
 * The kernel counts up, and a watch that it refused for its limits may have used up a number too.
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
    /* Call stat before the watch is added: if the directory is replaced in between, watch_is_stale
     * finds a difference and the watch is opened again. */
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

static struct below *below_by_name(const char *name)
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

static struct below *below_by_wd(int wd)
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

/* Remove the watch of a directory and forget it. The library's own function is not used: it prints
 * an error when the kernel has removed the watch already. */
static void forget_below(struct below *below)
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

/* Forget a directory and all directories below it. */
static void forget_tree(const char *name)
{
    size_t i = watch.count, len = strlen(name);

    while (i-- > 0)
        if (strncmp(watch.below[i].name, name, len) == 0 &&
            (watch.below[i].name[len] == '\0' || watch.below[i].name[len] == '/'))
            forget_below(&watch.below[i]);
}

static void forget_all_below(void)
{
    while (watch.count > 0)
        forget_below(&watch.below[watch.count - 1]);
}

/* Forget the other name of an inode: the directory was renamed, and that event is still to come, or
 * it is mounted twice. The name that is listed last has the watch. */
static void forget_inode(const struct stat *st)
{
    size_t i = watch.count;

    while (i-- > 0)
        if (watch.below[i].dev == st->st_dev && watch.below[i].ino == st->st_ino)
            forget_below(&watch.below[i]);
}

static int remember_below(const char *name, int wd, const struct stat *st, struct cause *cause)
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
    const struct below *known = below_by_name(name);
    struct buffer path = {0};
    struct stat st;
    int wd, result = -1;

    buffer_printf(&path, "%s%s/", watch.path, name);
    if (buffer_failed(&path)) {
        cause_memory(cause);
        goto out;
    }
    /* Call stat first, as watch_open does. */
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
    result = wd > 0 ? remember_below(name, wd, &st, cause) : -1;
out:
    buffer_free(&path);
    return result;
}

/* ---- events ------------------------------------------------------------------------------- */

int watch_fd(void)
{
    return watch.fd;
}

/* Return the next event of the library, or NULL if none is left or the descriptor is broken. */
static struct inotify_event *next_event(void)
{
    struct inotify_event *event;

    /* Use (0, 1): inotifytools_next_event waits for ever with a timeout of 0, and
     * inotifytools_next_events spins if asked for more than one event. */
    do {
        event = inotifytools_next_events(0, 1);
    } while (event == NULL && inotifytools_error() == EINTR);
    return event;
}

/* Return the kind of an event about a directory below; WATCH_NONE if it needs no action. */
static enum watch_kind directory_event(const struct inotify_event *event, const char *name)
{
    struct below *below = below_by_name(name);

    if (event->mask & IN_MOVED_FROM)
        forget_tree(name);
    else if ((event->mask & IN_DELETE) && below != NULL)
        forget_below(below);
    if (event->mask & WATCH_GONE_MASK)
        return WATCH_DIRECTORY_GONE;
    return (event->mask & (IN_CREATE | IN_MOVED_TO)) || below == NULL ? WATCH_DIRECTORY
                                                                      : WATCH_NONE;
}

static enum watch_kind take_event(const struct inotify_event *event)
{
    const struct below *below;

    if (event->mask & IN_Q_OVERFLOW) {
        forget_all_below();
        return WATCH_OVERFLOW;
    }
    below = event->wd == watch.wd ? NULL : below_by_wd(event->wd);
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
        /* Out of memory for the name: let the caller find all names by a scan. */
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

bool watch_needs_reopen(void)
{
    return watch.newest + watch.refused - (int)watch.count > DEAD_LIMIT;
}

void watch_close(void)
{
    if (watch.fd >= 0) {
        /* Drain the library's buffer: it would hand these events to the next watch, which has the
         * same number. The watches are removed first, so that no event is added meanwhile. */
        forget_all_below();
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
