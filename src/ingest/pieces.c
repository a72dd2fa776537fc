#include "ingest/pieces.h"

#include <stdlib.h>
#include <string.h>

/* One more place at the end; what it holds is cleared, its memory may be used again. */
static struct piece *next_place(struct pieces *pieces)
{
    const size_t cap = pieces->cap == 0 ? 1 : 2 * pieces->cap;
    struct piece *list;

    if (pieces->count == pieces->cap) {
        list = realloc(pieces->list, cap * sizeof *list);
        if (list == NULL)
            return NULL;
        memset(list + pieces->cap, 0, (cap - pieces->cap) * sizeof *list);
        pieces->list = list;
        pieces->cap = cap;
    }
    return &pieces->list[pieces->count];
}

static void stands_for(struct piece *piece, const struct check_result *result)
{
    piece->bytes = result->bytes;
    memcpy(piece->sha256, result->sha256, DIGEST_SIZE);
}

int pieces_add(struct pieces *pieces, struct check_result *result, struct spill *rows,
               struct cause *cause)
{
    struct piece *piece;
    struct tally swapped;

    /* The end of the file, and no row since the last piece. */
    if (pieces->count > 0 && result->rows == pieces->rows) {
        stands_for(&pieces->list[pieces->count - 1], result);
        return 0;
    }
    piece = next_place(pieces);
    if (piece == NULL)
        return cause_memory(cause);
    if (spill_mark(rows, &piece->range, cause) < 0)
        return -1;
    stands_for(piece, result);
    piece->rows = result->rows - pieces->rows;
    swapped = piece->tally;
    piece->tally = result->tally;
    result->tally = swapped;
    pieces->rows = result->rows;
    pieces->count++;
    return 0;
}

int pieces_join(struct pieces *pieces, size_t count, struct cause *cause)
{
    struct piece *first = pieces->list;
    const struct piece *last = &first[count - 1];
    size_t i;

    if (count < 2)
        return 0;
    for (i = 1; i < count; i++) {
        if (tally_add(&first->tally, &first[i].tally) < 0)
            return cause_memory(cause);
        first->rows += first[i].rows;
        first->range.length += first[i].range.length;
        tally_free(&first[i].tally);
    }
    first->bytes = last->bytes;
    memcpy(first->sha256, last->sha256, DIGEST_SIZE);
    first->range.hash = first->range.hash_so_far = last->range.hash_so_far;
    memmove(first + 1, first + count, (pieces->count - count) * sizeof *first);
    pieces->count -= count - 1;
    memset(first + pieces->count, 0, (count - 1) * sizeof *first);
    return 0;
}

uint64_t pieces_known_rows(const struct pieces *pieces)
{
    uint64_t rows = 0;
    size_t i;

    for (i = 0; i < pieces->known; i++)
        rows += pieces->list[i].rows;
    return rows;
}

void pieces_clear(struct pieces *pieces)
{
    size_t i;

    for (i = 1; i < pieces->count; i++)
        tally_free(&pieces->list[i].tally);
    if (pieces->count > 0)
        tally_clear(&pieces->list[0].tally);
    pieces->count = pieces->next = pieces->known = 0;
    pieces->rows = 0;
}

void pieces_free(struct pieces *pieces)
{
    pieces_clear(pieces);
    if (pieces->cap > 0)
        tally_free(&pieces->list[0].tally);
    free(pieces->list);
    *pieces = (struct pieces){0};
}
