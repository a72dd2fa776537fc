#include "fs/lease.h"

#include <errno.h>
#include <fcntl.h>

enum lease_state lease_hold(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
        return LEASE_NO_WRITER;
    return errno == EAGAIN ? LEASE_WRITER : LEASE_UNKNOWN;
}

bool lease_is_breaking(int fd)
{
    return fcntl(fd, F_GETLEASE) != F_RDLCK;
}

void lease_release(int fd)
{
    fcntl(fd, F_SETLEASE, F_UNLCK);
}

enum lease_state lease_probe(int fd)
{
    enum lease_state state = lease_hold(fd);

    if (state == LEASE_NO_WRITER)
        lease_release(fd);
    return state;
}
