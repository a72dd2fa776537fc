/*
 * spill: the accepted rows of one file, until they are appended to the training file.
 *
 *     spill_init
 *     spill_add        rows, as the file is checked
 *     spill_finish     wait until all rows are stored, before training_append and spill_hash
 *     spill_clear      make it empty for the next file
 *     spill_free
 *
 * Up to 4 MiB of rows stay in memory; more go to an unnamed file in state/, of which a crash leaves
 * nothing. With a pool, one of its threads writes that file while the next rows are checked.
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
    struct thread_pool *pool; /* borrowed; NULL: spill_add writes */
    int dir_fd;               /* borrowed: directory of the unnamed file */
    int fd;                   /* the unnamed file; -1: all rows are in memory */
    uint64_t length;          /* bytes added */
    struct buffer memory;     /* the rows, while there is no file */
    struct buffer pending;    /* rows that the job writes */
    int failed;               /* result of the job: 0 or -1 ... */
    struct cause cause;       /* ... with its cause */
    struct digest_stream *hash;
};

void spill_init(struct spill *spill, int dir_fd);
void spill_free(struct spill *spill);  /* leaves it empty; takes an empty one, too */
void spill_clear(struct spill *spill); /* keeps small memory */

/*
 * Add bytes. The spill may take over the buffer's memory; what the buffer then holds is undefined.
 */
int spill_add(struct spill *spill, struct buffer *bytes, struct cause *cause);

/* Wait until all bytes are stored. Call it before anything but `length` is used. */
int spill_finish(struct spill *spill, struct cause *cause);

/* Return the XXH3-64 of all bytes. */
uint64_t spill_hash(const struct spill *spill);

#endif
