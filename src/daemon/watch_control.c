#include "daemon/watch_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "fs/csv_name.h"
#include "base/log.h"
#include "daemon/watch.h"
#include "fs/fs_type.h"

#define RETRY_BUSY    (CLOCK_SECOND / 50) /* for the batch of another process to end */
#define RETRY_SCAN    (10 * CLOCK_SECOND) /* the disk is full, or the like */
#define RETRY_OPEN    CLOCK_SECOND        /* the drop directory is gone */
#define RECOUNT_DELAY CLOCK_SECOND

void watch_control_init(struct watch_control *control, const struct session *session,
                        struct batch *batch, int epoll)
{
    *control = (struct watch_control){.session = session, .batch = batch, .epoll = epoll};
}

/* ---- scanning ----------------------------------------------------------------------------- */

static unsigned poll_seconds(const struct watch_control *control)
{
    const struct config *config = &control->session->config;

    return config->poll < config->rescan ? config->poll : config->rescan;
}

/* Return the time between two scans. Polling must not take more than a tenth of the time. */
static int64_t scan_interval(const struct watch_control *control)
{
    int64_t rescan = clock_seconds(control->session->config.rescan);
    int64_t poll = clock_seconds(control->session->config.poll);

    if (poll < 10 * control->scan_time)
        poll = 10 * control->scan_time;
    return control->polls && poll < rescan ? poll : rescan;
}

static void scan_within(struct watch_control *control, int64_t delay)
{
    int64_t when = clock_monotonic() + delay;

    if (control->next_scan > when)
        control->next_scan = when;
}

int watch_control_scan(struct watch_control *control, int64_t due, struct cause *cause)
{
    int64_t now = clock_monotonic();

    control->polls = false;
    if (batch_scan(control->batch, due, 0, cause) < 0) {
        control->next_scan = now + (cause->kind == CAUSE_BUSY ? RETRY_BUSY : RETRY_SCAN);
        return -1;
    }
    control->scan_time = clock_monotonic() - now;
    control->next_scan = now + scan_interval(control);
    return 0;
}

/* Watch a directory below the drop directory. Return false if its changes are not seen. */
static bool enter_below(struct watch_control *control, const char *directory)
{
    struct cause cause;

    if (watch_enter(directory, &cause) == 0 || cause.errnum == ENOENT)
        return true;
    if (!control->logged_unwatched)
        log_warning("%s: it is looked at every %u seconds, and so are others", cause.text,
                    poll_seconds(control));
    control->logged_unwatched = true;
    return false;
}

void watch_control_enter(void *context, const char *directory, int fd)
{
    struct watch_control *control = context;
    const char *system = fs_type_name(fd);
    bool seen;

    if (!control->watching)
        return;
    if (system != NULL && !control->logged_fs_type) {
        log_notice(DATADIR_DROP "/%s is on %s, of which the kernel does not tell all that happens: "
                                "looked at every %u seconds",
                   directory, system, poll_seconds(control));
        control->logged_fs_type = true;
    }
    /* Watch even where events are incomplete: most changes are seen at once then. */
    seen = *directory == '\0' || enter_below(control, directory);
    if (seen && system == NULL)
        return;
    control->polls = true;
    scan_within(control, scan_interval(control));
}

/* ---- the watch ---------------------------------------------------------------------------- */

static int open_watch(struct watch_control *control, const char *path, struct cause *cause)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (watch_open(path, cause) < 0)
        return -1;
    event.data.fd = watch_fd();
    if (epoll_ctl(control->epoll, EPOLL_CTL_ADD, watch_fd(), &event) < 0) {
        cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
        watch_close();
        return -1;
    }
    return 0;
}

int watch_control_open(struct watch_control *control, struct cause *cause)
{
    char *path = NULL;
    int result;

    control->next_open = clock_monotonic() + RETRY_OPEN;
    if (asprintf(&path, "%s/" DATADIR_DROP, control->session->dir.path) < 0)
        return cause_memory(cause);
    result = open_watch(control, path, cause);
    if (result == 0) {
        log_info("watching %s/: drop CSV files there (scp, rsync, sftp, cp or mv)", path);
        control->watching = true;
        control->logged_fs_type = control->logged_unwatched = false;
    }
    free(path);
    return result;
}

/* Closing the watch's descriptor takes it out of the epoll set. */
static void lose_watch(struct watch_control *control, const char *why)
{
    watch_close();
    control->watching = false;
    control->next_open = clock_monotonic();
    log_warning("the drop directory %s/" DATADIR_DROP " %s: looking for it every second",
                control->session->dir.path, why);
}

bool watch_control_check(struct watch_control *control)
{
    if (control->watching && watch_is_stale())
        lose_watch(control, "is another one now, or was mounted over");
    if (!control->watching)
        control->next_scan = clock_monotonic() + RETRY_OPEN;
    return control->watching;
}

bool watch_control_needs_open(struct watch_control *control, int64_t now)
{
    if (control->watching && watch_needs_reopen()) {
        watch_close();
        control->watching = false;
        control->next_open = now;
    }
    return !control->watching && now >= control->next_open;
}

void watch_control_close(struct watch_control *control)
{
    if (control->watching)
        watch_close();
    control->watching = false;
}

/* ---- events ------------------------------------------------------------------------------- */

static bool is_listed(const struct watch_control *control, const char *directory)
{
    return control->session->config.recursive && csv_name_is_scanned_directory(directory);
}

static int directory_came(struct watch_control *control, const char *directory, int64_t due,
                          struct cause *cause)
{
    if (!is_listed(control, directory) ||
        batch_look_into(control->batch, directory, due, cause) == 0)
        return 0;
    scan_within(control, RECOUNT_DELAY + 10 * control->scan_time);
    return -1;
}

/* Scan soon to count out the files that were in the directory: the kernel does not name them. Where
 * we poll, the next scan is soon enough. */
static void directory_went(struct watch_control *control, const char *directory)
{
    if (is_listed(control, directory) && !control->polls)
        scan_within(control, RECOUNT_DELAY + 10 * control->scan_time);
}

/* Handle an event about one name. */
static int handle_event(struct watch_control *control, enum watch_kind kind, const char *name,
                        int64_t due, struct cause *cause)
{
    switch (kind) {
    case WATCH_APPEARED:
    case WATCH_CLOSED:
        return batch_arrive(control->batch, name, kind == WATCH_CLOSED, due, cause);
    case WATCH_GONE:
        batch_gone(control->batch, name);
        return 0;
    case WATCH_DIRECTORY:
        return directory_came(control, name, due, cause);
    case WATCH_DIRECTORY_GONE:
        directory_went(control, name);
        return 0;
    default:
        return 0;
    }
}

enum watch_control_result watch_control_take(struct watch_control *control, int64_t due,
                                             struct cause *cause)
{
    enum watch_control_result result = WATCH_CONTROL_DONE;
    enum watch_kind kind;
    const char *name;

    while (control->watching && (kind = watch_next(&name)) != WATCH_NONE) {
        if (kind == WATCH_LOST) {
            lose_watch(control, "was removed, renamed or unmounted");
            return WATCH_CONTROL_DONE;
        }
        if (kind == WATCH_OVERFLOW) {
            log_notice(
                "more arrived than the kernel could tell of: looking at the whole directory");
            result = WATCH_CONTROL_RESCAN;
        } else if (handle_event(control, kind, name, due, cause) < 0) {
            return WATCH_CONTROL_FAILED;
        }
    }
    return result;
}
