/* phasesentineld: the daemon, a loop around the watch and the batches. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/log_throttle.h"
#include "daemon/watch_control.h"
#include "fs/lock_file.h"
#include "fs/sandbox.h"
#include "ops/publish.h"

#define RETRY_BUSY     (CLOCK_SECOND / 50)    /* `merge` holds the lock: its batch is soon over */
#define RETRY_PAUSE    (10 * CLOCK_SECOND)    /* the disk is full, or the like */
#define PUBLISH_DELAY  (CLOCK_SECOND / 5)     /* from the last of many batches to the statistics */
#define PUBLISH_LATEST (CLOCK_SECOND * 4 / 5) /* from the first of them */

#define LAST_WAIT 5000 /* milliseconds for the lock, at the end */

struct daemon {
    struct session session;
    struct batch batch;
    struct publisher publisher;
    struct watch_control watch;
    struct log_throttle throttle;
    struct lock_file lock; /* state/daemon.lock */
    int epoll, signals, timer;
    bool stop, reload;      /* requested by a signal */
    bool confined;          /* to the directories of the start */
    int64_t next_merge;     /* time of the next merge by the timer, where merge = timer */
    int64_t next_retry;     /* time before which no batch is run */
    int64_t next_publish;   /* time of the next writing of the statistics */
    int64_t publish_latest; /* latest time of that, however many batches follow */
    char trouble[1024];     /* "": none */
};

/* ---- log and trouble ---------------------------------------------------------------------- */

static void log_event(void *context, const struct ingest_notice *notice)
{
    struct daemon *daemon = context;

    log_throttle_notice(&daemon->throttle, notice);
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
    daemon->next_publish = clock_monotonic();
}

/* The sandbox refuses what was moved or linked to another place since the start, whoever owns it. */
static void explain_refusal(const struct daemon *daemon, struct cause *cause)
{
    size_t len = strlen(cause->text);

    if (daemon->confined && cause->errnum == EACCES)
        snprintf(cause->text + len, sizeof cause->text - len,
                 "; if it lies elsewhere since the start, restart (SECURITY CONSIDERATIONS in "
                 "phasesentineld(8))");
}

/* Schedule another attempt after a failure. Return 0, or -1 if the daemon must end. */
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

static void publish_statistics(struct daemon *daemon, bool save_cache, unsigned wait_ms)
{
    struct cause cause;

    daemon->next_publish = CLOCK_NEVER;
    log_throttle_flush(&daemon->throttle);
    if (publish(&daemon->publisher, save_cache, wait_ms, daemon->trouble, &cause) == 0)
        return;
    daemon->next_publish =
        clock_monotonic() + (cause.kind == CAUSE_BUSY ? RETRY_BUSY : RETRY_PAUSE);
    if (cause.kind != CAUSE_BUSY && daemon->trouble[0] == '\0')
        log_warning("statistics: %s", cause.text);
}

/* ---- the parts of a round ----------------------------------------------------------------- */

/* Return the time at which a file that arrives now is merged. */
static int64_t arrival_due(const struct daemon *daemon)
{
    return daemon->session.config.merge == CONFIG_MERGE_TIMER ? daemon->next_merge
                                                              : clock_monotonic();
}

static int rescan_drop(struct daemon *daemon, struct cause *cause)
{
    if (watch_control_scan(&daemon->watch, arrival_due(daemon), cause) < 0)
        return tolerate(daemon, cause);
    daemon->next_publish = clock_monotonic() + PUBLISH_DELAY;
    return 0;
}

static int take_events(struct daemon *daemon, struct cause *cause)
{
    switch (watch_control_take(&daemon->watch, arrival_due(daemon), cause)) {
    case WATCH_CONTROL_FAILED:
        return tolerate(daemon, cause);
    case WATCH_CONTROL_RESCAN:
        return rescan_drop(daemon, cause);
    case WATCH_CONTROL_DONE:
        break;
    }
    return 0;
}

/* Watch, then scan: what arrives in between is found by either of them. */
static int start_watching(struct daemon *daemon, struct cause *cause)
{
    if (watch_control_open(&daemon->watch, cause) < 0)
        return -1;
    return rescan_drop(daemon, cause);
}

static void keep_watching(struct daemon *daemon)
{
    struct cause cause;

    if (!watch_control_needs_open(&daemon->watch, clock_monotonic()))
        return;
    set_trouble(daemon, start_watching(daemon, &cause) == 0 ? "" : cause.text);
}

static int scan_if_due(struct daemon *daemon, int64_t now, struct cause *cause)
{
    if (now < daemon->watch.next_scan || !watch_control_check(&daemon->watch))
        return 0;
    if (rescan_drop(daemon, cause) < 0)
        return -1;
    if (daemon->trouble[0] == '\0')
        publish_statistics(daemon, true, 0);
    return 0;
}

static int run_if_due(struct daemon *daemon, struct cause *cause)
{
    int64_t now = clock_monotonic();

    if (now < daemon->next_retry || batch_due(&daemon->batch) > now)
        return 0;
    if (batch_run(&daemon->batch, 0, cause) < 0)
        return tolerate(daemon, cause);
    if (daemon->watch.watching)
        set_trouble(daemon, "");
    if (!publisher_due(&daemon->publisher))
        return 0;
    /* Publish once no batch has run for a while, so that arrivals seldom wait for that. */
    if (daemon->next_publish > now + PUBLISH_LATEST)
        daemon->publish_latest = now + PUBLISH_LATEST;
    daemon->next_publish =
        now + PUBLISH_DELAY < daemon->publish_latest ? now + PUBLISH_DELAY : daemon->publish_latest;
    return 0;
}

/* ---- reloading ---------------------------------------------------------------------------- */

static int open_batch(struct daemon *daemon, struct cause *cause)
{
    struct epoll_event event = {.events = EPOLLIN};
    const struct batch_request request = {.config = &daemon->session.config,
                                          .schema = &daemon->session.schema,
                                          .dir = &daemon->session.dir,
                                          .program = "phasesentineld",
                                          .notify = log_event,
                                          .notify_context = daemon};

    if (batch_open(&daemon->batch, &request, cause) < 0)
        return -1;
    batch_set_daemon(&daemon->batch, watch_control_enter, &daemon->watch);
    publisher_init(&daemon->publisher, &daemon->batch);
    /* Closing the batch takes its descriptor out of the epoll set. */
    event.data.fd = batch_fd(&daemon->batch);
    if (epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot wait for events");
    return 0;
}

/* Load the configuration again. Return false, and say why, if the old one must stay. */
static bool load_again(struct daemon *daemon, struct session *fresh)
{
    struct cause cause = {0};

    if (session_load(fresh, &cause) < 0) {
        explain_refusal(daemon, &cause);
        session_fail(&cause);
        log_error("reload: the old configuration stays");
        log_set_level(daemon->session.config.level);
        return false;
    }
    if (strcmp(fresh->config.data_dir, daemon->session.config.data_dir) != 0) {
        log_error("reload: data_dir cannot change from %s to %s while we run: restart; the old "
                  "configuration stays",
                  daemon->session.config.data_dir, fresh->config.data_dir);
        return false;
    }
    if (training_check_schema(&daemon->session.dir, &fresh->schema, &cause) < 0) {
        log_error("reload: %s; the old configuration stays", cause.text);
        return false;
    }
    return true;
}

static int reload_config(struct daemon *daemon, struct cause *cause)
{
    struct session fresh = {.config_path = daemon->session.config_path,
                            .data_dir = daemon->session.data_dir,
                            .allow_root = daemon->session.allow_root};

    daemon->reload = false;
    if (!load_again(daemon, &fresh)) {
        session_free(&fresh);
        return 0;
    }
    publish_statistics(daemon, true, LAST_WAIT);
    batch_close(&daemon->batch);
    schema_free(&daemon->session.schema);
    config_free(&daemon->session.config);
    daemon->session.schema = fresh.schema;
    daemon->session.config = fresh.config;
    log_notice("configuration reloaded from %s", daemon->session.config_path);
    if (open_batch(daemon, cause) < 0)
        return -1;
    daemon->next_merge = clock_monotonic() + clock_seconds(daemon->session.config.interval);
    return rescan_drop(daemon, cause);
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void take_signals(struct daemon *daemon)
{
    struct signalfd_siginfo info;

    while (read(daemon->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            daemon->reload = true;
        else if (info.ssi_signo == SIGUSR1)
            batch_merge_all_now(&daemon->batch);
        else
            daemon->stop = true;
    }
}

/* Return the time of the next thing to do. */
static int64_t next_time(const struct daemon *daemon)
{
    const int64_t times[] = {daemon->watch.next_scan, daemon->next_publish,
                             daemon->watch.watching ? CLOCK_NEVER : daemon->watch.next_open,
                             daemon->session.config.merge == CONFIG_MERGE_TIMER ? daemon->next_merge
                                                                                : CLOCK_NEVER};
    int64_t due = batch_due(&daemon->batch);
    size_t i;

    if (due < daemon->next_retry)
        due = daemon->next_retry;
    for (i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i] < due)
            due = times[i];
    return due;
}

/* Wait for an event, a signal, the timer, or the end of a background read. */
static void wait_for_wakeup(struct daemon *daemon)
{
    int64_t due = next_time(daemon), now = clock_monotonic();
    struct itimerspec until = {.it_value = {.tv_nsec = 1}}; /* at once; 0 would disarm the timer */
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

static int run_round(struct daemon *daemon, struct cause *cause)
{
    int64_t now;

    wait_for_wakeup(daemon);
    if (daemon->reload && reload_config(daemon, cause) < 0)
        return -1;
    if (take_events(daemon, cause) < 0)
        return -1;
    keep_watching(daemon);
    now = clock_monotonic();
    if (scan_if_due(daemon, now, cause) < 0 || run_if_due(daemon, cause) < 0)
        return -1;
    if (daemon->session.config.merge == CONFIG_MERGE_TIMER && now >= daemon->next_merge)
        daemon->next_merge = now + clock_seconds(daemon->session.config.interval);
    if (clock_monotonic() >= daemon->next_publish)
        publish_statistics(daemon, false, 0);
    return 0;
}

/* ---- start and finish --------------------------------------------------------------------- */

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

/* Enter the sandbox: before the first thread is started, and before a user's file is read. */
static void enter_sandbox(struct daemon *daemon)
{
    const char *const files[] = {daemon->session.config_path, daemon->session.config.schema, NULL};
    const struct datadir *dir = &daemon->session.dir;
    const int own[] = {dir->root,  dir->quarantine, dir->archive, dir->stats,
                       dir->state, dir->moving,     dir->cut};
    struct buffer text = {0}, drop = {0};
    struct sandbox_access access = {.own = own,
                                    .own_count = sizeof own / sizeof *own,
                                    .own_path = dir->path,
                                    .read_again = files};

    buffer_printf(&drop, "%s/" DATADIR_DROP, dir->path);
    access.drop_path = buffer_text(&drop);
    daemon->confined = sandbox_enter(&access, &text);
    buffer_free(&drop);
    log_line(daemon->confined ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, "sandbox: %s",
             buffer_text(&text));
    buffer_free(&text);
}

static int start_daemon(struct daemon *daemon, struct cause *cause)
{
    const struct config *config = &daemon->session.config;

    if (open_wakeups(daemon, cause) < 0 ||
        session_open_dirs(&daemon->session, SESSION_CREATE_DIRS, cause) < 0)
        return -1;
    if (lock_file_take(&daemon->lock, daemon->session.dir.state, "daemon.lock", 0, cause) < 0 ||
        lock_file_mark(&daemon->lock, "phasesentineld", cause) < 0)
        return -1;
    enter_sandbox(daemon);
    log_throttle_init(&daemon->throttle);
    watch_control_init(&daemon->watch, &daemon->session, &daemon->batch, daemon->epoll);
    if (open_batch(daemon, cause) < 0)
        return -1;
    if (config->merge == CONFIG_MERGE_TIMER)
        log_info("merging every %u seconds, and on SIGUSR1", config->interval);
    daemon->next_merge = clock_monotonic() + clock_seconds(config->interval);
    daemon->next_publish = clock_monotonic() + PUBLISH_DELAY;
    return start_watching(daemon, cause);
}

/* Release everything. Return the exit code. */
static int finish_daemon(struct daemon *daemon, int result, const struct cause *cause)
{
    struct cause ignored;

    if (result == 0)
        publish_statistics(daemon, true, LAST_WAIT);
    log_throttle_flush(&daemon->throttle);
    watch_control_close(&daemon->watch);
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
    struct daemon daemon = {.epoll = -1, .signals = -1, .timer = -1, .lock = {.fd = -1}};
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
    result = start_daemon(&daemon, &cause);
    while (result == 0 && !daemon.stop)
        result = run_round(&daemon, &cause);
    return finish_daemon(&daemon, result, &cause);
}
