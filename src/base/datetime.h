/*
 * datetime: dates and times, from ISO 8601 or from a format, compared as instants.
 *
 * Only days that exist are accepted; second 60 is. Fractions of a second are kept as written and
 * compared exactly. A time without zone counts as UTC. Formats are those of strptime(3), read
 * strictly: all text must match, blanks are accepted only where the format has them, a year has
 * four digits, and any other number has its full width unless no digit precedes it. Neither the
 * locale nor TZ is used.
 */
#ifndef PHASESENTINEL_DATETIME_H
#define PHASESENTINEL_DATETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct datetime {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
    const char *fraction; /* digits after the second; borrowed from the text */
    size_t fraction_len;
    bool has_zone;
    int zone; /* minutes east of UTC */
};

/* Read YYYY-MM-DD. Return false for anything else. */
bool datetime_parse_date(const char *text, size_t len, struct datetime *ret_datetime);

/* Read YYYY-MM-DDThh:mm:ss[.fraction][Z|+hh:mm|+hhmm|+hh], with ',' or '.' before the fraction.
 * Return false for anything else. */
bool datetime_parse_datetime(const char *text, size_t len, struct datetime *ret_datetime);

/* Read the start of the text by a format that datetime_check_format accepts. Return the number of
 * bytes read, or 0. */
size_t datetime_parse_format(const char *format, const char *text, size_t len,
                             struct datetime *ret_datetime);

/* Return 0 if the format can be read and determines a day; else -1 with a sentence in `why`. */
int datetime_check_format(const char *format, struct buffer *why);

/* Append the time as ISO 8601: 2024-01-01T12:00:00 with fraction and zone if it has them, or the
 * day alone. */
void datetime_write(const struct datetime *datetime, bool day_only, struct buffer *out);

/* Append an example of a time in this format. */
void datetime_write_example(const char *format, struct buffer *out);

/* Return the seconds since 1970-01-01 UTC, without the fraction. */
int64_t datetime_seconds(const struct datetime *datetime);

/* Return the time in UTC of seconds since 1970-01-01, from year 0 on. */
struct datetime datetime_from_seconds(int64_t seconds);

/* Return <0, 0 or >0, as strcmp does. */
int datetime_compare(const struct datetime *left, const struct datetime *right);

#endif
