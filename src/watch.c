#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

/* No MODIFY: a transfer causes hundreds. No OPEN, ACCESS, CLOSE_NOWRITE: our own reading would. */
#define WATCH_APPEARED_MASK (IN_CREATE | IN_ATTRIB)
#define WATCH_CLOSED_MASK   (IN_CLOSE_WRITE | IN_MOVED_TO)
#define WATCH_GONE_MASK     (IN_DELETE | IN_MOVED_FROM)
#define WATCH_LOST_MASK     (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCH_MASK                                                                                 \
    (WATCH_APPEARED_MASK | WATCH_CLOSED_MASK | WATCH_GONE_MASK | IN_DELETE_SELF | IN_MOVE_SELF |   \
     IN_ONLYDIR | IN_EXCL_UNLINK)

static struct {
    int fd; /* the library's; it has no getter, see lowest_free_fd */
    int wd;
    dev_t dev;
    ino_t ino;
    char *path; /* owned; ends in '/', without which the library takes a symlink for a file */
} watch = {.fd = -1};

/* The lowest free descriptor, which is the one that the library's inotify_init will get. */
static int lowest_free_fd(struct cause *cause)
{
    int fd = open("/", O_PATH | O_CLOEXEC);

    if (fd < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot open a descriptor for the watch");
    close(fd);
    if (fd >= FD_SETSIZE)
        return cause_set(cause, CAUSE_TROUBLE,
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
        return cause_errno(cause, CAUSE_TROUBLE, "inotify cannot start%s",
                           errno == EMFILE ? " (raise sysctl fs.inotify.max_user_instances, or the "
                                             "limit of open files)"
                                           : "");
    }
    if (!is_inotify(fd)) {
        inotifytools_cleanup();
        return cause_set(cause, CAUSE_TROUBLE,
                         "libinotifytools' descriptor was not found (is /proc mounted?)");
    }
    watch.fd = fd;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot set flags of the watch");
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
        cause_errno(cause, CAUSE_TROUBLE, "cannot watch %s", dir);
        goto fail;
    }
    watch.dev = stat_buf.st_dev;
    watch.ino = stat_buf.st_ino;
    if (initialize(cause) < 0)
        goto fail;
    if (!inotifytools_watch_file(watch.path, WATCH_MASK)) {
        errno = inotifytools_error();
        cause_errno(cause, CAUSE_TROUBLE, "cannot watch %s%s", dir,
                    errno == ENOSPC ? " (raise sysctl fs.inotify.max_user_watches)" : "");
        goto fail;
    }
    watch.wd = inotifytools_wd_from_filename(watch.path);
    return 0;
fail:
    watch_close();
    return -1;
}

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

enum watch_kind watch_next(const char **ret_name)
{
    struct inotify_event *event;
    int error;

    *ret_name = NULL;
    if (watch.fd < 0)
        return WATCH_LOST;
    while ((event = next_event()) != NULL) {
        if (event->mask & IN_Q_OVERFLOW)
            return WATCH_OVERFLOW;
        if (event->wd != watch.wd)
            continue;
        if (event->mask & WATCH_LOST_MASK)
            return WATCH_LOST;
        if (event->mask & IN_ISDIR || event->len == 0)
            continue;
        *ret_name = event->name;
        if (event->mask & WATCH_GONE_MASK)
            return WATCH_GONE;
        return event->mask & WATCH_CLOSED_MASK ? WATCH_CLOSED : WATCH_APPEARED;
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

void watch_close(void)
{
    if (watch.fd >= 0) {
        /*
         * What stays in the library's buffer would be replayed to the next watch, which has the
         * same number. With the watch removed nothing is added, so the draining ends.
         */
        inotify_rm_watch(watch.fd, watch.wd);
        while (next_event() != NULL)
            ;
        inotifytools_cleanup();
    }
    free(watch.path);
    memset(&watch, 0, sizeof watch);
    watch.fd = -1;
}
