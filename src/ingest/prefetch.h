/*
 * ahead: the files of a batch are opened before it is their turn, by the threads of a pool.
 *
 * To open a small file, and to ask who writes to it, takes longer than to read it; and files are
 * decided one after the other, by one thread.
 *
 *     ahead_begin    the files, in the order in which they will be asked for
 *     ahead_next     the next one, opened as spool_take does; its descriptor is the caller's
 *     ahead_end      closes those that were opened and not asked for
 */
#ifndef PHASESENTINEL_PREFETCH_H
#define PHASESENTINEL_PREFETCH_H

#include <stddef.h>

#include "base/thread_pool.h"
#include "fs/spool.h"
#include "drop/pending.h"

#define AHEAD_GROUP  16 /* files that a thread opens at once */
#define AHEAD_GROUPS 4

struct ahead {
    struct pool *pool;
    int dir_fd;
    struct waiting_file *const *files;
    size_t count;
    size_t given; /* to threads: whole groups, but for the last one */
    size_t next;  /* to be asked for */
    struct ahead_group {
        struct job job;
        const struct ahead *ahead;
        size_t first, count;
        struct spool_taken taken[AHEAD_GROUP];
    } groups[AHEAD_GROUPS];
};

/* All are borrowed until ahead_end; of the files the names are looked at. Without a pool each file
 * is opened when it is asked for. */
void ahead_begin(struct ahead *ahead, struct pool *pool, int dir_fd,
                 struct waiting_file *const *files, size_t count);
void ahead_next(struct ahead *ahead, struct spool_taken *ret_taken);
void ahead_end(struct ahead *ahead); /* takes zeroed ones, and ended ones */

#endif
