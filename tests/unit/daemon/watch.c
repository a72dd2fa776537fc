#include "daemon/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/unit.h"

#define SKIPPED 77

static char root[64]; /* the directory of this test, absolute */
static char drop[128];

static const char *path_in(const char *dir, const char *name)
{
    static char path[1024];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *dir, const char *name)
{
    int fd = open(path_in(dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, "x\n", 2) != 2)
        perror(name);
    close(fd);
}

static bool opens(const char *dir)
{
    struct cause cause;

    if (watch_open(dir, &cause) == 0)
        return true;
    printf("# %s\n", cause.text);
    return false;
}

/* Take all events. Return true if one of them is of this kind, and of this name unless NULL. */
static bool comes(enum watch_kind wanted, const char *wanted_name)
{
    bool found = false;
    const char *name;
    enum watch_kind kind;

    while ((kind = watch_next(&name)) != WATCH_NONE) {
        found =
            found || (kind == wanted && (wanted_name == NULL || strcmp(name, wanted_name) == 0));
        if (kind == WATCH_LOST)
            break;
    }
    return found;
}

static void empty_drop(void)
{
    char command[512];

    watch_close();
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", drop, drop);
    if (system(command) != 0)
        perror(command);
}

static void test_kinds(void)
{
    char elsewhere[256];
    const char *name;

    empty_drop();
    check(watch_fd() == -1, "no descriptor while closed");
    check(watch_next(&name) == WATCH_LOST && name == NULL, "closed is lost");
    check(watch_is_stale(), "closed is stale");
    check(opens(drop), "opens");
    check(!watch_is_stale(), "a fresh watch is not stale");
    check(fcntl(watch_fd(), F_GETFD) & FD_CLOEXEC, "is not inherited by programs");
    check(fcntl(watch_fd(), F_GETFL) & O_NONBLOCK, "does not block");

    write_file(drop, "a.csv");
    check(watch_next(&name) == WATCH_APPEARED && strcmp(name, "a.csv") == 0, "created: appeared");
    check(watch_next(&name) == WATCH_CLOSED && strcmp(name, "a.csv") == 0, "written: closed");
    check(watch_next(&name) == WATCH_NONE && name == NULL, "then drained");

    snprintf(elsewhere, sizeof elsewhere, "%s/outside", root);
    rename(path_in(drop, "a.csv"), elsewhere);
    check(comes(WATCH_GONE, "a.csv"), "moved away: gone");
    rename(elsewhere, path_in(drop, "b.csv"));
    check(comes(WATCH_CLOSED, "b.csv"), "moved in: closed");
    chmod(path_in(drop, "b.csv"), 0600);
    check(comes(WATCH_APPEARED, "b.csv"), "chmod: appeared");
    snprintf(elsewhere, sizeof elsewhere, "%s/b.csv", drop);
    if (link(elsewhere, path_in(drop, "c.csv")) < 0)
        perror("link");
    check(comes(WATCH_APPEARED, "c.csv"), "linked: appeared, the only event of sftp's rename -l");
    unlink(elsewhere);
    check(comes(WATCH_GONE, "b.csv"), "removed: gone");
    chmod(drop, 0700);
    check(watch_next(&name) == WATCH_NONE, "the directory itself is no file");
    mkdir(path_in(drop, "sub"), 0755);
    check(watch_next(&name) == WATCH_DIRECTORY && strcmp(name, "sub") == 0, "a directory came");
    rmdir(path_in(drop, "sub"));
    check(watch_next(&name) == WATCH_DIRECTORY_GONE && strcmp(name, "sub") == 0, "and went");
}

static bool enters(const char *name)
{
    struct cause cause;

    if (watch_enter(name, &cause) == 0)
        return true;
    printf("# %s\n", cause.text);
    return false;
}

/* Return how many inotify watches this process has. */
static int watches(void)
{
    char path[64], line[256];
    FILE *info;
    int count = 0;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", watch_fd());
    info = fopen(path, "re");
    while (info != NULL && fgets(line, sizeof line, info) != NULL)
        count += strncmp(line, "inotify ", 8) == 0;
    if (info != NULL)
        fclose(info);
    return count;
}

static void test_below(void)
{
    char elsewhere[256], to[256];
    struct cause cause;
    const char *name;

    empty_drop();
    mkdir(path_in(drop, "alice"), 0755);
    check(opens(drop) && enters("alice") && enters("alice"), "a directory below is entered");
    check(watches() == 2, "and has one watch");
    write_file(drop, "alice/a.csv");
    check(watch_next(&name) == WATCH_APPEARED && strcmp(name, "alice/a.csv") == 0 &&
              watch_next(&name) == WATCH_CLOSED && strcmp(name, "alice/a.csv") == 0,
          "a file in it is reported");
    mkdir(path_in(drop, "alice/deep"), 0755);
    check(watch_next(&name) == WATCH_DIRECTORY && strcmp(name, "alice/deep") == 0,
          "a directory in it is reported");
    check(enters(name), "and entered by the borrowed name");
    write_file(drop, "alice/deep/b.csv");
    check(comes(WATCH_CLOSED, "alice/deep/b.csv"), "a file in that is reported");
    chmod(path_in(drop, "alice"), 0700);
    check(watch_next(&name) == WATCH_NONE, "no event for new attributes of a watched directory");
    unlink(path_in(drop, "alice/deep/b.csv"));
    check(comes(WATCH_GONE, "alice/deep/b.csv"), "its removal is reported");
    rmdir(path_in(drop, "alice/deep"));
    check(comes(WATCH_DIRECTORY_GONE, "alice/deep"), "the removal of the directory too");
    check(watches() == 2, "and its watch is gone");

    mkdir(path_in(drop, "alice/deep"), 0755);
    check(comes(WATCH_DIRECTORY, "alice/deep") && enters("alice/deep"),
          "created again, it is entered");
    write_file(drop, "alice/deep/c.csv");
    check(comes(WATCH_CLOSED, "alice/deep/c.csv"), "and watched again");
    snprintf(to, sizeof to, "%s/bob", drop);
    rename(path_in(drop, "alice"), to);
    check(watch_next(&name) == WATCH_DIRECTORY_GONE && strcmp(name, "alice") == 0,
          "a rename reports the old name as gone");
    check(watches() == 1, "its watch and those below it are gone");
    check(watch_next(&name) == WATCH_DIRECTORY && strcmp(name, "bob") == 0,
          "then the new name as come");
    check(enters("bob") && enters("bob/deep"), "both directories are entered again");
    write_file(drop, "bob/deep/d.csv");
    check(comes(WATCH_CLOSED, "bob/deep/d.csv"), "events have the new name");

    snprintf(to, sizeof to, "%s/carol", drop);
    rename(path_in(drop, "bob"), to);
    check(enters("carol"), "entered under a new name before the event of the rename");
    while (watch_next(&name) != WATCH_NONE)
        if (strcmp(name, "carol") == 0)
            enters(name);
    write_file(drop, "carol/e.csv");
    check(comes(WATCH_CLOSED, "carol/e.csv"), "it is watched under the new name");

    snprintf(elsewhere, sizeof elsewhere, "%s/gone", root);
    rename(path_in(drop, "carol"), elsewhere);
    check(comes(WATCH_DIRECTORY_GONE, "carol") && watches() == 1,
          "a directory that was moved away is not watched");
    mkdir(path_in(drop, "carol"), 0755);
    check(enters("carol"), "another directory of that name is entered");
    snprintf(elsewhere, sizeof elsewhere, "%s/gone too", root);
    rename(path_in(drop, "carol"), elsewhere);
    mkdir(path_in(drop, "carol"), 0755);
    check(enters("carol"), "and a third one, before the event of the second");
    while (watch_next(&name) != WATCH_NONE)
        enters("carol");
    write_file(drop, "carol/f.csv");
    check(comes(WATCH_CLOSED, "carol/f.csv") && watches() == 2, "only the last one is watched");
    check(watch_enter("none", &cause) < 0 && cause.errnum == ENOENT,
          "a missing directory is refused: %s", cause.text);
    check(watch_enter("carol/f.csv", &cause) < 0 && cause.errnum == ENOTDIR,
          "a file is refused: %s", cause.text);
    snprintf(to, sizeof to, "rm -rf '%s/gone' '%s/gone too'", root, root);
    if (system(to) != 0)
        perror(to);
}

/* Create and remove many directories: each event must name the right one. */
static void test_many_below(void)
{
    enum { DIRS = 300, ROUNDS = 3000 };
    char name[32], want[64];
    unsigned seed = 7;
    int i, wrong = 0;

    empty_drop();
    check(opens(drop), "opens for many directories");
    for (i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245U + 12345U;
        snprintf(name, sizeof name, "d%u", (seed >> 16) % DIRS);
        if (mkdir(path_in(drop, name), 0755) == 0) {
            wrong += !comes(WATCH_DIRECTORY, name) || !enters(name);
        } else if (i % 3 == 0) {
            rmdir(path_in(drop, name));
            wrong += !comes(WATCH_DIRECTORY_GONE, name);
            continue;
        }
        snprintf(want, sizeof want, "%s/x.csv", name);
        write_file(drop, want);
        wrong += !comes(WATCH_CLOSED, want);
        unlink(path_in(drop, want));
        wrong += !comes(WATCH_GONE, want);
    }
    check(wrong == 0, "%d wrong events: %d directories, %d rounds", wrong, DIRS, ROUNDS);
    check(!watch_needs_reopen(), "the watch need not be opened again yet");
    for (i = 0; i < 20000 && !watch_needs_reopen(); i++)
        if (mkdir(path_in(drop, "more"), 0755) < 0 || !comes(WATCH_DIRECTORY, "more") ||
            !enters("more") || rmdir(path_in(drop, "more")) < 0 ||
            !comes(WATCH_DIRECTORY_GONE, "more"))
            break;
    check(watch_needs_reopen() && i < 10000, "after %d more directories it must be", i);
    check(opens(drop) && !watch_needs_reopen(), "opened again, it starts anew");
}

static void long_name(char name[256], size_t number)
{
    char digits[32];

    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(digits, sizeof digits, "%04zu", number);
    memcpy(name, digits, 4);
}

static void test_names(void)
{
    static const char *const odd[] = {" ",           "a\nb.csv", "-rf",
                                      "\"q\",.csv",  "%s%n.csv", "\xff.csv",
                                      "\x01\x1b[2J", "\\x.csv",  "ü.csv"};
    char name[256];
    const char *got;
    size_t i, seen = 0;

    empty_drop();
    check(opens(drop), "opens for names");
    for (i = 0; i < sizeof odd / sizeof *odd; i++) {
        write_file(drop, odd[i]);
        check(comes(WATCH_CLOSED, odd[i]), "odd name %zu is reported unchanged", i);
    }
    for (i = 0; i < 600; i++) {
        long_name(name, i);
        write_file(drop, name);
    }
    for (i = 0; watch_next(&got) != WATCH_NONE; i++) {
        long_name(name, i / 2);
        seen += got != NULL && strcmp(got, name) == 0;
    }
    check(seen == 1200, "1200 events of the longest names, over several reads: %zu", seen);
}

static void test_overflow(void)
{
    char here[256], there[256];
    long limit = 0, i;
    const char *name;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

    if (file == NULL || fscanf(file, "%ld", &limit) != 1 || limit > 1000000)
        limit = 0;
    if (file != NULL)
        fclose(file);
    if (limit == 0) {
        check(true, "skipped: overflow (the queue is too long here)");
        return;
    }
    empty_drop();
    write_file(drop, "a.csv");
    check(opens(drop), "opens for overflow");
    snprintf(here, sizeof here, "%s/a.csv", drop);
    snprintf(there, sizeof there, "%s/b.csv", drop);
    for (i = 0; i < limit / 4 + 10; i++)
        if (rename(here, there) < 0 || rename(there, here) < 0)
            perror("rename");
    mkdir(path_in(drop, "sub"), 0755);
    check(enters("sub") && watches() == 2, "a directory is entered whose event is lost");
    for (i = 0; watch_next(&name) != WATCH_OVERFLOW && i <= limit;)
        i++;
    check(i == limit, "overflow is reported after %ld events", i);
    check(name == NULL, "overflow has no name");
    check(watches() == 1, "the watches below are gone");
    check(comes(WATCH_NONE, NULL) || watch_next(&name) == WATCH_NONE, "overflow drains");
    write_file(drop, "after.csv");
    check(comes(WATCH_CLOSED, "after.csv"), "the watch works on after an overflow");
}

static void test_lost(void)
{
    char moved[256];
    int held;

    empty_drop();
    check(opens(drop), "opens for removal");
    rmdir(drop);
    check(comes(WATCH_LOST, NULL), "removed: lost");
    check(watch_is_stale(), "removed: stale");
    watch_close();
    check(!opens(drop) && watch_fd() == -1, "does not open while missing");
    mkdir(drop, 0755);
    check(opens(drop), "opens when it is back");
    write_file(drop, "back.csv");
    check(comes(WATCH_CLOSED, "back.csv"), "works when it is back");

    empty_drop();
    check(opens(drop), "opens for rename");
    snprintf(moved, sizeof moved, "%s/moved", root);
    rename(drop, moved);
    check(comes(WATCH_LOST, NULL), "renamed: lost");
    check(watch_is_stale(), "renamed: stale");
    mkdir(drop, 0755);
    check(watch_is_stale(), "another directory in its place: stale");
    check(opens(drop), "open closes the former watch by itself");
    write_file(moved, "old.csv");
    write_file(drop, "new.csv");
    check(comes(WATCH_CLOSED, "new.csv"), "the new directory is watched");

    empty_drop();
    check(opens(drop), "opens for removal while held open");
    held = open(drop, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmdir(drop);
    check(!comes(WATCH_LOST, NULL), "removed while held open: the kernel says nothing");
    check(watch_is_stale(), "removed while held open: stale");
    close(held);
    check(comes(WATCH_LOST, NULL), "lost once it is let go");
}

static void test_symlink(void)
{
    char to[256], other[256];
    struct cause cause;

    empty_drop();
    snprintf(to, sizeof to, "%s/link", root);
    snprintf(other, sizeof other, "%s/other", root);
    mkdir(other, 0755);
    if (symlink(drop, to) < 0)
        perror("symlink");
    check(opens(to), "opens through a symbolic link");
    write_file(drop, "a.csv");
    check(comes(WATCH_CLOSED, "a.csv"), "and sees what arrives behind it");
    unlink(to);
    if (symlink(other, to) < 0)
        perror("symlink");
    check(watch_is_stale(), "the link leads elsewhere: stale");

    write_file(root, "file");
    snprintf(to, sizeof to, "%s/file", root);
    check(watch_open(to, &cause) < 0 && cause.errnum == ENOTDIR, "a file is refused: %s",
          cause.text);
    snprintf(to, sizeof to, "%s/missing", root);
    check(watch_open(to, &cause) < 0 && cause.errnum == ENOENT && cause.kind == CAUSE_RETRY,
          "a missing one is refused: %s", cause.text);
}

static void test_former_instance(void)
{
    char other[256], name[32];
    const char *got;
    int i;

    empty_drop();
    snprintf(other, sizeof other, "%s/other", root);
    check(opens(drop), "opens for events that stay behind");
    for (i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "%d.csv", i);
        write_file(drop, name);
    }
    check(watch_next(&got) == WATCH_APPEARED, "one of many events is read");
    watch_close();
    check(opens(other), "opens on another directory");
    check(watch_next(&got) == WATCH_NONE, "no event of the former watch comes through");
    write_file(other, "fresh.csv");
    check(watch_next(&got) == WATCH_APPEARED && strcmp(got, "fresh.csv") == 0, "its own come");
    for (i = 0; i < 50; i++)
        if (!opens(i % 2 == 0 ? drop : other))
            break;
    check(i == 50, "opened %d times again", i);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void test_idle(void)
{
    struct pollfd ready = {.events = POLLIN};
    const char *name;
    double before;

    empty_drop();
    check(opens(drop), "opens for idling");
    ready.fd = watch_fd();
    write_file(drop, "a.csv");
    check(poll(&ready, 1, 5000) == 1, "an event makes the descriptor readable");
    check(comes(WATCH_CLOSED, "a.csv"), "and is read");
    before = cpu_seconds();
    check(watch_next(&name) == WATCH_NONE, "watch_next returns at once when there is nothing");
    check(poll(&ready, 1, 300) == 0, "drained: not readable");
    check(cpu_seconds() - before < 0.1, "idle costs nothing");
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void test_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    enum { FILES = 1000 };
    char name[32];
    const char *got;
    int seen = 0, lost = 0, i;
    time_t end = time(NULL) + 30;
    pid_t child;

    empty_drop();
    check(opens(drop), "opens for signals");
    child = fork();
    if (child == 0) {
        for (i = 0; i < FILES; i++) {
            snprintf(name, sizeof name, "%d.csv", i);
            write_file(drop, name);
        }
        _exit(0);
    }
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (seen < FILES && lost == 0 && time(NULL) < end) {
        enum watch_kind kind = watch_next(&got);

        snprintf(name, sizeof name, "%d.csv", seen);
        seen += kind == WATCH_CLOSED && strcmp(got, name) == 0;
        lost += kind == WATCH_LOST || kind == WATCH_OVERFLOW;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    waitpid(child, NULL, 0);
    check(seen == FILES && lost == 0, "%d files seen under a storm of signals, in order", seen);
}

static void test_descriptors(void)
{
    struct rlimit before, more;
    struct cause cause = {.text = ""};
    int fds[1024], count = 0;

    empty_drop();
    getrlimit(RLIMIT_NOFILE, &before);
    more = before;
    more.rlim_cur = 1100;
    if (before.rlim_max < 1100 || setrlimit(RLIMIT_NOFILE, &more) < 0) {
        check(true, "skipped: high descriptors (not so many are allowed)");
        return;
    }
    while (count < 1024 && (fds[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
        if (fds[count++] >= 1023)
            break;
    check(watch_open(drop, &cause) < 0, "a descriptor from 1024 on is refused: %s", cause.text);
    close(fds[--count]);
    check(opens(drop) && watch_fd() == 1023, "1023 is taken");
    write_file(drop, "high.csv");
    check(comes(WATCH_CLOSED, "high.csv"), "and works");
    watch_close();
    while (count > 0)
        close(fds[--count]);
    setrlimit(RLIMIT_NOFILE, &before);
}

static bool set_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return done;
}

/* Run a part in a child with a user and a mount namespace of its own, and check that it returns 0. */
static void check_in_child(int (*part)(void), const char *what)
{
    int status;
    char map[32];
    uid_t uid = getuid();
    gid_t gid = getgid();
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            _exit(SKIPPED);
        snprintf(map, sizeof map, "0 %u 1", uid);
        if (!set_text("/proc/self/uid_map", map))
            _exit(SKIPPED);
        snprintf(map, sizeof map, "0 %u 1", gid);
        if (!set_text("/proc/self/setgroups", "deny") || !set_text("/proc/self/gid_map", map))
            _exit(SKIPPED);
        _exit(part());
    }
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        check(true, "skipped: %s (no user namespaces here)", what);
    else
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s (status %d)", what, status);
}

static int limits_are_named(void)
{
    struct cause cause;

    if (!set_text("/proc/sys/user/max_inotify_instances", "0"))
        return SKIPPED;
    if (watch_open(drop, &cause) == 0 ||
        strstr(cause.text, "fs.inotify.max_user_instances") == NULL)
        return 1;
    set_text("/proc/sys/user/max_inotify_instances", "10");
    set_text("/proc/sys/user/max_inotify_watches", "0");
    if (watch_open(drop, &cause) == 0 || strstr(cause.text, "fs.inotify.max_user_watches") == NULL)
        return 2;
    set_text("/proc/sys/user/max_inotify_watches", "2");
    if (watch_open(drop, &cause) < 0)
        return 3;
    mkdir(path_in(drop, "one"), 0755);
    mkdir(path_in(drop, "two"), 0755);
    if (watch_enter("one", &cause) < 0)
        return 4;
    if (watch_enter("two", &cause) == 0 || cause.errnum != ENOSPC ||
        strstr(cause.text, "fs.inotify.max_user_watches") == NULL)
        return 5;
    rmdir(path_in(drop, "one"));
    return comes(WATCH_DIRECTORY_GONE, "one") && watch_enter("two", &cause) == 0 ? 0 : 6;
}

static int mounts_are_seen(void)
{
    struct cause cause;

    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 || watch_open(drop, &cause) < 0)
        return SKIPPED;
    if (mount("none", drop, "tmpfs", 0, "size=64k") < 0)
        return SKIPPED;
    if (comes(WATCH_LOST, NULL) || !watch_is_stale())
        return 1; /* no event comes: only watch_is_stale shows it */
    if (watch_open(drop, &cause) < 0 || watch_is_stale())
        return 2;
    write_file(drop, "above.csv");
    if (!comes(WATCH_CLOSED, "above.csv"))
        return 3;
    if (umount2(drop, 0) < 0 || !comes(WATCH_LOST, NULL) || !watch_is_stale())
        return 4;
    if (watch_open(drop, &cause) < 0)
        return 5;
    write_file(drop, "below.csv");
    return comes(WATCH_CLOSED, "below.csv") ? 0 : 6;
}

static int mounts_below_are_seen(void)
{
    char sub[256];
    struct cause cause;

    snprintf(sub, sizeof sub, "%s/sub", drop);
    mkdir(sub, 0755);
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 || watch_open(drop, &cause) < 0)
        return SKIPPED;
    if (watch_enter("sub", &cause) < 0)
        return 1;
    if (mount("none", sub, "tmpfs", 0, "size=64k") < 0)
        return SKIPPED;
    if (watch_enter("sub", &cause) < 0) /* repeat what the next scan does */
        return 2;
    write_file(drop, "sub/above.csv");
    if (!comes(WATCH_CLOSED, "sub/above.csv"))
        return 3;
    if (umount2(sub, 0) < 0 || !comes(WATCH_DIRECTORY_GONE, "sub"))
        return 4;
    if (watch_enter("sub", &cause) < 0)
        return 5;
    write_file(drop, "sub/below.csv");
    if (!comes(WATCH_CLOSED, "sub/below.csv"))
        return 6;
    /* A directory with two names is reported under the name that was entered last. */
    mkdir(path_in(drop, "twin"), 0755);
    if (mount(sub, path_in(drop, "twin"), NULL, MS_BIND, NULL) < 0)
        return SKIPPED;
    if (watch_enter("twin", &cause) < 0)
        return 7;
    write_file(drop, "sub/both.csv");
    if (!comes(WATCH_CLOSED, "twin/both.csv"))
        return 8;
    return watch_enter("sub", &cause) == 0 ? 0 : 9;
}

/* Tell LeakSanitizer that libinotifytools leaks the entry of a watch that the kernel refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:create_watch\n";
}

int main(void)
{
    char command[128];

    snprintf(root, sizeof root, "/tmp/watch.XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    snprintf(drop, sizeof drop, "%s/user_data", root);

    test_kinds();
    test_below();
    test_many_below();
    test_names();
    test_overflow();
    test_lost();
    test_symlink();
    test_former_instance();
    test_idle();
    test_signals();
    test_descriptors();
    empty_drop();
    check_in_child(limits_are_named, "limits reached name their sysctl");
    check_in_child(mounts_are_seen, "mounted over and unmounted");
    check_in_child(mounts_below_are_seen, "mounted over and unmounted below");
    watch_close();

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return (system(command) != 0) | unit_done();
}
