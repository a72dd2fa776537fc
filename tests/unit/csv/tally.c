#include "csv/tally.h"

#include "lib/place.h"
#include "lib/unit.h"

static void test_counter(void)
{
    static uint64_t want[500];
    struct counter counter = {0};
    size_t i, k, wrong = 0, distinct = 0;
    char value[32];

    check(counter_get(&counter, "x", 1) == 0, "nothing is counted");
    for (i = 0; i < place_rounds(200000); i++) {
        /* Values come in runs. */
        k = place_below(3) == 0 ? place_below(500) : i / 10 % 500;
        snprintf(value, sizeof value, "user-%zu", k);
        if (counter_add(&counter, value, strlen(value), i % 3) < 0)
            abort();
        want[k] += i % 3;
    }
    for (k = 0; k < 500; k++) {
        snprintf(value, sizeof value, "user-%zu", k);
        wrong += counter_get(&counter, value, strlen(value)) != want[k];
        distinct += want[k] > 0;
    }
    check(wrong == 0 && counter.count >= distinct && counter.count <= 500, "%zu values: %zu wrong",
          counter.count, wrong);
    counter_clear(&counter);
    check(counter.count == 0 && counter_get(&counter, "user-1", 6) == 0, "cleared it is empty");
    /* Use the memory of the values again, for shorter and longer ones, and build a new index. */
    for (k = 0, wrong = 0; k < 40; k++) {
        snprintf(value, sizeof value, "%s-%zu", k % 2 == 0 ? "a" : "a-longer-name", k);
        if (counter_add(&counter, value, strlen(value), k + 1) < 0)
            abort();
    }
    for (k = 0; k < 40; k++) {
        snprintf(value, sizeof value, "%s-%zu", k % 2 == 0 ? "a" : "a-longer-name", k);
        wrong += counter_get(&counter, value, strlen(value)) != k + 1;
    }
    check(wrong == 0 && counter.count == 40 && counter_get(&counter, "user-1", 6) == 0,
          "cleared it is used again");
    counter_free(&counter);
    counter_free(&counter);
    check(counter.count == 0 && counter_get(&counter, "a-0", 3) == 0, "freed it is empty");
}

static void test_values(void)
{
    struct counter counter = {0};

    counter_add(&counter, "", 0, 1);
    counter_add(&counter, "a", 1, 2);
    counter_add(&counter, "a\0", 2, 4);
    counter_add(&counter, "a\0b", 3, 8);
    counter_add(&counter, "abc", 2, 16);
    check(counter_get(&counter, "", 0) == 1 && counter_get(&counter, "a", 1) == 2 &&
              counter_get(&counter, "a\0", 2) == 4 && counter_get(&counter, "a\0b", 3) == 8 &&
              counter_get(&counter, "ab", 2) == 16 && counter_get(&counter, "abc", 3) == 0,
          "values are bytes");
    check(counter.entries[4].value[2] == '\0', "each ends in a NUL");
    counter_add(&counter, "max", 3, UINT64_MAX - 5);
    counter_add(&counter, "max", 3, 5);
    check(counter_get(&counter, "max", 3) == UINT64_MAX, "large counts");
    counter_free(&counter);
}

static void test_tally(void)
{
    struct tally to = {0}, from = {0};

    counter_add(&from.by[TALLY_USERS], "eva", 3, 2);
    counter_add(&from.by[TALLY_PHASES], "idle", 4, 2);
    from.rows = 2;
    counter_add(&to.by[TALLY_USERS], "udo", 3, 1);
    to.rows = 1;
    check(tally_add(&to, &from) == 0 && tally_add(&to, &from) == 0 && to.rows == 5 &&
              counter_get(&to.by[TALLY_USERS], "eva", 3) == 4 &&
              counter_get(&to.by[TALLY_USERS], "udo", 3) == 1 &&
              counter_get(&to.by[TALLY_PHASES], "idle", 4) == 4 && from.rows == 2,
          "one is added to another");
    tally_clear(&to);
    check(to.rows == 0 && to.by[TALLY_USERS].count == 0, "cleared it is zeroed");
    tally_free(&to);
    tally_free(&to);
    tally_free(&from);
    check_text(tally_field(TALLY_USERS), "user_id", "users");
    check_text(tally_field(TALLY_SOURCES), "source", "sources");
    check_text(tally_field(TALLY_LABELS), "label", "labels");
    check_text(tally_field(TALLY_PHASES), "phase", "phases");
}

int main(void)
{
    test_counter();
    test_values();
    test_tally();
    return unit_done();
}
