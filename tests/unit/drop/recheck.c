#include "drop/recheck.h"

#include "lib/place.h"
#include "lib/unit.h"

static void test_queue(void)
{
    struct recheck recheck = {0};
    size_t added = 0, dropped = 0, i, wrong = 0;
    const struct recheck_file *first;
    char name[32];

    check(recheck_first(&recheck) == NULL, "an empty queue has no first");
    recheck_drop(&recheck);
    for (i = 0; i < 200000; i++) {
        /* Ebb and flow. */
        if (place_below(10) < (i / 20000 % 2 == 0 ? 7U : 3U)) {
            snprintf(name, sizeof name, "%zu.csv", added);
            if (added - dropped < RECHECK_MOST) {
                recheck_add(&recheck, name, added, (int64_t)added * 2);
                added++;
            }
        } else if ((first = recheck_first(&recheck)) != NULL) {
            snprintf(name, sizeof name, "%zu.csv", dropped);
            wrong += strcmp(first->name, name) != 0 || first->at != dropped ||
                     first->due != (int64_t)dropped * 2;
            recheck_drop(&recheck);
            dropped++;
        }
        wrong += recheck.count != added - dropped;
    }
    check(wrong == 0 && dropped > 1000, "%zu files go through in order: %zu wrong", dropped, wrong);
    recheck_free(&recheck);
    check(recheck_first(&recheck) == NULL, "freed, it is empty");
    recheck_free(&recheck);
}

static void test_bound(void)
{
    struct recheck recheck = {0};
    size_t i;

    for (i = 0; i < RECHECK_MOST; i++)
        recheck_add(&recheck, "a.csv", i, 1);
    recheck_add(&recheck, "late.csv", 1, 1);
    check(recheck.count == RECHECK_MOST, "who does not fit in is left out");
    recheck_drop(&recheck);
    recheck_add(&recheck, "late.csv", 1, 1);
    for (i = 1; i < RECHECK_MOST; i++)
        recheck_drop(&recheck);
    check(strcmp(recheck_first(&recheck)->name, "late.csv") == 0 && recheck.count == 1,
          "until there is room");
    recheck_free(&recheck);
}

int main(void)
{
    test_queue();
    test_bound();
    return unit_done();
}
