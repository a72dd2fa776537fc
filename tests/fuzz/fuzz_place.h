/*
 * fuzz_place: for targets that need files with names. A directory in memory where there is one, and
 * nothing is synced: linked with --wrap=fsync,--wrap=fdatasync. Nobody cuts the power here, and the
 * disk belongs to others, too.
 */
#ifndef PHASESENTINEL_FUZZ_PLACE_H
#define PHASESENTINEL_FUZZ_PLACE_H

#include "lib/place.h"

int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static int fuzz_place(void)
{
    if (access("/dev/shm", W_OK) == 0)
        strcpy(place, "/dev/shm/phasesentinel-fuzz.XXXXXX");
    return place_enter();
}

#endif
