/*
 * spill: the rows of one file on their way into the training file.
 *
 * Few rows stay in memory; more go to a file without a name in state/, so memory stays bounded
 * whatever the sizes, and a crash leaves nothing. With a pool one of its threads writes that file
 * while the next rows are checked; spill_finish waits for it. training_append takes the rows from
 * here once the file is accepted. Reusable: spill_clear makes it empty again.
 */
#ifndef PHASESENTINEL_SPILL_H
#define PHASESENTINEL_SPILL_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "base/thread_pool.h"

struct digest_stream;

struct spill {
    struct job job;           /* writes `pending` to the file */
    struct thread_pool *pool; /* borrowed; NULL: the caller writes himself */
    int dir_fd;               /* borrowed: where the file without a name is made */
    int fd;                   /* that file; -1: all is in memory */
    uint64_t length;          /* of all */
    struct buffer memory;     /* all, or nothing once there is a file */
    struct buffer pending;
    int failed; /* what spill_finish is to return, with the cause */
    struct cause cause;
    struct digest_stream *hash;
};

void spill_init(struct spill *spill, int dir_fd);
void spill_free(struct spill *spill);  /* leaves it empty; takes one that is */
void spill_clear(struct spill *spill); /* empty, its memory kept if that is little */

/* Takes what is in `bytes`, perhaps with its memory: what is left in it means nothing. */
int spill_add(struct spill *spill, struct buffer *bytes, struct cause *cause);

/* All is where it belongs: before anything is asked of it, but its length. */
int spill_finish(struct spill *spill, struct cause *cause);

/* XXH3-64 of all. */
uint64_t spill_hash(const struct spill *spill);

#endif
