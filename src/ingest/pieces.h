/*
 * pieces: a file's rows, in parts that can be booked one after another.
 *
 * The rows of a large file take long to append, and others shall not wait for them: they are booked
 * up to the end of a piece, and the rest later, as if the file had grown. A file that is not large
 * is one piece.
 *
 *     pieces_add      while the file is read, and at its end: what came since the last one
 *     pieces_join     some of them are booked as one
 *     pieces->next    the first that is not booked yet; whoever books it adds to it
 *     pieces_clear    there are none
 */
#ifndef PHASESENTINEL_PIECES_H
#define PHASESENTINEL_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/digest.h"
#include "csv/check_result.h"
#include "store/spill.h"
#include "csv/tally.h"

struct piece {
    uint64_t bytes; /* of the file, up to the piece's end */
    unsigned char sha256[DIGEST_SIZE];
    uint64_t rows; /* its own */
    struct tally tally;
    struct spill_piece range;
};

struct pieces {
    struct piece *list; /* owned */
    size_t count, cap, next;
    size_t known;  /* the first of them are booked for another file */
    uint64_t rows; /* of all */
};

/* The result speaks of all that was read so far; its tally of what is new, and is taken. */
int pieces_add(struct pieces *pieces, struct check_result *result, struct spill *rows,
               struct cause *cause);

/* The first `count` become one, before any was booked. */
int pieces_join(struct pieces *pieces, size_t count, struct cause *cause);

/* The rows of those that are known. */
uint64_t pieces_known_rows(const struct pieces *pieces);

void pieces_clear(struct pieces *pieces); /* its memory stays, if that is little */
void pieces_free(struct pieces *pieces);  /* takes zeroed ones */

#endif
