#include "base/vector.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/unit.h"

struct item {
    size_t number;
    char more[20];
};

static void test_growth(void)
{
    struct item *items = NULL;
    size_t count = 0, cap = 0, moves = 0, before, wrong = 0, i;

    for (i = 0; i < 10000; i++) {
        before = cap;
        if (vector_grow(&items, sizeof *items, count, &cap) < 0)
            break;
        moves += cap != before;
        items[count++].number = i;
    }
    for (i = 0; i < count; i++)
        wrong += items[i].number != i;
    check(count == 10000 && wrong == 0, "10,000 items are kept: %zu wrong", wrong);
    check(cap >= count && moves < 12, "the room doubles: %zu moves", moves);
    before = cap;
    check(vector_grow(&items, sizeof *items, cap - 1, &cap) == 0 && cap == before,
          "room for one more is enough");
    free(items);
}

static void test_limits(void)
{
    char byte, *bytes = &byte;
    struct item *items = NULL;
    size_t cap = SIZE_MAX / 2 + 1, none = 0;

    errno = 0;
    check(vector_grow(&bytes, 1, cap, &cap) < 0 && errno == ENOMEM && bytes == &byte &&
              cap == SIZE_MAX / 2 + 1,
          "a capacity that cannot double fails and changes nothing");
    errno = 0;
    check(vector_grow(&items, SIZE_MAX / 8, 0, &none) < 0 && errno == ENOMEM && items == NULL &&
              none == 0,
          "a size that overflows fails and changes nothing");
}

int main(void)
{
    test_growth();
    test_limits();
    return unit_done();
}
