#include "base/datetime.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/decimal.h"

#define DAY 86400 /* seconds */

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* ---- the calendar ---- */

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    if (month == 2)
        return is_leap(year) ? 29 : 28;
    return 30 + (month + month / 8) % 2; /* 31: odd months to July, even ones from August */
}

/* Return the days since 1970-01-01 of a day in the Gregorian calendar, extended to year 0. */
static int64_t days_of(int year, int month, int day)
{
    /* Count years from March, so that a leap day ends its year, and 400 years more, so that none is
     * negative. */
    int shifted = year + 400 - (month <= 2), era = shifted / 400, of_era = shifted % 400;
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 -
           146097;
}

/* The opposite of days_of. */
static void set_day(struct datetime *datetime, int64_t days)
{
    int64_t shifted = days + 719468;
    int era = (int)(shifted / 146097), of_era = (int)(shifted % 146097);
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153;

    datetime->day = of_year - (153 * month + 2) / 5 + 1;
    datetime->month = month < 10 ? month + 3 : month - 9;
    datetime->year = year + era * 400 + (datetime->month <= 2);
}

/* Return 0 for a Sunday; 1970-01-01 was a Thursday. */
static int weekday_of(const struct datetime *datetime)
{
    int64_t days = days_of(datetime->year, datetime->month, datetime->day);

    return (int)((days % 7 + 11) % 7);
}

int64_t datetime_seconds(const struct datetime *datetime)
{
    return days_of(datetime->year, datetime->month, datetime->day) * DAY + datetime->hour * 3600 +
           (datetime->minute - datetime->zone) * 60 + datetime->second;
}

struct datetime datetime_from_seconds(int64_t seconds)
{
    int64_t days = seconds / DAY - (seconds % DAY < 0);
    int of_day = (int)(seconds - days * DAY);
    struct datetime utc = {
        .hour = of_day / 3600, .minute = of_day / 60 % 60, .second = of_day % 60, .has_zone = true};

    set_day(&utc, days);
    return utc;
}

/* ---- reading ---- */

/* The text: its start, and the part that is still to be read. */
struct cursor {
    const char *start, *p, *end;
};

static size_t count_digits(const struct cursor *at)
{
    const char *p = at->p;

    while (p < at->end && decimal_is_digit(*p))
        p++;
    return (size_t)(p - at->p);
}

/* Read exactly `width` digits whose value lies between low and high. */
static bool read_digits(struct cursor *at, size_t width, int low, int high, int *ret_value)
{
    int value = 0;
    size_t i;

    if ((size_t)(at->end - at->p) < width)
        return false;
    for (i = 0; i < width; i++) {
        if (!decimal_is_digit(at->p[i]))
            return false;
        value = value * 10 + (at->p[i] - '0');
    }
    if (value < low || value > high)
        return false;
    at->p += width;
    *ret_value = value;
    return true;
}

static bool read_char(struct cursor *at, char c)
{
    if (at->p == at->end || *at->p != c)
        return false;
    at->p++;
    return true;
}

static bool read_fraction(struct cursor *at, struct datetime *datetime)
{
    datetime->fraction = at->p;
    datetime->fraction_len = count_digits(at);
    at->p += datetime->fraction_len;
    return datetime->fraction_len > 0;
}

/* Read Z, +hh:mm, +hhmm or +hh. */
static bool read_zone(struct cursor *at, struct datetime *datetime)
{
    int hours, minutes = 0;
    bool west;

    datetime->has_zone = true;
    datetime->zone = 0;
    if (read_char(at, 'Z'))
        return true;
    west = at->p < at->end && *at->p == '-';
    if (!west && (at->p == at->end || *at->p != '+'))
        return false;
    at->p++;
    if (!read_digits(at, 2, 0, 23, &hours))
        return false;
    if ((read_char(at, ':') || count_digits(at) > 0) && !read_digits(at, 2, 0, 59, &minutes))
        return false;
    datetime->zone = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool read_iso_day(struct cursor *at, struct datetime *datetime)
{
    return read_digits(at, 4, 0, 9999, &datetime->year) && read_char(at, '-') &&
           read_digits(at, 2, 1, 12, &datetime->month) && read_char(at, '-') &&
           read_digits(at, 2, 1, days_in_month(datetime->year, datetime->month), &datetime->day);
}

bool datetime_parse_date(const char *text, size_t len, struct datetime *ret_datetime)
{
    struct cursor at = {text, text, text + len};
    struct datetime datetime = {0};

    if (!read_iso_day(&at, &datetime) || at.p != at.end)
        return false;
    *ret_datetime = datetime;
    return true;
}

bool datetime_parse_datetime(const char *text, size_t len, struct datetime *ret_datetime)
{
    struct cursor at = {text, text, text + len};
    struct datetime datetime = {0};

    if (!read_iso_day(&at, &datetime) || !read_char(&at, 'T') ||
        !read_digits(&at, 2, 0, 23, &datetime.hour) || !read_char(&at, ':') ||
        !read_digits(&at, 2, 0, 59, &datetime.minute) || !read_char(&at, ':') ||
        !read_digits(&at, 2, 0, 60, &datetime.second))
        return false;
    if ((read_char(&at, '.') || read_char(&at, ',')) && !read_fraction(&at, &datetime))
        return false;
    if (at.p < at.end && !read_zone(&at, &datetime))
        return false;
    if (at.p != at.end)
        return false;
    *ret_datetime = datetime;
    return true;
}

/* The parts of a date that a format has read; -1: not read. */
struct parts {
    int month, day, yday, weekday, hour12, afternoon, century_year;
    bool epoch;
};

/* Read two digits, or one that no digit precedes: 1/2/2024, but not 2024011. */
static bool read_short(struct cursor *at, int low, int high, int *ret_value)
{
    bool joined = at->p > at->start && decimal_is_digit(at->p[-1]);

    return read_digits(at, count_digits(at) == 1 && !joined ? 1 : 2, low, high, ret_value);
}

static bool read_name(struct cursor *at, const char *const *names, int count, int *ret_index)
{
    size_t left = (size_t)(at->end - at->p), len;
    int i;

    for (i = 0; i < count; i++) {
        len = strlen(names[i]);
        if (left < len || strncasecmp(at->p, names[i], len) != 0)
            len = 3;
        if (left >= len && strncasecmp(at->p, names[i], len) == 0) {
            at->p += len;
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool read_epoch(struct cursor *at, struct datetime *datetime)
{
    size_t len = count_digits(at);
    struct datetime utc;
    int64_t seconds = 0;

    if (len == 0 || len > 12)
        return false;
    while (len-- > 0)
        seconds = seconds * 10 + (*at->p++ - '0');
    utc = datetime_from_seconds(seconds);
    utc.fraction = datetime->fraction;
    utc.fraction_len = datetime->fraction_len;
    *datetime = utc;
    return utc.year <= 9999;
}

/* Return the conversions that this one abbreviates, or NULL. */
static const char *expansion(char conversion)
{
    switch (conversion) {
    case 'F':
        return "%Y-%m-%d";
    case 'T':
        return "%H:%M:%S";
    case 'R':
        return "%H:%M";
    case 'D':
        return "%m/%d/%y";
    }
    return NULL;
}

static bool read_conversion(struct cursor *at, char conversion, struct parts *parts,
                            struct datetime *datetime)
{
    static const char *const halves[] = {"AM", "PM"};

    switch (conversion) {
    case 'Y':
        return read_digits(at, 4, 0, 9999, &datetime->year);
    case 'y':
        return read_digits(at, 2, 0, 99, &parts->century_year);
    case 'm':
        return read_short(at, 1, 12, &parts->month);
    case 'b':
    case 'B':
    case 'h':
        if (!read_name(at, months, 12, &parts->month))
            return false;
        parts->month++;
        return true;
    case 'e':
        if (read_char(at, ' '))
            return read_digits(at, 1, 1, 9, &parts->day);
        return read_short(at, 1, 31, &parts->day);
    case 'd':
        return read_short(at, 1, 31, &parts->day);
    case 'j':
        return read_digits(at, 3, 1, 366, &parts->yday);
    case 'a':
    case 'A':
        return read_name(at, weekdays, 7, &parts->weekday);
    case 'H':
        return read_short(at, 0, 23, &datetime->hour);
    case 'I':
        return read_short(at, 1, 12, &parts->hour12);
    case 'M':
        return read_short(at, 0, 59, &datetime->minute);
    case 'S':
        return read_short(at, 0, 60, &datetime->second);
    case 'f':
        return read_fraction(at, datetime);
    case 'p':
        return read_name(at, halves, 2, &parts->afternoon);
    case 'z':
        return read_zone(at, datetime);
    case 's':
        parts->epoch = true;
        return read_epoch(at, datetime);
    }
    return read_char(at, '%');
}

static bool read_format(struct cursor *at, const char *format, struct parts *parts,
                        struct datetime *datetime)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            if (!read_char(at, *format))
                return false;
            continue;
        }
        format++;
        if (expansion(*format) != NULL) {
            if (!read_format(at, expansion(*format), parts, datetime))
                return false;
        } else if (!read_conversion(at, *format, parts, datetime)) {
            return false;
        }
    }
    return true;
}

/* Complete the datetime from the parts. Return false if they contradict each other or the calendar.
 */
static bool combine_parts(const struct parts *parts, struct datetime *datetime)
{
    int month = 1, day = parts->yday;

    if (parts->epoch)
        return true;
    if (parts->century_year >= 0)
        datetime->year = parts->century_year + (parts->century_year < 69 ? 2000 : 1900);
    if (parts->yday >= 0) {
        while (month <= 12 && day > days_in_month(datetime->year, month))
            day -= days_in_month(datetime->year, month++);
        if (month > 12 || (parts->month >= 0 && parts->month != month) ||
            (parts->day >= 0 && parts->day != day))
            return false;
    } else {
        month = parts->month;
        day = parts->day;
    }
    if (day > days_in_month(datetime->year, month))
        return false;
    datetime->month = month;
    datetime->day = day;
    if (parts->hour12 >= 0)
        datetime->hour = parts->hour12 % 12 + (parts->afternoon == 1 ? 12 : 0);
    return parts->weekday < 0 || parts->weekday == weekday_of(datetime);
}

size_t datetime_parse_format(const char *format, const char *text, size_t len,
                             struct datetime *ret_datetime)
{
    struct cursor at = {text, text, text + len};
    struct parts parts = {-1, -1, -1, -1, -1, -1, -1, false};
    struct datetime datetime = {0};

    if (!read_format(&at, format, &parts, &datetime) || !combine_parts(&parts, &datetime))
        return 0;
    *ret_datetime = datetime;
    return (size_t)(at.p - text);
}

/* Map conversions of the same part of a date to one letter: "%d" and "%e", "%m" and "%B". */
static char part_letter(char conversion)
{
    static const char alike[] = "yYbmBmhmedAaIH";
    const char *pair;

    for (pair = alike; *pair != '\0'; pair += 2)
        if (*pair == conversion)
            return pair[1];
    return conversion;
}

static int list_conversions(const char *format, char *listed, size_t *count, struct buffer *why)
{
    for (; *format != '\0'; format++) {
        if (*format != '%' || *++format == '%')
            continue;
        if (expansion(*format) != NULL) {
            if (list_conversions(expansion(*format), listed, count, why) < 0)
                return -1;
            continue;
        }
        if (*format == '\0' || strchr("YymbBhdejaAHIMSfpzs", *format) == NULL) {
            buffer_printf(
                why, "%%%.1s cannot be read; use %%Y %%m %%d %%H %%M %%S or what the manual lists",
                format);
            return -1;
        }
        if (memchr(listed, part_letter(*format), *count) != NULL) {
            buffer_printf(why, "%%%c tells again what is told before it", *format);
            return -1;
        }
        listed[(*count)++] = part_letter(*format);
    }
    return 0;
}

int datetime_check_format(const char *format, struct buffer *why)
{
    char listed[16];
    size_t count = 0;
    bool epoch, day;

    if (list_conversions(format, listed, &count, why) < 0)
        return -1;
#define HAS(c) (memchr(listed, (c), count) != NULL)
    epoch = HAS('s');
    day = HAS('Y') && (HAS('j') || (HAS('m') && HAS('d')));
    if (epoch && count > 1u + HAS('f')) {
        buffer_string(why, "%s tells the whole time; nothing but %f can stand beside it");
        return -1;
    }
    if (!epoch && !day) {
        buffer_string(why, "year, month and day are needed: %Y, %m and %d");
        return -1;
    }
    if (HAS('p') != (strstr(format, "%I") != NULL)) {
        buffer_string(why, "%I and %p need each other");
        return -1;
    }
#undef HAS
    return 0;
}

void datetime_write(const struct datetime *datetime, bool day_only, struct buffer *out)
{
    int zone = datetime->zone < 0 ? -datetime->zone : datetime->zone;

    buffer_printf(out, "%04d-%02d-%02d", datetime->year, datetime->month, datetime->day);
    if (day_only)
        return;
    buffer_printf(out, "T%02d:%02d:%02d", datetime->hour, datetime->minute, datetime->second);
    if (datetime->fraction_len > 0) {
        buffer_byte(out, '.');
        buffer_append(out, datetime->fraction, datetime->fraction_len);
    }
    if (datetime->has_zone && zone == 0)
        buffer_byte(out, 'Z');
    else if (datetime->has_zone)
        buffer_printf(out, "%c%02d:%02d", datetime->zone < 0 ? '-' : '+', zone / 60, zone % 60);
}

void datetime_write_example(const char *format, struct buffer *out)
{
    struct tm tm = {.tm_year = 124,
                    .tm_mon = 11,
                    .tm_mday = 31,
                    .tm_hour = 23,
                    .tm_min = 59,
                    .tm_sec = 58,
                    .tm_wday = 2,
                    .tm_yday = 365};
    char text[64];
    char one[3] = "%";

    for (; *format != '\0'; format++) {
        if (*format != '%') {
            buffer_byte(out, *format);
        } else if (*++format == 'f') {
            buffer_string(out, "25");
        } else if (*format == 's') {
            buffer_string(out, "1735689598");
        } else {
            one[1] = *format;
            buffer_append(out, text, strftime(text, sizeof text, one, &tm));
        }
    }
}

int datetime_compare(const struct datetime *left, const struct datetime *right)
{
    int64_t a = datetime_seconds(left), b = datetime_seconds(right);
    size_t i,
        len = left->fraction_len > right->fraction_len ? left->fraction_len : right->fraction_len;
    char p, q;

    if (a != b)
        return a < b ? -1 : 1;
    for (i = 0; i < len; i++) {
        p = i < left->fraction_len ? left->fraction[i] : '0';
        q = i < right->fraction_len ? right->fraction[i] : '0';
        if (p != q)
            return p - q;
    }
    return 0;
}
