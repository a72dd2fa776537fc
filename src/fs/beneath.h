/*
 * beneath: stat and open files below a directory that other users may write to.
 *
 * Names may contain directories ("alice/one.csv") but are never resolved through a symbolic link or
 * out of the directory (openat2(2), RESOLVE_BENEATH). Only regular files are opened; links, FIFOs
 * and devices never are. Names may be replaced between two calls, so compare file_ids.
 */
#ifndef PHASESENTINEL_BENEATH_H
#define PHASESENTINEL_BENEATH_H

#include "fs/file_id.h"
#include "fs/lease.h"

/* Directories deeper than this, or with longer paths, are not opened. */
#define BENEATH_DEPTH           16
#define BENEATH_DIRECTORY_BYTES 700

enum file_kind beneath_stat(int dir_fd, const char *name, struct file_id *ret_id);

/* Do the same, and fill *ret_access for every kind of file that exists. */
enum file_kind beneath_stat_access(int dir_fd, const char *name, struct file_id *ret_id,
                                   struct file_access *ret_access);

/* Open a regular file for reading, without blocking. *ret_fd is set for FILE_REGULAR only and is
 * the caller's to close. */
enum file_kind beneath_open(int dir_fd, const char *name, int *ret_fd, struct file_id *ret_id);

/* Open a directory for listing; "" is dir_fd itself. FILE_OTHER: it is too deep or its path too
 * long. *ret_fd is set for FILE_DIRECTORY only. */
enum file_kind beneath_open_dir(int dir_fd, const char *name, int *ret_fd);

/* Open the directory that contains the name. Return -1 with errno on failure. */
int beneath_open_parent(int dir_fd, const char *name);

/* A dropped file that opened_file_open opened for reading. */
struct opened_file {
    enum file_kind kind;
    int errnum; /* the error of FILE_TROUBLE */
    int fd;     /* owned; -1 unless kind is FILE_REGULAR */
    struct file_id file_id;
    struct file_access access;
    enum lease_state writer;
};

/* Open a file and ask for writers. `kind` tells the result. */
void opened_file_open(int dir_fd, const char *name, struct opened_file *ret_file);

#endif
