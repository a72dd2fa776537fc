#include "ingest/pieces.h"

#include "lib/place.h"
#include "lib/unit.h"

#define PIECES 5

static int dir;

/* What came since the last piece: so many rows, of a user of its own, and what they are written as.
 */
static void read_on(struct check_result *result, struct spill *rows, unsigned piece)
{
    static const char letters[] = "abcde";
    struct buffer bytes = {0};
    struct cause cause;
    unsigned i;

    for (i = 0; i < 100 * (piece + 1); i++)
        buffer_printf(&bytes, "%c%u\n", letters[piece], i);
    result->rows += i;
    result->bytes += bytes.len + 1;
    result->sha256[0] = (unsigned char)(piece + 1);
    tally_clear(&result->tally);
    result->tally.rows = i;
    if (counter_add(&result->tally.by[TALLY_USERS], &letters[piece], 1, i) < 0 ||
        spill_add(rows, &bytes, &cause) < 0)
        abort();
    buffer_free(&bytes);
}

static void read_all(struct pieces *pieces, struct check_result *result, struct spill *rows)
{
    struct cause cause;
    unsigned i;

    pieces_clear(pieces);
    spill_clear(rows);
    result->rows = result->bytes = 0;
    for (i = 0; i < PIECES; i++) {
        read_on(result, rows, i);
        if (pieces_add(pieces, result, rows, &cause) < 0)
            abort();
    }
}

int main(void)
{
    const struct config config = {0};
    struct pieces pieces = {0};
    struct check_result result;
    struct spill rows;
    struct cause cause;
    uint64_t bytes, length;
    const struct piece *list;
    size_t round;

    dir = place_enter();
    check_result_init(&result, &config);
    spill_init(&rows, dir);
    for (round = 0; round < 2; round++) {
        read_all(&pieces, &result, &rows);
        list = pieces.list;
        check(pieces.count == PIECES && pieces.rows == 1500 && pieces.next == 0,
              "a file of five pieces, time %zu", round);
        check(list[0].rows == 100 && list[4].rows == 500 && list[4].tally.rows == 500 &&
                  list[4].sha256[0] == 5,
              "each knows its own rows, and the file up to its end");
        check(counter_get(&list[1].tally.by[TALLY_USERS], "b", 1) == 200 &&
                  counter_get(&list[1].tally.by[TALLY_USERS], "a", 1) == 0,
              "and who they are of");
        check(list[1].range.offset == list[0].range.length &&
                  list[4].range.offset + list[4].range.length == rows.length &&
                  list[4].range.hash_so_far == spill_hash(&rows),
              "they are all of it, one after the other");
    }

    bytes = list[2].bytes;
    length = list[0].range.length + list[1].range.length + list[2].range.length;
    check(pieces_join(&pieces, 1, &cause) == 0 && pieces.count == PIECES, "one stays one");
    check(pieces_join(&pieces, 3, &cause) == 0 && pieces.count == 3, "three become one");
    check(list[0].rows == 600 && list[0].tally.rows == 600 && list[0].bytes == bytes &&
              list[0].sha256[0] == 3 && list[0].range.offset == 0 && list[0].range.length == length,
          "that speaks of all three");
    check(list[0].range.hash == digest_check(rows.memory.data, length), "whose rows it knows");
    check(counter_get(&list[0].tally.by[TALLY_USERS], "c", 1) == 300, "and who these are of");
    check(list[1].rows == 400 && list[1].range.offset == length && list[2].rows == 500,
          "the others are as they were");

    result.bytes += 7;
    result.sha256[0] = 77;
    check(pieces_add(&pieces, &result, &rows, &cause) == 0 && pieces.count == 3 &&
              list[2].bytes == result.bytes && list[2].sha256[0] == 77 && list[2].rows == 500,
          "an end of the file without rows belongs to the last");
    pieces.known = 2;
    check(pieces_known_rows(&pieces) == 1000, "the first two are known: their rows");
    pieces_clear(&pieces);
    check(pieces.count == 0 && pieces.rows == 0 && pieces_known_rows(&pieces) == 0,
          "cleared it is empty");
    result.rows = 0;
    check(pieces_add(&pieces, &result, &rows, &cause) == 0 && pieces.count == 1 &&
              pieces.list[0].rows == 0,
          "a file without rows is a piece without rows");

    pieces_free(&pieces);
    pieces_free(&pieces);
    spill_free(&rows);
    check_result_free(&result);
    close(dir);
    return unit_done();
}
