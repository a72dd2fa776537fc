/*
 * file_id: the part of a stat that tells whether a file was changed or replaced.
 *
 * Two equal file_ids, taken with time between them, mean that the file was not written to. They do
 * not prove equal content if the timestamps are recent: see file_cache.h.
 */
#ifndef PHASESENTINEL_FILE_ID_H
#define PHASESENTINEL_FILE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct file_id {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime; /* nanoseconds since the epoch, as ctime */
    int64_t ctime;
};

bool file_id_equal(const struct file_id *left, const struct file_id *right);

/* Return the XXH3-64 of all fields. */
uint64_t file_id_hash(const struct file_id *file_id, uint64_t seed);

void file_id_of_stat(const struct stat *st, struct file_id *ret_id);

enum file_kind {
    FILE_REGULAR,
    FILE_GONE,  /* no such name, or no longer */
    FILE_OTHER, /* a link, FIFO, device or socket */
    FILE_DIRECTORY,
    FILE_UNREADABLE, /* no permission */
    FILE_TROUBLE,    /* any other error, in errno */
};

enum file_kind file_kind_of_stat(const struct stat *st);

/* Map the errno of a failed stat or open to a kind. */
enum file_kind file_kind_of_errno(void);

/* Fill *ret_id from an open descriptor. */
enum file_kind file_id_of_fd(int fd, struct file_id *ret_id);

/* Return when the file was created, in nanoseconds since the epoch, or -1 if its file system does
 * not record that. */
int64_t file_id_birth_time(int fd);

/* Owner, permission and links of a file. Where the kernel does not protect hard links, a link may
 * be made by a user who cannot read the file. */
struct file_access {
    uid_t owner;
    bool linked;       /* has another name */
    bool is_protected; /* not readable by all users */
};

void file_access_of_stat(const struct stat *st, struct file_access *ret_access);

#endif
