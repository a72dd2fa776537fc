/* phasesentineld: the daemon. Watches the drop directory and runs the intake when there is
 * something to do. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/fs_type.h"
#include "ingest/batch.h"
#include "fs/lock_file.h"
#include "base/log.h"
#include "fs/sandbox.h"
#include "ops/publish.h"
#include "ops/session.h"
#include "daemon/watch.h"
#include "base/csv_name.h"

#define RETRY_BUSY    (CLOCK_SECOND / 50) /* `merge` holds the lock: its batch is soon over */
#define RETRY_LOST    CLOCK_SECOND        /* the drop directory is gone */
#define RETRY_PAUSE   (10 * CLOCK_SECOND) /* the disk is full, or the like */
#define RECOUNT_DELAY CLOCK_SECOND
#define REPORT_DELAY  (CLOCK_SECOND / 5)     /* statistics follow the last of many batches, ... */
#define REPORT_LATEST (CLOCK_SECOND * 4 / 5) /* or the first one, at the latest */

#define LAST_WAIT 5000 /* milliseconds for the lock, at the end */

/* Lines about files are bounded: a burst, then a few a second; the rest is summed up. */
#define LINES_BURST  30
#define LINES_REFILL (CLOCK_SECOND / 2)

struct daemon {
    struct session session;
    struct batch batch;
    struct publisher publisher;
    struct lock_file lock;
    int epoll, signals, timer;
    bool watching;
    bool polls; /* there is a directory of which the kernel does not tell all */
    bool logged_fs_type, said_unwatched; /* why, each once */
    bool stop, reload;
    bool confined; /* by the kernel, to the directories of the start */
    int64_t next_scan, next_tick, next_report, next_retry, next_watch;
    int64_t report_latest; /* of what is to be reported now */
    int64_t scan_time;     /* that the last full scan took */
    char trouble[1024];

    int64_t lines_left, lines_time;
    uint64_t unsaid_files, unsaid_rows;
};

/* ---- telling ------------------------------------------------------------------------------ */

static void say_unsaid(struct daemon *daemon)
{
    if (daemon->unsaid_files > 0)
        log_info("and %" PRIu64 " more files, %" PRIu64 " rows merged", daemon->unsaid_files,
                 daemon->unsaid_rows);
    daemon->unsaid_files = daemon->unsaid_rows = 0;
}

static void log_notice_of_file(void *context, const struct ingest_notice *notice)
{
    struct daemon *daemon = context;
    int64_t now = clock_monotonic(), refill = (now - daemon->lines_time) / LINES_REFILL;

    if (refill > 0) {
        daemon->lines_left =
            daemon->lines_left + refill < LINES_BURST ? daemon->lines_left + refill : LINES_BURST;
        daemon->lines_time = now;
    }
    if (daemon->lines_left == 0) {
        daemon->unsaid_files++;
        if (notice->event == INGEST_MERGED || notice->event == INGEST_GROWN)
            daemon->unsaid_rows += notice->rows;
        return;
    }
    daemon->lines_left--;
    log_line(notice->event == INGEST_QUARANTINED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s %s: %s",
             ingest_event_name(notice->event), notice->name, notice->detail);
}

static void set_trouble(struct daemon *daemon, const char *text)
{
    if (strcmp(daemon->trouble, text) == 0)
        return;
    if (text[0] != '\0')
        log_error("%s; nothing is lost, trying again", text);
    else
        log_notice("the trouble is over");
    snprintf(daemon->trouble, sizeof daemon->trouble, "%s", text);
    daemon->next_report = clock_monotonic();
}

/* ---- the parts of a round ----------------------------------------------------------------- */

static int64_t arrival_due(const struct daemon *daemon, int64_t now)
{
    return daemon->session.config.merge == CONFIG_MERGE_TIMER ? daemon->next_tick : now;
}

/* What was moved or linked to elsewhere since the start cannot be opened, whoever owns it. */
static void explain_refusal(const struct daemon *daemon, struct cause *cause)
{
    size_t len = strlen(cause->text);

    if (daemon->confined && cause->errnum == EACCES)
        snprintf(cause->text + len, sizeof cause->text - len,
                 "; if it lies elsewhere since the start, restart (SECURITY CONSIDERATIONS in "
                 "phasesentineld(8))");
}

/* 0: go on, now or later; -1: the daemon must end. */
static int tolerate(struct daemon *daemon, struct cause *cause)
{
    int64_t now = clock_monotonic();

    switch (cause->kind) {
    case CAUSE_BUSY:
        daemon->next_retry = now + RETRY_BUSY;
        return 0;
    case CAUSE_CHANGED:
    case CAUSE_RETRY:
        daemon->next_retry = now + RETRY_PAUSE;
        explain_refusal(daemon, cause);
        set_trouble(daemon, cause->text);
        return 0;
    default:
        return -1;
    }
}

/* A scan must not take more than a tenth of the time. */
static int64_t scan_interval(const struct daemon *daemon)
{
    int64_t rescan = clock_seconds(daemon->session.config.rescan);
    int64_t poll = clock_seconds(daemon->session.config.poll);

    if (poll < 10 * daemon->scan_time)
        poll = 10 * daemon->scan_time;
    return daemon->polls && poll < rescan ? poll : rescan;
}

/* A directory is looked into: watched before it is listed, so that whatever arrives in between is
 * seen by one of them; and looked at often where the watch does not tell all. */
static void enter(void *context, const char *directory, int fd)
{
    struct daemon *daemon = context;
    const struct config *config = &daemon->session.config;
    const char *system = fs_type_name(fd);
    const unsigned seconds = config->poll < config->rescan ? config->poll : config->rescan;
    struct cause cause;
    int64_t soon;

    if (!daemon->watching)
        return;
    if (system != NULL && !daemon->logged_fs_type) {
        log_notice(DATADIR_DROP "/%s is on %s, of which the kernel does not tell all that happens: "
                                "looked at every %u seconds",
                   directory, system, seconds);
        daemon->logged_fs_type = true;
    }
    if (*directory != '\0' && watch_enter(directory, &cause) < 0 && cause.errnum != ENOENT) {
        if (!daemon->said_unwatched)
            log_warning("%s: it is looked at every %u seconds, and so are others", cause.text,
                        seconds);
        daemon->said_unwatched = true;
    } else if (system == NULL) {
        return;
    }
    daemon->polls = true;
    soon = clock_monotonic() + scan_interval(daemon);
    if (daemon->next_scan > soon)
        daemon->next_scan = soon;
}

static int scan(struct daemon *daemon, struct cause *cause)
{
    int64_t now = clock_monotonic();

    daemon->polls = false;
    if (batch_scan(&daemon->batch, arrival_due(daemon, now), 0, cause) < 0) {
        daemon->next_scan = now + (cause->kind == CAUSE_BUSY ? RETRY_BUSY : RETRY_PAUSE);
        return tolerate(daemon, cause);
    }
    daemon->scan_time = clock_monotonic() - now;
    daemon->next_scan = now + scan_interval(daemon);
    daemon->next_report = now + REPORT_DELAY;
    return 0;
}

/* Watch first, then scan: whatever arrives in between is seen by one of them. */
static int start_watching(struct daemon *daemon, struct cause *cause)
{
    struct epoll_event event = {.events = EPOLLIN};
    char *path = NULL;

    if (asprintf(&path, "%s/" DATADIR_DROP, daemon->session.dir.path) < 0)
        return cause_memory(cause);
    if (watch_open(path, cause) < 0) {
        free(path);
        return -1;
    }
    event.data.fd = watch_fd();
    if (epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, watch_fd(), &event) < 0) {
        free(path);
        watch_close();
        return cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
    }
    log_info("watching %s/: drop CSV files there (scp, rsync, sftp, cp or mv)", path);
    free(path);
    daemon->watching = true;
    daemon->logged_fs_type = daemon->said_unwatched = false;
    return scan(daemon, cause);
}

static void stop_watching(struct daemon *daemon, const char *why)
{
    if (!daemon->watching)
        return;
    watch_close(); /* closing the descriptor takes it out of the epoll set */
    daemon->watching = false;
    daemon->next_watch = clock_monotonic();
    log_warning("the drop directory %s/" DATADIR_DROP " %s: looking for it every second",
                daemon->session.dir.path, why);
}

static void keep_watching(struct daemon *daemon, int64_t now)
{
    struct cause cause;

    if (daemon->watching && watch_needs_reopen()) {
        watch_close();
        daemon->watching = false;
        daemon->next_watch = now;
    }
    if (daemon->watching || now < daemon->next_watch)
        return;
    if (start_watching(daemon, &cause) == 0) {
        set_trouble(daemon, "");
        return;
    }
    daemon->next_watch = now + RETRY_LOST;
    set_trouble(daemon, cause.text);
}

static void scan_soon(struct daemon *daemon)
{
    int64_t soon = clock_monotonic() + RECOUNT_DELAY + 10 * daemon->scan_time;

    if (daemon->next_scan > soon)
        daemon->next_scan = soon;
}

static int look_into(struct daemon *daemon, const char *directory, int64_t due, struct cause *cause)
{
    int result;

    if (!daemon->session.config.recursive || !csv_name_is_scanned_directory(directory))
        return 0;
    result = batch_look_into(&daemon->batch, directory, due, cause);
    if (result < 0)
        scan_soon(daemon);
    return result;
}

static int take_events(struct daemon *daemon, struct cause *cause)
{
    int64_t due = arrival_due(daemon, clock_monotonic());
    enum watch_kind kind;
    const char *name;
    bool rescan = false;

    while (daemon->watching && (kind = watch_next(&name)) != WATCH_NONE) {
        switch (kind) {
        case WATCH_APPEARED:
        case WATCH_CLOSED:
            if (dropdir_arrive(&daemon->batch.drop, name, kind == WATCH_CLOSED, due, cause) < 0)
                return tolerate(daemon, cause);
            break;
        case WATCH_GONE:
            dropdir_gone(&daemon->batch.drop, name);
            break;
        case WATCH_DIRECTORY:
            if (look_into(daemon, name, due, cause) < 0)
                return tolerate(daemon, cause);
            break;
        case WATCH_DIRECTORY_GONE:
            /* It has taken its files with it, of which nothing tells: they are counted out.
             * Where we poll that comes by itself. */
            if (daemon->session.config.recursive && csv_name_is_scanned_directory(name) &&
                !daemon->polls)
                scan_soon(daemon);
            break;
        case WATCH_OVERFLOW:
            log_notice(
                "more arrived than the kernel could tell of: looking at the whole directory");
            rescan = true;
            break;
        case WATCH_LOST:
            stop_watching(daemon, "was removed, renamed or unmounted");
            return 0;
        case WATCH_NONE:
            break;
        }
    }
    return rescan ? scan(daemon, cause) : 0;
}

static int run_due(struct daemon *daemon, int64_t now, struct cause *cause)
{
    if (now < daemon->next_retry || batch_due(&daemon->batch) > now)
        return 0;
    if (batch_run(&daemon->batch, 0, cause) < 0)
        return tolerate(daemon, cause);
    if (daemon->watching)
        set_trouble(daemon, "");
    /* Once a while is quiet, so that a report seldom stands in the way of an arrival. */
    if (publisher_due(&daemon->publisher)) {
        if (daemon->next_report > now + REPORT_LATEST)
            daemon->report_latest = now + REPORT_LATEST;
        daemon->next_report =
            now + REPORT_DELAY < daemon->report_latest ? now + REPORT_DELAY : daemon->report_latest;
    }
    return 0;
}

static void report(struct daemon *daemon, int64_t now, bool file_cache, unsigned wait_ms)
{
    struct cause cause;

    daemon->next_report = INT64_MAX;
    say_unsaid(daemon);
    if (publish(&daemon->publisher, file_cache, wait_ms, daemon->trouble, &cause) == 0)
        return;
    daemon->next_report = now + (cause.kind == CAUSE_BUSY ? RETRY_BUSY : RETRY_PAUSE);
    if (cause.kind != CAUSE_BUSY && daemon->trouble[0] == '\0')
        log_warning("statistics: %s", cause.text);
}

static int open_intake(struct daemon *daemon, struct cause *cause)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (batch_open(&daemon->batch, &daemon->session.config, &daemon->session.schema,
                   &daemon->session.dir, "phasesentineld", log_notice_of_file, daemon, cause) < 0)
        return -1;
    publisher_init(&daemon->publisher, &daemon->batch);
    daemon->batch.drop.enter = enter;
    daemon->batch.drop.enter_context = daemon;
    daemon->batch.drop.is_daemon = true;
    /* Closing the intake takes its descriptor out of the epoll set. */
    event.data.fd = batch_fd(&daemon->batch);
    if (epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
    return 0;
}

/* A bad new configuration is reported and the old one kept. */
static int reload(struct daemon *daemon, struct cause *cause)
{
    struct session fresh = {.config_path = daemon->session.config_path,
                            .data_dir = daemon->session.data_dir,
                            .allow_root = daemon->session.allow_root};

    daemon->reload = false;
    if (session_load(&fresh, cause) < 0) {
        explain_refusal(daemon, cause);
        session_fail(cause);
        log_error("reload: the old configuration stays");
        session_free(&fresh);
        log_set_level(daemon->session.config.level);
        return 0;
    }
    if (strcmp(fresh.config.data_dir, daemon->session.config.data_dir) != 0) {
        log_error("reload: data_dir cannot change from %s to %s while we run: restart; the old "
                  "configuration stays",
                  daemon->session.config.data_dir, fresh.config.data_dir);
        session_free(&fresh);
        return 0;
    }
    if (training_check_schema(&daemon->session.dir, &fresh.schema, cause) < 0) {
        log_error("reload: %s; the old configuration stays", cause->text);
        session_free(&fresh);
        return 0;
    }
    report(daemon, clock_monotonic(), true, LAST_WAIT);
    batch_close(&daemon->batch);
    schema_free(&daemon->session.schema);
    config_free(&daemon->session.config);
    daemon->session.schema = fresh.schema;
    daemon->session.config = fresh.config;
    log_notice("configuration reloaded from %s", daemon->session.config_path);
    if (open_intake(daemon, cause) < 0)
        return -1;
    daemon->next_tick = clock_monotonic() + clock_seconds(daemon->session.config.interval);
    return scan(daemon, cause);
}

static void take_signals(struct daemon *daemon)
{
    struct signalfd_siginfo info;

    while (read(daemon->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            daemon->reload = true;
        else if (info.ssi_signo == SIGUSR1)
            dropdir_merge_all_now(&daemon->batch.drop);
        else
            daemon->stop = true;
    }
}

static int64_t earliest(const struct daemon *daemon)
{
    int64_t due = batch_due(&daemon->batch), times[4];
    size_t i;

    if (due < daemon->next_retry)
        due = daemon->next_retry;
    times[0] = daemon->next_scan;
    times[1] = daemon->next_report;
    times[2] = daemon->watching ? INT64_MAX : daemon->next_watch;
    times[3] = daemon->session.config.merge == CONFIG_MERGE_TIMER ? daemon->next_tick : INT64_MAX;
    for (i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i] < due)
            due = times[i];
    return due;
}

static void wait_for_work(struct daemon *daemon)
{
    int64_t due = earliest(daemon), now = clock_monotonic();
    struct itimerspec until = {.it_value = {.tv_nsec = 1}};
    struct epoll_event events[4];
    uint64_t ticks;
    int i, count;

    if (due > now)
        until.it_value = (struct timespec){due / CLOCK_SECOND, due % CLOCK_SECOND};
    timerfd_settime(daemon->timer, TFD_TIMER_ABSTIME, &until, NULL);
    count = epoll_wait(daemon->epoll, events, 4, -1);
    for (i = 0; i < count; i++) {
        if (events[i].data.fd == daemon->signals)
            take_signals(daemon);
        else if (events[i].data.fd == daemon->timer ||
                 events[i].data.fd == batch_fd(&daemon->batch))
            (void)!read(events[i].data.fd, &ticks, sizeof ticks);
    }
}

static int round_once(struct daemon *daemon, struct cause *cause)
{
    int64_t now;

    wait_for_work(daemon);
    if (daemon->reload && reload(daemon, cause) < 0)
        return -1;
    if (take_events(daemon, cause) < 0)
        return -1;
    now = clock_monotonic();
    keep_watching(daemon, now);
    if (now >= daemon->next_scan) {
        if (daemon->watching && watch_is_stale())
            stop_watching(daemon, "is another one now, or was mounted over");
        else if (daemon->watching && scan(daemon, cause) < 0)
            return -1;
        if (!daemon->watching)
            daemon->next_scan = now + RETRY_LOST;
        else if (daemon->trouble[0] == '\0')
            report(daemon, now, true, 0);
    }
    if (run_due(daemon, clock_monotonic(), cause) < 0)
        return -1;
    if (daemon->session.config.merge == CONFIG_MERGE_TIMER && now >= daemon->next_tick)
        daemon->next_tick = now + clock_seconds(daemon->session.config.interval);
    if (clock_monotonic() >= daemon->next_report)
        report(daemon, now, false, 0);
    return 0;
}

/* ---- starting ----------------------------------------------------------------------------- */

static int open_wakeups(struct daemon *daemon, struct cause *cause)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    daemon->epoll = epoll_create1(EPOLL_CLOEXEC);
    daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    daemon->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    event.data.fd = daemon->signals;
    if (daemon->epoll < 0 || daemon->signals < 0 || daemon->timer < 0 ||
        epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, daemon->signals, &event) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
    event.data.fd = daemon->timer;
    if (epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, daemon->timer, &event) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
    return 0;
}

/* Before there are threads, and before a stranger's byte is read. */
static void confine(struct daemon *daemon)
{
    const char *const files[] = {daemon->session.config_path, daemon->session.config.schema, NULL};
    const struct datadir *dir = &daemon->session.dir;
    const int own[] = {dir->root,  dir->quarantine, dir->archive, dir->stats,
                       dir->state, dir->moving,     dir->cut};
    struct buffer said = {0}, drop = {0};
    struct sandbox_access access = {.own = own,
                                    .own_count = sizeof own / sizeof *own,
                                    .own_path = dir->path,
                                    .read_again = files};

    buffer_printf(&drop, "%s/" DATADIR_DROP, dir->path);
    access.drop_path = buffer_text(&drop);
    daemon->confined = sandbox_enter(&access, &said);
    buffer_free(&drop);
    log_line(daemon->confined ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, "sandbox: %s",
             buffer_text(&said));
    buffer_free(&said);
}

static int start(struct daemon *daemon, struct cause *cause)
{
    const struct config *config = &daemon->session.config;

    if (open_wakeups(daemon, cause) < 0 ||
        session_open_dirs(&daemon->session, SESSION_CREATE_DIRS, cause) < 0)
        return -1;
    if (lock_file_take(&daemon->lock, daemon->session.dir.state, "daemon.lock", 0, cause) < 0 ||
        lock_file_mark(&daemon->lock, "phasesentineld", cause) < 0)
        return -1;
    confine(daemon);
    if (open_intake(daemon, cause) < 0)
        return -1;
    if (config->merge == CONFIG_MERGE_TIMER)
        log_info("merging every %u seconds, and on SIGUSR1", config->interval);
    daemon->next_tick = clock_monotonic() + clock_seconds(config->interval);
    daemon->next_report = clock_monotonic() + REPORT_DELAY;
    return start_watching(daemon, cause);
}

static int finish(struct daemon *daemon, int result, const struct cause *cause)
{
    struct cause ignored;

    if (result == 0)
        report(daemon, clock_monotonic(), true, LAST_WAIT);
    say_unsaid(daemon);
    if (daemon->watching)
        watch_close();
    batch_close(&daemon->batch);
    if (daemon->lock.fd >= 0)
        lock_file_clear(&daemon->lock, &ignored);
    lock_file_release(&daemon->lock);
    close(daemon->timer);
    close(daemon->signals);
    close(daemon->epoll);
    result = result < 0 ? session_fail(cause) : 0;
    if (result == 0)
        log_info("ended on request");
    session_free(&daemon->session);
    return result;
}

static const char usage[] =
    "Usage: phasesentineld [-c FILE] [-d DIR] [--allow-root]\n"
    "\n"
    "  phasesentineld                        with the installed configuration\n"
    "  phasesentineld -c etc/phasesentinel.ini\n"
    "  kill -TERM PID                        finishes the batch and ends\n"
    "  kill -HUP PID                         reads the configuration again\n"
    "  kill -USR1 PID                        merges now\n"
    "\n"
    "Watches the drop directory, checks every CSV file that arrives and merges its rows into "
    "training_data.csv.\n"
    "Stays in the foreground and logs to stderr.\n"
    "\n"
    "  -c, --config FILE    configuration (else $PHASESENTINEL_CONFIG, else " CONFIG_FILE ")\n"
    "  -d, --data-dir DIR   data directory, instead of [paths] data_dir\n"
    "      --allow-root     run as root on a data directory that belongs to root\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "See phasesentineld(8), phasesentinel(1), phasesentinel.ini(5).\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {SESSION_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    struct daemon daemon = {
        .epoll = -1, .signals = -1, .timer = -1, .lock = {.fd = -1}, .lines_left = LINES_BURST};
    struct cause cause = {0};
    int option, result;

    log_open("phasesentineld", true);
    session_init(&daemon.session);
    while ((option = getopt_long(argc, argv, SESSION_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == 'V') {
            puts("phasesentineld " VERSION);
            return 0;
        }
        if (!session_take_option(&daemon.session, option, optarg)) {
            fputs("Try: phasesentineld --help\n", stderr);
            return 64;
        }
    }
    if (optind < argc) {
        fprintf(stderr,
                "phasesentineld: takes no arguments but options: %s\nTry: phasesentineld --help\n",
                argv[optind]);
        return 64;
    }
    if (session_load(&daemon.session, &cause) < 0) {
        result = session_fail(&cause);
        session_free(&daemon.session);
        return result;
    }
    result = start(&daemon, &cause);
    while (result == 0 && !daemon.stop)
        result = round_once(&daemon, &cause);
    return finish(&daemon, result, &cause);
}
