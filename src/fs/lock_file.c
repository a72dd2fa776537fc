#include "fs/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "fs/durable.h"

static void read_mark(struct lock_file *lock)
{
    ssize_t n = pread(lock->fd, lock->holder, sizeof lock->holder - 1, 0);

    lock->holder[n > 0 ? n : 0] = '\0';
    lock->holder[strcspn(lock->holder, "\n")] = '\0';
}

int lock_file_take(struct lock_file *lock, int dir_fd, const char *name, unsigned wait_ms,
                   struct cause *cause)
{
    struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    unsigned waited = 0;

    *lock = (struct lock_file){.fd = -1};
    snprintf(lock->name, sizeof lock->name, "%s", name);
    lock->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock->fd < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open state/%s", name);
    while (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            cause_errno(cause, CAUSE_RETRY, "cannot lock state/%s", name);
            lock_file_release(lock);
            return -1;
        }
        if (waited >= wait_ms) {
            read_mark(lock);
            cause_set(cause, CAUSE_BUSY, "state/%s is held by %s", name,
                      lock->holder[0] != '\0' ? lock->holder : "another process");
            lock_file_release(lock);
            return -1;
        }
        nanosleep(&pause, NULL);
        waited += 5;
    }
    read_mark(lock);
    lock->died = lock->holder[0] != '\0';
    return 0;
}

int lock_file_mark(struct lock_file *lock, const char *program, struct cause *cause)
{
    char mark[128], when[CLOCK_TEXT_SIZE];
    int len = snprintf(mark, sizeof mark, "%s, process %ld, since %s\n", program, (long)getpid(),
                       clock_print(when, clock_real()));

    return durable_write(lock->fd, mark, (size_t)len, 0, lock->name, cause);
}

int lock_file_clear(struct lock_file *lock, struct cause *cause)
{
    return durable_truncate(lock->fd, 0, lock->name, cause);
}

void lock_file_release(struct lock_file *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}
