/*
 * listing: the names in a directory, with what stands behind them.
 *
 * A directory may hold a million files, and each has to be looked at: that is nothing but waiting
 * for memory inside the kernel. So a second thread looks while the first one lists and goes through
 * what has been found, and both look at what neither has taken yet. A small directory needs none.
 *
 *     dir_list_open
 *     while ((next = dir_list_next(&listing, &entry, cause)) > 0) ...
 *     dir_list_close
 */
#ifndef PHASESENTINEL_DIR_LIST_H
#define PHASESENTINEL_DIR_LIST_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/cause.h"

struct dir_list_entry {
    const char *name;   /* borrowed until the next one */
    unsigned char type; /* DT_REG and so on, as the directory says; DT_UNKNOWN: look at it */
    bool looked;
    int errnum;     /* why there is no stat */
    struct stat st; /* of the name itself, never of what it points to */
};

struct dir_list; /* opaque */

/* Is this name to be looked at? Called by one thread only. */
typedef bool dir_list_wants(const char *name, unsigned char type);

/* fd is borrowed, listed from where it stands. NULL when memory is out. */
struct dir_list *dir_list_open(int fd, dir_list_wants *wants);
void dir_list_close(struct dir_list *listing); /* takes NULL */

/* 1: the next name, in no order, without . and ..; 0: there are no more; -1 with errno: the
 * directory cannot be read on. */
int dir_list_next(struct dir_list *listing, const struct dir_list_entry **ret_entry);

#endif
