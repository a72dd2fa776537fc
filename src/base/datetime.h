/*
 * moment: dates and times, from ISO 8601 or from a format, compared as instants.
 *
 * Only real calendar days are taken; second 60 is. Fractions of a second stay as written and are
 * compared exactly; a time without zone counts as UTC. Formats are written as for strptime(3) and
 * read strictly: all text must match, blanks only where the format has them, a year has four
 * digits, and another number has its full width unless no digit stands before it. No locale and no
 * TZ plays a part.
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
    const char *fraction; /* digits behind the second; borrowed from the text */
    size_t fraction_len;
    bool has_zone;
    int zone; /* minutes east of UTC */
};

/* YYYY-MM-DD, and YYYY-MM-DDThh:mm:ss[.fraction][Z|+hh:mm|+hhmm|+hh], ',' or '.' before the
 * fraction. */
bool datetime_parse_date(const char *text, size_t len, struct datetime *ret_moment);
bool datetime_parse_datetime(const char *text, size_t len, struct datetime *ret_moment);

/* Matches the format at the start of text: the bytes it took, or 0. The format has passed
 * datetime_check_format. */
size_t datetime_parse_format(const char *format, const char *text, size_t len,
                             struct datetime *ret_moment);

/* Can this format be read, and does it tell a day? Else -1 and a sentence in `why`. */
int datetime_check_format(const char *format, struct buffer *why);

/* Appends it in ISO 8601: 2024-01-01T12:00:00, with fraction and zone where it has them, or the day
 * alone. */
void datetime_write(const struct datetime *datetime, bool day_only, struct buffer *out);

/* Appends what a time looks like in this format. */
void datetime_write_example(const char *format, struct buffer *out);

/* Return the seconds since 1970-01-01 UTC, without the fraction. */
int64_t datetime_seconds(const struct datetime *datetime);

/* Return the time in UTC of seconds since 1970-01-01, from year 0 on. */
struct datetime datetime_from_seconds(int64_t seconds);

/* <0, 0, >0 */
int datetime_compare(const struct datetime *left, const struct datetime *right);

#endif
