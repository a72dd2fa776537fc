#include "drop/recheck.h"

#include "lib/place.h"
#include "lib/unit.h"

static void test_queue(void)
{
    struct racy_queue racy_queue = {0};
    size_t added = 0, dropped = 0, i, wrong = 0;
    const struct racy_queue_file *first;
    char name[32];

    check(racy_queue_first(&racy_queue) == NULL, "an empty queue has no first");
    racy_queue_drop(&racy_queue);
    for (i = 0; i < 200000; i++) {
        /* Ebb and flow. */
        if (place_below(10) < (i / 20000 % 2 == 0 ? 7U : 3U)) {
            snprintf(name, sizeof name, "%zu.csv", added);
            if (added - dropped < RACY_MOST) {
                racy_queue_add(&racy_queue, name, added, (int64_t)added * 2);
                added++;
            }
        } else if ((first = racy_queue_first(&racy_queue)) != NULL) {
            snprintf(name, sizeof name, "%zu.csv", dropped);
            wrong += strcmp(first->name, name) != 0 || first->at != dropped ||
                     first->due != (int64_t)dropped * 2;
            racy_queue_drop(&racy_queue);
            dropped++;
        }
        wrong += racy_queue.count != added - dropped;
    }
    check(wrong == 0 && dropped > 1000, "%zu files go through in order: %zu wrong", dropped, wrong);
    racy_queue_free(&racy_queue);
    check(racy_queue_first(&racy_queue) == NULL, "freed, it is empty");
    racy_queue_free(&racy_queue);
}

static void test_bound(void)
{
    struct racy_queue racy_queue = {0};
    size_t i;

    for (i = 0; i < RACY_MOST; i++)
        racy_queue_add(&racy_queue, "a.csv", i, 1);
    racy_queue_add(&racy_queue, "late.csv", 1, 1);
    check(racy_queue.count == RACY_MOST, "who does not fit in is left out");
    racy_queue_drop(&racy_queue);
    racy_queue_add(&racy_queue, "late.csv", 1, 1);
    for (i = 1; i < RACY_MOST; i++)
        racy_queue_drop(&racy_queue);
    check(strcmp(racy_queue_first(&racy_queue)->name, "late.csv") == 0 && racy_queue.count == 1,
          "until there is room");
    racy_queue_free(&racy_queue);
}

int main(void)
{
    test_queue();
    test_bound();
    return unit_done();
}
