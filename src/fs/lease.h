/*
 * lease: ask the kernel whether a file is open for writing (fcntl(2), F_SETLEASE).
 *
 * A read lease is refused while a writer exists. It needs ownership of the file or CAP_LEASE, and a
 * file system that supports leases; otherwise the answer is LEASE_UNKNOWN. The caller must ignore
 * SIGIO, which the kernel sends to the holder of a lease that is broken.
 */
#ifndef PHASESENTINEL_LEASE_H
#define PHASESENTINEL_LEASE_H

#include <stdbool.h>

enum lease_state { LEASE_NO_WRITER, LEASE_WRITER, LEASE_UNKNOWN };

/* Take a lease and release it at once. */
enum lease_state lease_probe(int fd);

/*
 * Take a lease and keep it until lease_release or close. The kernel blocks a process that opens the
 * file for writing meanwhile, for up to /proc/sys/fs/lease-break-time seconds.
 */
enum lease_state lease_hold(int fd);

/* Return true if a writer is waiting for the lease, or has broken it: the content may change. */
bool lease_is_breaking(int fd);

void lease_release(int fd);

#endif
