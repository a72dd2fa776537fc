/*
 * drop_scan: list the drop directory, or a directory of the same layout, with what is below it.
 *
 * Directories are listed one at a time, never through a link. Files may appear and disappear while
 * the scan runs, so the result describes no single instant.
 */
#ifndef PHASESENTINEL_DROP_SCAN_H
#define PHASESENTINEL_DROP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "fs/file_id.h"

/* Called for each accepted name (csv_name.h), and for a directory that cannot be listed. `kind` is
 * neither FILE_GONE nor FILE_DIRECTORY. */
typedef void drop_scan_found(void *context, const char *name, enum file_kind kind,
                             const struct file_id *file_id);

struct drop_scan_request {
    const char *under; /* list only this directory and those below it; NULL: all */
    bool recursive;
    bool names_only; /* do not stat files whose kind the directory tells: file_id is zeroed */
    /* Called before a directory is listed, with its name ("" for the first) and descriptor. May be
     * NULL. */
    void (*enter)(void *context, const char *name, int fd);
    /* Called for each name of a sidecar (sidecar.h). May be NULL. */
    void (*sidecar)(void *context, const char *name);
    drop_scan_found *found;
    void *context;
};

/* Run the scan. *ret_ignored is the number of names that are neither accepted nor sidecars. It is
 * no error if `under` does not exist or is no directory. */
int drop_scan(int dir_fd, const struct drop_scan_request *request, uint64_t *ret_ignored,
              struct cause *cause);

#endif
