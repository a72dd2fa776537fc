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
    check(fcntl(lock.fd, F_GETFD) == FD_CLOEXEC, "the descriptor is closed on exec");
    cause = (struct cause){0};
    check(lock_file_take(&other, dir, "lock", 0, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              other.fd < 0,
          "a second holder gets CAUSE_BUSY: %s", cause.text);
    check(lock_file_mark(&lock, "unit", &cause) == 0, "the lock is marked");
    check(lock_file_take(&other, dir, "lock", 30, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              strstr(cause.text, "held by unit, process ") != NULL,
          "the cause names the holder: %s", cause.text);
    check(lock_file_take(&other, dir, "daemon.lock", 0, &cause) == 0,
          "a lock of another name is free");
    lock_file_release(&other);
    check(lock_file_clear(&lock, &cause) == 0 && place_holds(dir, "lock", ""),
          "the mark is cleared");
    lock_file_release(&lock);
    lock_file_release(&lock);
    check(lock.fd < 0, "the lock is released");
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && !lock.died,
          "a holder that cleared its mark ended well");
    lock_file_mark(&lock, "a program of a long name, longer than the mark of the next one", &cause);
    lock_file_mark(&lock, "x", &cause);
    lock_file_release(&lock);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died &&
              strncmp(lock.holder, "x, process ", 11) == 0 && strchr(lock.holder, '\n') == NULL,
          "a mark that was left shows a dead holder: %s", lock.holder);
    lock_file_clear(&lock, &cause);
    lock_file_release(&lock);
}

static void test_processes(void)
{
    struct lock_file lock;
    pid_t pid = hold(true, true, 300);

    check(lock_file_take(&lock, dir, "lock", 0, &cause) < 0 && cause.kind == CAUSE_BUSY &&
              strstr(cause.text, "child") != NULL,
          "a lock of another process is busy: %s", cause.text);
    check(lock_file_take(&lock, dir, "lock", 5000, &cause) == 0 && !lock.died,
          "lock_file_take waits for the holder");
    lock_file_release(&lock);
    waitpid(pid, NULL, 0);
    waitpid(hold(true, false, 0), NULL, 0);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died &&
              strncmp(lock.holder, "child, process ", 15) == 0,
          "a holder that died leaves its mark, but not the lock: %s", lock.holder);
    lock_file_release(&lock);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && lock.died,
          "the mark stays until it is cleared");
    lock_file_clear(&lock, &cause);
    lock_file_release(&lock);
    waitpid(hold(false, false, 0), NULL, 0);
    check(lock_file_take(&lock, dir, "lock", 0, &cause) == 0 && !lock.died,
          "a holder that died before lock_file_mark leaves no mark");
    lock_file_release(&lock);
}

static void test_odd(void)
{
    struct lock_file lock;

    place_put_text(dir, "file", "mine");
    symlinkat("file", dir, "link");
    check(lock_file_take(&lock, dir, "link", 0, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              lock.fd < 0 && place_holds(dir, "file", "mine"),
          "a link is refused");
    check(lock_file_take(&lock, -1, "lock", 0, &cause) < 0 && cause.kind == CAUSE_RETRY &&
              lock.fd < 0,
          "a closed directory is an error");
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
