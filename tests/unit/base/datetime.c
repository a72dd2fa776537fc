#include "base/datetime.h"

#include <stdlib.h>

#include "lib/unit.h"

static void test_iso(void)
{
    static const char *const dates[] = {"2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"};
    static const char *const no_dates[] = {"2023-02-29",
                                           "1900-02-29",
                                           "2024-13-01",
                                           "2024-00-01",
                                           "2024-04-31",
                                           "2024-1-01",
                                           "24-01-01",
                                           "2024-01-01 ",
                                           " 2024-01-01",
                                           "2024/01/01",
                                           "20240101",
                                           "2024-01-01T00:00:00",
                                           ""};
    static const char *const times[] = {"2024-01-01T12:00:00",      "2024-01-01T12:00:00Z",
                                        "2024-01-01T12:00:00.5",    "2024-01-01T12:00:00,25+01:00",
                                        "2024-01-01T12:00:00-0130", "2024-01-01T12:00:00+01",
                                        "2016-12-31T23:59:60Z"};
    static const char *const no_times[] = {
        "2024-01-01 12:00:00",      "2024-01-01T24:00:00",       "2024-01-01T12:60:00",
        "2024-01-01T12:00:61",      "2024-01-01T12:00",          "2024-01-01T12:00:00.",
        "2024-01-01T12:00:00z",     "2024-01-01T12:00:00 Z",     "2024-01-01T12:00:00+1",
        "2024-01-01T12:00:00+24",   "2024-01-01T12:00:00+01:60", "2024-01-01T12:00:00+01:",
        "2024-01-01T12:00:00+01:0", "2023-02-29T12:00:00",       "2024-01-01",
        "2024-01-01t12:00:00"};
    struct datetime datetime;
    size_t i;

    for (i = 0; i < sizeof dates / sizeof *dates; i++)
        check(datetime_parse_date(dates[i], strlen(dates[i]), &datetime), "'%s' is a date",
              dates[i]);
    for (i = 0; i < sizeof no_dates / sizeof *no_dates; i++)
        check(!datetime_parse_date(no_dates[i], strlen(no_dates[i]), &datetime), "'%s' is no date",
              no_dates[i]);
    for (i = 0; i < sizeof times / sizeof *times; i++)
        check(datetime_parse_datetime(times[i], strlen(times[i]), &datetime), "'%s' is a datetime",
              times[i]);
    for (i = 0; i < sizeof no_times / sizeof *no_times; i++)
        check(!datetime_parse_datetime(no_times[i], strlen(no_times[i]), &datetime),
              "'%s' is no datetime", no_times[i]);
}

static void test_compare(void)
{
    static const struct {
        const char *left, *right;
        int order;
    } cases[] = {
        {"2024-01-01T12:00:00", "2024-01-01T12:00:00Z", 0},
        {"2024-01-01T12:00:00+01:00", "2024-01-01T11:00:00Z", 0},
        {"2024-01-01T00:30:00+01:00", "2023-12-31T23:29:59Z", 1},
        {"2024-01-01T12:00:00-0530", "2024-01-01T17:30:00", 0},
        {"2024-01-01T12:00:00.5", "2024-01-01T12:00:00,50000", 0},
        {"2024-01-01T12:00:00.123456789012345678901", "2024-01-01T12:00:00.1234567890123456789", 1},
        {"2024-01-01T12:00:00.09", "2024-01-01T12:00:00.1", -1},
        {"2016-12-31T23:59:60", "2017-01-01T00:00:00", 0},
        {"1969-12-31T23:59:59", "1970-01-01T00:00:00", -1},
    };
    struct datetime a, b;
    size_t i;
    int order;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        datetime_parse_datetime(cases[i].left, strlen(cases[i].left), &a);
        datetime_parse_datetime(cases[i].right, strlen(cases[i].right), &b);
        order = datetime_compare(&a, &b);
        check((order < 0 ? -1 : order > 0) == cases[i].order, "%s against %s", cases[i].left,
              cases[i].right);
    }
}

static void test_formats(void)
{
    static const struct {
        const char *format, *text, *iso; /* NULL: does not match */
    } cases[] = {
        {"%Y%m%d_%H%M%S", "20240101_120000", "2024-01-01T12:00:00"},
        {"%Y%m%d_%H%M%S", "20240101_12000", NULL},
        {"%Y%m%d_%H%M%S", "2024011_120000", NULL},
        {"%Y%m%d_%H%M%S", "20240230_120000", NULL},
        {"%Y%m%d_%H%M%S", " 20240101_120000", NULL},
        {"%Y%m%d_%H%M%S", "2024 101_120000", NULL},
        {"%Y%m%d_%H%M%S", "20240101_ 20000", NULL},
        {"%d/%m/%Y", "1/2/2024", "2024-02-01T00:00:00"},
        {"%d/%m/%Y", "31/12/2024", "2024-12-31T00:00:00"},
        {"%d/%m/%Y", "31/12/24", NULL},
        {"%d/%m/%Y", "31/4/2024", NULL},
        {"%d/%m/%Y", "12/31/2024", NULL},
        {"%d/%m/%Y", "1 /2/2024", NULL},
        {"%d.%m.%y", "01.02.69", "1969-02-01T00:00:00"},
        {"%d.%m.%y", "01.02.68", "2068-02-01T00:00:00"},
        {"%Y-%m-%d %H:%M", "2024-01-01 09:30", "2024-01-01T09:30:00"},
        {"%Y-%m-%d %H:%M", "2024-01-01  09:30", NULL},
        {"%Y-%m-%d %H:%M", "2024-01-01\t09:30", NULL},
        {"%Y-%m-%d %H:%M", "2024-01-0109:30", NULL},
        {"%F %T.%f", "2024-01-01 09:30:15.250", "2024-01-01T09:30:15.250"},
        {"%F %R%z", "2024-01-01 09:30-0130", "2024-01-01T09:30:00-01:30"},
        {"%F %R%z", "2024-01-01 09:30Z", "2024-01-01T09:30:00Z"},
        {"%D", "02/29/24", "2024-02-29T00:00:00"},
        {"%b %e %Y", "feb  9 2024", "2024-02-09T00:00:00"},
        {"%d %B %Y", "9 February 2024", "2024-02-09T00:00:00"},
        {"%d %B %Y", "9 Febr 2024", NULL},
        {"%a, %d %b %Y", "Thu, 29 Feb 2024", "2024-02-29T00:00:00"},
        {"%a, %d %b %Y", "Fri, 29 Feb 2024", NULL},
        {"%F %I:%M %p", "2024-01-01 12:05 AM", "2024-01-01T00:05:00"},
        {"%F %I:%M %p", "2024-01-01 01:05 pm", "2024-01-01T13:05:00"},
        {"%F %I:%M %p", "2024-01-01 13:05 pm", NULL},
        {"%Y-%j", "2024-366", "2024-12-31T00:00:00"},
        {"%Y-%j", "2023-366", NULL},
        {"%Y-%j", "2024-060", "2024-02-29T00:00:00"},
        {"%s", "1704110400", "2024-01-01T12:00:00Z"},
        {"%s.%f", "1704110400.5", "2024-01-01T12:00:00.5Z"},
        {"%s", "999999999999", NULL},
        {"%Y%%%m%d", "2024%0101", "2024-01-01T00:00:00"},
    };
    struct buffer out = {0};
    struct datetime datetime;
    size_t i, taken;

    /* Neither TZ nor the locale has an effect. */
    setenv("TZ", "America/New_York", 1);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&out);
        check(datetime_check_format(cases[i].format, &out) == 0, "%s is a format: %s",
              cases[i].format, buffer_text(&out));
        buffer_clear(&out);
        taken =
            datetime_parse_format(cases[i].format, cases[i].text, strlen(cases[i].text), &datetime);
        if (taken == strlen(cases[i].text))
            datetime_write(&datetime, false, &out);
        check_text(buffer_text(&out), cases[i].iso == NULL ? "" : cases[i].iso, cases[i].text);
    }
    check(datetime_parse_format("%Y%m%d", "20240101.csv", 12, &datetime) == 8,
          "a format matches the start of a text");
    datetime_parse_date("2024-01-31", 10, &datetime);
    buffer_clear(&out);
    datetime_write(&datetime, true, &out);
    check_text(buffer_text(&out), "2024-01-31", "the day alone");
    buffer_clear(&out);
    datetime_write_example("%d.%m.%Y %H:%M:%S.%f %% %s", &out);
    check_text(buffer_text(&out), "31.12.2024 23:59:58.25 % 1735689598", "an example");
    buffer_free(&out);
}

static void test_bad_formats(void)
{
    static const char *const cases[][2] = {
        {"", "year, month and day are needed: %Y, %m and %d"},
        {"%H:%M", "year, month and day are needed: %Y, %m and %d"},
        {"%Y-%m", "year, month and day are needed: %Y, %m and %d"},
        {"%Y-%m-%d %Q", "%Q cannot be read; use %Y %m %d %H %M %S or what the manual lists"},
        {"%Y-%m-%d %Z", "%Z cannot be read; use %Y %m %d %H %M %S or what the manual lists"},
        {"%Y-%m-%d %", "% cannot be read; use %Y %m %d %H %M %S or what the manual lists"},
        {"%Y-%m-%d %y", "%y tells again what is told before it"},
        {"%F %b", "%b tells again what is told before it"},
        {"%F %I:%M", "%I and %p need each other"},
        {"%F %H:%M %p", "%I and %p need each other"},
        {"%s %z", "%s tells the whole time; nothing but %f can stand beside it"},
    };
    struct buffer why = {0};
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&why);
        check(datetime_check_format(cases[i][0], &why) < 0, "'%s' is refused", cases[i][0]);
        check_text(buffer_text(&why), cases[i][1], cases[i][0]);
    }
    buffer_free(&why);
}

int main(void)
{
    test_iso();
    test_compare();
    test_formats();
    test_bad_formats();
    return unit_done();
}
