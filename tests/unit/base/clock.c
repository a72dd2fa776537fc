#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#include "lib/place.h"
#include "lib/unit.h"

static void test_print(void)
{
    char out[CLOCK_TEXT_SIZE];

    check_text(clock_print(out, 0), "1970-01-01T00:00:00.000Z", "the epoch");
    check_text(clock_print(out, INT64_C(1704110400123456789)), "2024-01-01T12:00:00.123Z",
               "a time");
    check_text(clock_print(out, INT64_C(951782399999999999)), "2000-02-28T23:59:59.999Z",
               "a leap year");
    check_text(clock_print(out, INT64_MAX), "2262-04-11T23:47:16.854Z", "the last nanosecond");
    check_text(clock_print(out, -1), "1969-12-31T23:59:59.999Z", "before the epoch");
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    check_text(clock_print(out, 0), "1970-01-01T00:00:00.000Z", "UTC in any zone");
}

static void test_parse(void)
{
    static const char *const bad[] = {
        "",
        "2024-01-01T12:00:00Z",
        "2024-01-01 12:00:00.000Z",
        "2024-01-01T12:00:00,000Z",
        "2024-01-01T12:00:00.000z",
        "2024-01-01T12:00:00.000+",
        "2024-1-001T12:00:00.000Z",
        "2024-01-01T12:00:-1.000Z",
        "2024-01-01T12:00: 1.000Z",
        "2024-13-01T12:00:00.000Z",
        "2024-00-01T12:00:00.000Z",
        "2024-02-30T12:00:00.000Z",
        "2023-02-29T12:00:00.000Z",
        "2024-01-00T12:00:00.000Z",
        "2024-01-01T24:00:00.000Z",
        "2024-01-01T12:60:00.000Z",
        "2024-01-01T12:00:61.000Z",
        "2263-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
        "0000-01-01T00:00:00.000Z",
        "2024-01-01T12:00:00.000ZZ",
    };
    char out[CLOCK_TEXT_SIZE], again[CLOCK_TEXT_SIZE];
    int64_t time, back;
    time_t day;
    size_t i, wrong = 0;

    for (i = 0; i < 10000; i++) {
        time = (int64_t)(place_random() >> 1) / 1000000 * 1000000;
        clock_print(out, time);
        wrong += !clock_parse(out, strlen(out), &back) || back != time;
    }
    check(wrong == 0, "clock_parse reads what clock_print writes: %zu wrong", wrong);
    wrong = 0;
    for (time = 0; time < INT64_MAX / 1000000000 / 86400; time++) {
        day = (time_t)time * 86400;
        strftime(again, sizeof again, "%Y-%m-%dT00:00:00.000Z", gmtime(&day));
        clock_print(out, time * INT64_C(86400000000000));
        wrong += strcmp(out, again) != 0 || !clock_parse(out, strlen(out), &back) ||
                 back / 86400000000000 != time;
        /* Days that a month does not have are refused. */
        memcpy(out + 8, time % 2 == 0 ? "31" : "29", 2);
        if (clock_parse(out, strlen(out), &back)) {
            clock_print(again, back);
            wrong += strcmp(out, again) != 0;
        }
    }
    check(wrong == 0, "every day until 2262: %zu wrong", wrong);
    back = 42;
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!clock_parse(bad[i], strlen(bad[i]), &back) && back == 42, "'%s' is no such time",
              bad[i]);
}

int main(void)
{
    test_print();
    test_parse();
    return unit_done();
}
