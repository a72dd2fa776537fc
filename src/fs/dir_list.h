/*
 * dir_list: the names in a directory, with the stat of each.
 *
 * A directory may hold a million files that all need a stat, which mostly waits for memory in the
 * kernel. So a second thread calls stat while the first lists names and processes the results; both
 * take names that neither has taken. A small directory uses one thread.
 *
 *     list = dir_list_open(fd, wants_stat);
 *     while ((next = dir_list_next(list, &entry)) > 0) ...
 *     dir_list_close(list);
 */
#ifndef PHASESENTINEL_DIR_LIST_H
#define PHASESENTINEL_DIR_LIST_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/cause.h"

struct dir_list_entry {
    const char *name;   /* borrowed until the next call */
    unsigned char type; /* DT_REG etc. from the directory; DT_UNKNOWN: only stat tells */
    bool has_stat;      /* wants_stat asked for it; see errnum */
    int errnum;         /* the error of stat, or 0 */
    struct stat st;     /* a link is not followed */
};

struct dir_list;

/* Return true if the entry of this name needs a stat. Called by one thread only. */
typedef bool dir_list_wants_stat(const char *name, unsigned char type);

/* List a directory from the current offset of fd, which is borrowed. Return NULL when out of
 * memory. */
struct dir_list *dir_list_open(int fd, dir_list_wants_stat *wants_stat);
void dir_list_close(struct dir_list *list);

/* Set *ret_entry to the next name, in no order, without . and .. of the directory. Return 1; 0: no
 * more names; -1 with errno: the directory cannot be read any further. */
int dir_list_next(struct dir_list *list, const struct dir_list_entry **ret_entry);

#endif
