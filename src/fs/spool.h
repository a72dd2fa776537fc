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
struct file_id {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime;
    int64_t ctime;
};

bool file_id_equal(const struct file_id *left, const struct file_id *right);

/* Directories this deep are looked into, and those whose names are this long with all above them:
 * more fits nowhere else. */
#define BENEATH_DEPTH           16
#define BENEATH_DIRECTORY_BYTES 700

/* Does the name ask to be looked at: no dot in front, nor of a directory; .csv, .csv.gz or .csv.zst
 * behind in any case? */
bool csv_name_is_accepted(const char *name);

/* That end of the name; of another name the empty one behind it. */
const char *csv_name_suffix(const char *name);

/* The length of the name without .gz or .zst behind .csv: the name of the CSV inside. */
size_t csv_name_length(const char *name);

/* Is a directory of this name looked into: no dot in front of it, nor of one above; not the
 * lost+found of a file system? */
bool csv_name_is_scanned_directory(const char *name);

/* The name without its directories. */
const char *path_base(const char *name);

/*
 * What a sender may put beside the file NAME, to say something of it: its checksum, as NAME.sha256,
 * or only that it is whole, as NAME.done. Such names do not count.
 */
enum sidecar_kind { SIDECAR_SHA256, SIDECAR_DONE, SIDECAR_KINDS };

const char *sidecar_suffix(enum sidecar_kind sidecar);

/* The length of the name of the file that a sidecar of this name is of; 0: it is none. */
size_t sidecar_target_length(const char *name);

enum file_kind {
    FILE_REGULAR, /* a regular file */
    FILE_GONE,    /* nothing of that name (any more) */
    FILE_OTHER,   /* link, FIFO, device, socket: file-type */
    FILE_DIRECTORY,
    FILE_UNREADABLE, /* no permission: file-unreadable */
    FILE_TROUBLE,    /* any other error; errno tells */
};

enum file_kind beneath_stat(int dir_fd, const char *name, struct file_id *ret_signature);

/*
 * Whose it is, by what its inode tells. That it has another name may be somebody else's doing:
 * where the kernel does not protect hard links, a stranger may link what only we may read. Whoever
 * may read a file anyway needs no link to it.
 */
struct file_access {
    uid_t owner;
    bool linked; /* it has another name */
    bool closed; /* not everybody may read it */
};

/* As beneath_stat; *ret_whose is filled for whatever is there. */
enum file_kind beneath_stat_access(int dir_fd, const char *name, struct file_id *ret_signature,
                                   struct file_access *ret_whose);

/* Opens a regular file for reading, never through a link and never blocking. */
enum file_kind beneath_open(int dir_fd, const char *name, int *ret_fd,
                            struct file_id *ret_signature);

/* When the file was made, in nanoseconds since the epoch; -1: its file system does not tell. */
int64_t file_id_birth_time(int fd);

enum file_kind file_id_of_fd(int fd, struct file_id *ret_signature);

enum lease_state { LEASE_NO_WRITER, LEASE_WRITER, LEASE_UNKNOWN };

/*
 * Has anybody the file open for writing? Asked by taking a read lease and giving it back; SIGIO
 * must be ignored. Unknown without ownership and CAP_LEASE, and on file systems without leases.
 */
enum lease_state lease_probe(int fd);

/* A file that is taken into the hand: opened, and is somebody writing to it? */
struct opened_file {
    enum file_kind kind; /* as beneath_open */
    int errnum;          /* of FILE_TROUBLE */
    int fd;              /* of FILE_REGULAR; else -1 */
    struct file_id file_id;
    enum lease_state writer;
    struct file_access whose;
};
void opened_file_open(int dir_fd, const char *name, struct opened_file *ret_taken);

/*
 * As lease_probe, but the lease is kept: until it is released or the descriptor closed, who wants
 * to open the file for writing waits, for up to /proc/sys/fs/lease-break-time seconds. Then the
 * file is what it was as long as nobody waits.
 */
enum lease_state lease_hold(int fd);
bool lease_is_breaking(int fd); /* by a writer */
void lease_release(int fd);

/*
 * Opens a directory below for listing, "" the one itself: FILE_DIRECTORY. FILE_OTHER: too deep,
 * or its name too long.
 */
enum file_kind beneath_open_dir(int dir_fd, const char *name, int *ret_fd);

/* Opens the directory that the name stands in, for what is done to names there. -1 with errno. */
int beneath_open_parent(int dir_fd, const char *name);

/*
 * What a scan looks for. found() is called for each name that counts, with the kinds of
 * beneath_stat but for FILE_GONE and FILE_DIRECTORY; and for a directory that cannot be looked
 * into, with the kind that beneath_open_dir gave. Links are not looked into.
 */
typedef void drop_scan_found(void *context, const char *name, enum file_kind kind,
                             const struct file_id *file_id);
struct drop_scan_request {
    const char *under; /* this directory alone, with what is below it; NULL: all */
    bool recursive;
    bool
        names_only; /* files are not looked at where the directory tells their kind: no signature */
    /* A directory is open and will be listed next, "" the one itself; NULL: nothing is done. */
    void (*enter)(void *context, const char *name, int fd);
    /* There is a sidecar of this name; NULL: nothing is done. */
    void (*sidecar)(void *context, const char *name);
    drop_scan_found *found;
    void *context;
};

/* *ret_ignored: names that neither count nor are sidecars. That `under` is no directory (any more)
 * is no failure. */
int drop_scan(int dir_fd, const struct drop_scan_request *order, uint64_t *ret_ignored,
              struct cause *cause);

#endif
