/*
 * fuzz_place: a directory for fuzz targets that need files, in memory if possible.
 *
 * Link with --wrap=fsync,--wrap=fdatasync: syncs do nothing, because no power failure is tested and
 * they would slow down the disk for others.
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
