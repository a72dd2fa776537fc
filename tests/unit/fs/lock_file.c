#include "fs/lock_file.h"

#include <sys/wait.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;

/* A child takes the lock and ends: well, or in the middle of its work; after so many milliseconds.
 */
static pid_t hold(bool marks, bool clears, unsigned ms)
{
    int ready[2];
    char byte;
    pid_t pid;

    fflush(stdout);
    if (pipe(ready) < 0 || (pid = fork()) < 0)
        abort();
    if (pid == 0) {
        struct lock_file lock;

        if (lock_file_take(&lock, dir, "lock", 5000, &cause) < 0 ||
            (marks && lock_file_mark(&lock, "child", &cause) < 0) || write(ready[1], "x", 1) != 1)
            _exit(1);
        usleep(ms * 1000);
        if (clears)
            lock_file_clear(&lock, &cause);
        _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        abort();
    close(ready[0]);
    return pid;
}

static void test_take(void)
{
    struct lock_file lock, other;

    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && !lock.died &&
              lock.holder[0] == '\0',
          "the lock is taken");
    check(fcntl(lock.fd, F_GETFD) == FD_CLOEXEC, "no child inherits it");
    cause = (struct cause){0};
    check(lock_file_take(&other, dir, "lock", 0, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              other.fd < 0,
          "by one at a time: %s", cause.text);
    check(lock_file_mark(&lock, "unit", &cause) == 0, "it is marked");
    check(lock_file_take(&other, dir, "lock", 30, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              strstr(cause.text, "held by unit, process ") != NULL,
          "the holder is named: %s", cause.text);
    check(lock_file_take(&other, dir, "daemon.lock", 0, &cause) == 0,
          "another lock is another one");
    lock_file_release(&other);
    check(lock_file_clear(&lock, &cause) == 0 && place_holds(dir, "lock", ""), "and cleared");
    lock_file_release(&lock);
    lock_file_release(&lock);
    check(lock.fd < 0, "and given back");
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && !lock.died,
          "its holder ended well");
    lock_file_mark(&lock, "a program of a long name, longer than the mark of the next one", &cause);
    lock_file_mark(&lock, "x", &cause);
    lock_file_release(&lock);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died &&
              strncmp(lock.holder, "x, process ", 11) == 0 && strchr(lock.holder, '\n') == NULL,
          "a mark that was left: %s", lock.holder);
    lock_file_clear(&lock, &cause);
    lock_file_release(&lock);
}

static void test_processes(void)
{
    struct lock_file lock;
    pid_t pid = hold(true, true, 300);

    check(lock_file_take(&lock, dir, "lock", 0, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              strstr(cause.text, "child") != NULL,
          "another process has it: %s", cause.text);
    check(lock_file_take(&lock, dir, "lock", 5000, &cause) == 0 && !lock.died, "it is waited for");
    lock_file_release(&lock);
    waitpid(pid, NULL, 0);
    waitpid(hold(true, false, 0), NULL, 0);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died &&
              strncmp(lock.holder, "child, process ", 15) == 0,
          "one that died gives it back, and leaves its mark: %s", lock.holder);
    lock_file_release(&lock);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died,
          "which stays until somebody clears it");
    lock_file_clear(&lock, &cause);
    lock_file_release(&lock);
    waitpid(hold(false, false, 0), NULL, 0);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && !lock.died,
          "one that died before it began has left nothing");
    lock_file_release(&lock);
}

static void test_odd(void)
{
    struct lock_file lock;

    place_put_text(dir, "file", "mine");
    symlinkat("file", dir, "link");
    check(lock_file_take(&lock, dir, "link", 0, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              lock.fd < 0 && place_holds(dir, "file", "mine"),
          "a link is no lock");
    check(lock_file_take(&lock, -1, "lock", 0, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              lock.fd < 0,
          "where it cannot be");
}

int main(void)
{
    dir = place_enter();
    test_take();
    test_processes();
    test_odd();
    close(dir);
    return unit_done();
}
