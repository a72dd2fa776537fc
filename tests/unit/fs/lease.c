#include "fs/lease.h"

#include <errno.h>
#include <signal.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;

static void test_writer(void)
{
    int fd = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC), writer;
    enum lease_state state = lease_probe(fd);

    if (state == LEASE_UNKNOWN) {
        check(true, "this file system has no leases # SKIP");
        close(fd);
        return;
    }
    check(state == LEASE_NO_WRITER && lease_probe(fd) == LEASE_NO_WRITER,
          "a file that nobody writes has no writer");
    writer = openat(dir, "hard.csv", O_WRONLY | O_APPEND | O_CLOEXEC);
    check(writer >= 0, "lease_probe leaves no lease");
    check(lease_probe(fd) == LEASE_WRITER, "a writer is seen that opened another name of the file");
    close(writer);
    check(lease_probe(fd) == LEASE_NO_WRITER, "a writer that closed the file is gone");
    check(lease_hold(fd) == LEASE_NO_WRITER && !lease_is_breaking(fd), "a lease is held");
    writer = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC);
    check(writer >= 0 && !lease_is_breaking(fd), "another process may read meanwhile");
    close(writer);
    check(openat(dir, "hard.csv", O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EAGAIN &&
              lease_is_breaking(fd),
          "a writer is blocked and breaks the lease");
    lease_release(fd);
    writer = openat(dir, "hard.csv", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    check(writer >= 0, "lease_release lets the writer go on");
    check(lease_hold(fd) == LEASE_WRITER, "no lease is held on a file that has a writer");
    close(writer);
    close(fd);
}

static void test_unknown(void)
{
    int fd;

    check(lease_probe(-1) == LEASE_UNKNOWN, "the state of a closed descriptor is unknown");
    if (geteuid() != 0 || chmod(place, 0755) < 0 || seteuid(65534) < 0) {
        check(true, "only root can become another user # SKIP");
        return;
    }
    fd = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && lease_probe(fd) == LEASE_UNKNOWN,
          "the state of another user's file is unknown without CAP_LEASE");
    close(fd);
    if (seteuid(0) < 0)
        abort();
}

int main(void)
{
    alarm(300);
    signal(SIGIO, SIG_IGN);
    umask(022);
    dir = place_enter();
    place_put_text(dir, "file.csv", "content");
    if (linkat(dir, "file.csv", dir, "hard.csv", 0) < 0)
        abort();
    test_writer();
    test_unknown();
    close(dir);
    return unit_done();
}
