/*
 * spill: the rows of one file on their way into the training file.
 *
 * Few rows stay in memory; more go to a file without a name in state/, so memory stays bounded
 * whatever the sizes, and a crash leaves nothing. training_append takes them from here once the
 * file is accepted. Reusable: spill_clear makes it empty again.
 */
#ifndef PHASESENTINEL_SPILL_H
#define PHASESENTINEL_SPILL_H

#include <stdint.h>

#include "buffer.h"
#include "cause.h"

struct digest_stream;

struct spill {
    int dir_fd;           /* borrowed: where the file without a name is made */
    int fd;               /* that file; -1: all is in memory */
    uint64_t length;      /* of all */
    struct buffer memory; /* all, or nothing once there is a file */
    struct digest_stream *hash;
};

void spill_init(struct spill *spill, int dir_fd);
void spill_free(struct spill *spill);  /* leaves it empty; takes one that is */
void spill_clear(struct spill *spill); /* empty, its memory kept */

/* Takes what is in `bytes`, perhaps with its memory: what is left in it means nothing. */
int spill_add(struct spill *spill, struct buffer *bytes, struct cause *cause);

/* XXH3-64 of all. */
uint64_t spill_hash(const struct spill *spill);

#endif
