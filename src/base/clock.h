/*
 * clock: the two clocks of the program, and how a point in time is written.
 *
 * All times are nanoseconds in an int64_t. Delays and deadlines are measured with clock_monotonic,
 * which cannot be set; clock_real is for what is written to files and compared with their times.
 */
#ifndef PHASESENTINEL_CLOCK_H
#define PHASESENTINEL_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND INT64_C(1000000000)
#define CLOCK_NEVER  INT64_MAX /* a deadline that never comes */

/* Return the time since the machine was booted, suspended time included. */
int64_t clock_monotonic(void);

/* Return the time since 1970-01-01 UTC. */
int64_t clock_real(void);

static inline int64_t clock_seconds(unsigned count)
{
    return (int64_t)count * CLOCK_SECOND;
}

#define CLOCK_TEXT_LEN  24 /* "2024-01-01T12:00:00.000Z" */
#define CLOCK_TEXT_SIZE (CLOCK_TEXT_LEN + 1)

/* Write a real time in UTC as ISO 8601 with milliseconds, rounded down. Return `out`. */
const char *clock_print(char out[CLOCK_TEXT_SIZE], int64_t time);

/* Read what clock_print writes, from 1970 on. Return false for anything else. */
bool clock_parse(const char *text, size_t len, int64_t *ret_time);

#endif
