/*
 * ahead: the files of a batch are opened before it is their turn, by the threads of a pool.
 *
 * To open a small file, and to ask who writes to it, takes longer than to read it; and files are
 * decided one after the other, by one thread.
 *
 *     prefetch_begin    the files, in the order in which they will be asked for
 *     prefetch_next     the next one, opened as opened_file_open does; its descriptor is the
 * caller's prefetch_end      closes those that were opened and not asked for
 */
#ifndef PHASESENTINEL_PREFETCH_H
#define PHASESENTINEL_PREFETCH_H

#include <stddef.h>

#include "base/thread_pool.h"
#include "fs/beneath.h"
#include "drop/pending.h"

#define PREFETCH_GROUP  16 /* files that a thread opens at once */
#define PREFETCH_GROUPS 4

struct prefetch {
    struct thread_pool *pool;
    int dir_fd;
    struct pending_file *const *files;
    size_t count;
    size_t given; /* to threads: whole groups, but for the last one */
    size_t next;  /* to be asked for */
    struct prefetch_group {
        struct job job;
        const struct prefetch *prefetch;
        size_t first, count;
        struct opened_file taken[PREFETCH_GROUP];
    } groups[PREFETCH_GROUPS];
};

/* All are borrowed until prefetch_end; of the files the names are looked at. Without a pool each
 * file is opened when it is asked for. */
void prefetch_begin(struct prefetch *prefetch, struct thread_pool *pool, int dir_fd,
                    struct pending_file *const *files, size_t count);
void prefetch_next(struct prefetch *prefetch, struct opened_file *ret_taken);
void prefetch_end(struct prefetch *prefetch); /* takes zeroed ones, and ended ones */

#endif
