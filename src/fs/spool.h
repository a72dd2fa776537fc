/*
 * spool: the drop directory as we find it. Names, what stands behind them, and who still writes.
 *
 * Strangers write here at any moment, so every answer is about one instant: look (signature), open,
 * look again. Links, FIFOs and devices are never opened. Names are relative to a directory and may
 * lead through directories below, "alice/one.csv", but never through a link or out of it.
 */
#ifndef PHASESENTINEL_SPOOL_H
#define PHASESENTINEL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cause.h"

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

/* Directories this deep are looked into, and those whose names are this long with all above them:
 * more fits nowhere else. */
#define SPOOL_DEPTH           16
#define SPOOL_DIRECTORY_BYTES 700

/* Does the name ask to be looked at: no dot in front, nor of a directory; .csv, .csv.gz or .csv.zst
 * behind in any case? */
bool spool_name_counts(const char *name);

/* That end of the name; of another name the empty one behind it. */
const char *spool_suffix(const char *name);

/* The length of the name without .gz or .zst behind .csv: the name of the CSV inside. */
size_t spool_csv_length(const char *name);

/* Is a directory of this name looked into: no dot in front of it, nor of one above; not the
 * lost+found of a file system? */
bool spool_directory_counts(const char *name);

/* The name without its directories. */
const char *spool_base(const char *name);

/*
 * What a sender may put beside the file NAME, to say something of it: its checksum, as NAME.sha256,
 * or only that it is whole, as NAME.done. Such names do not count.
 */
enum spool_sidecar { SPOOL_SHA256, SPOOL_DONE, SPOOL_SIDECARS };

const char *spool_sidecar_suffix(enum spool_sidecar sidecar);

/* The length of the name of the file that a sidecar of this name is of; 0: it is none. */
size_t spool_sidecar_of(const char *name);

enum spool_kind {
    SPOOL_FILE,  /* a regular file */
    SPOOL_GONE,  /* nothing of that name (any more) */
    SPOOL_OTHER, /* link, FIFO, device, socket: file-type */
    SPOOL_DIRECTORY,
    SPOOL_UNREADABLE, /* no permission: file-unreadable */
    SPOOL_TROUBLE,    /* any other error; errno tells */
};

enum spool_kind spool_look(int dir_fd, const char *name, struct signature *ret_signature);

/*
 * Whose it is, by what its inode tells. That it has another name may be somebody else's doing:
 * where the kernel does not protect hard links, a stranger may link what only we may read. Whoever
 * may read a file anyway needs no link to it.
 */
struct spool_whose {
    uid_t owner;
    bool linked; /* it has another name */
    bool closed; /* not everybody may read it */
};

/* As spool_look; *ret_whose is filled for whatever is there. */
enum spool_kind spool_look_whose(int dir_fd, const char *name, struct signature *ret_signature,
                                 struct spool_whose *ret_whose);

/* Opens a regular file for reading, never through a link and never blocking. */
enum spool_kind spool_open(int dir_fd, const char *name, int *ret_fd,
                           struct signature *ret_signature);

/* When the file was made, in nanoseconds since the epoch; -1: its file system does not tell. */
int64_t spool_born(int fd);

enum spool_kind spool_signature(int fd, struct signature *ret_signature);

enum spool_writer { SPOOL_NO_WRITER, SPOOL_WRITER, SPOOL_WRITER_UNKNOWN };

/*
 * Has anybody the file open for writing? Asked by taking a read lease and giving it back; SIGIO
 * must be ignored. Unknown without ownership and CAP_LEASE, and on file systems without leases.
 */
enum spool_writer spool_writer(int fd);

/* A file that is taken into the hand: opened, and is somebody writing to it? */
struct spool_taken {
    enum spool_kind kind; /* as spool_open */
    int errnum;           /* of SPOOL_TROUBLE */
    int fd;               /* of SPOOL_FILE; else -1 */
    struct signature signature;
    enum spool_writer writer;
    struct spool_whose whose;
};
void spool_take(int dir_fd, const char *name, struct spool_taken *ret_taken);

/*
 * As spool_writer, but the lease is kept: until it is released or the descriptor closed, who wants
 * to open the file for writing waits, for up to /proc/sys/fs/lease-break-time seconds. Then the
 * file is what it was as long as nobody waits.
 */
enum spool_writer spool_hold(int fd);
bool spool_is_awaited(int fd); /* by a writer */
void spool_release(int fd);

/*
 * Opens a directory below for listing, "" the one itself: SPOOL_DIRECTORY. SPOOL_OTHER: too deep,
 * or its name too long.
 */
enum spool_kind spool_enter(int dir_fd, const char *name, int *ret_fd);

/* Opens the directory that the name stands in, for what is done to names there. -1 with errno. */
int spool_open_parent(int dir_fd, const char *name);

/*
 * What a scan looks for. found() is called for each name that counts, with the kinds of spool_look
 * but for SPOOL_GONE and SPOOL_DIRECTORY; and for a directory that cannot be looked into, with the
 * kind that spool_enter gave. Links are not looked into.
 */
typedef void spool_found(void *context, const char *name, enum spool_kind kind,
                         const struct signature *signature);
struct spool_order {
    const char *under; /* this directory alone, with what is below it; NULL: all */
    bool recursive;
    bool
        names_only; /* files are not looked at where the directory tells their kind: no signature */
    /* A directory is open and will be listed next, "" the one itself; NULL: nothing is done. */
    void (*enter)(void *context, const char *name, int fd);
    /* There is a sidecar of this name; NULL: nothing is done. */
    void (*sidecar)(void *context, const char *name);
    spool_found *found;
    void *context;
};

/* *ret_ignored: names that neither count nor are sidecars. That `under` is no directory (any more)
 * is no failure. */
int spool_scan(int dir_fd, const struct spool_order *order, uint64_t *ret_ignored,
               struct cause *cause);

#endif
