/*
 * spool: the drop directory as we find it. Names, what stands behind them, and who still writes.
 *
 * Strangers write here at any moment, so every answer is about one instant: look (signature), open,
 * look again. Links, FIFOs and devices are never opened.
 */
#ifndef PHASESENTINEL_SPOOL_H
#define PHASESENTINEL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "cause.h"

/* Two equal signatures, taken with time between them, are a file at rest. Times in nanoseconds
 * since the epoch. */
struct signature {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime;
    int64_t ctime;
};

bool signature_equal(const struct signature *left, const struct signature *right);

/* Does the name ask to be looked at: no dot in front, .csv behind in any case? */
bool spool_name_counts(const char *name);

enum spool_kind {
    SPOOL_FILE,       /* a regular file */
    SPOOL_GONE,       /* nothing of that name (any more) */
    SPOOL_OTHER,      /* link, FIFO, device, socket: file-type */
    SPOOL_DIRECTORY,  /* not looked at */
    SPOOL_UNREADABLE, /* no permission: file-unreadable */
    SPOOL_TROUBLE,    /* any other error; errno tells */
};

enum spool_kind spool_look(int dir_fd, const char *name, struct signature *ret_signature);

/* Opens a regular file for reading, never through a link and never blocking. */
enum spool_kind spool_open(int dir_fd, const char *name, int *ret_fd,
                           struct signature *ret_signature);

enum spool_kind spool_signature(int fd, struct signature *ret_signature);

enum spool_writer { SPOOL_NO_WRITER, SPOOL_WRITER, SPOOL_WRITER_UNKNOWN };

/*
 * Has anybody the file open for writing? Asked by taking a read lease and giving it back; SIGIO
 * must be ignored. Unknown without ownership and CAP_LEASE, and on file systems without leases.
 */
enum spool_writer spool_writer(int fd);

/*
 * Calls found(context, name, kind, signature) for each name that counts; `ignored` counts the
 * others. SPOOL_NAMES looks at no file that the directory itself tells the kind of: there is no
 * signature then.
 */
enum spool_depth { SPOOL_NAMES, SPOOL_SIGNATURES };

typedef void spool_found(void *context, const char *name, enum spool_kind kind,
                         const struct signature *signature);
int spool_scan(int dir_fd, enum spool_depth depth, spool_found *found, void *context,
               uint64_t *ret_ignored, struct cause *cause);

#endif
