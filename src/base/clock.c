#include "base/clock.h"

#include <time.h>

#include "base/datetime.h"

#define MILLISECOND (CLOCK_SECOND / 1000)

static int64_t read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec;
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_real(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Write `count` digits and the character that follows them. Return the end. */
static char *put_digits(char *to, int number, size_t count, char separator)
{
    size_t i;

    for (i = count; i > 0; i--, number /= 10)
        to[i - 1] = (char)('0' + number % 10);
    to[count] = separator;
    return to + count + 1;
}

const char *clock_print(char out[CLOCK_TEXT_SIZE], int64_t time)
{
    int64_t seconds = time / CLOCK_SECOND - (time % CLOCK_SECOND < 0);
    struct datetime utc = datetime_from_seconds(seconds);
    char *to = out;

    to = put_digits(to, utc.year, 4, '-');
    to = put_digits(to, utc.month, 2, '-');
    to = put_digits(to, utc.day, 2, 'T');
    to = put_digits(to, utc.hour, 2, ':');
    to = put_digits(to, utc.minute, 2, ':');
    to = put_digits(to, utc.second, 2, '.');
    to = put_digits(to, (int)((time - seconds * CLOCK_SECOND) / MILLISECOND), 3, 'Z');
    *to = '\0';
    return out;
}

bool clock_parse(const char *text, size_t len, int64_t *ret_time)
{
    struct datetime utc;
    int64_t seconds;
    int milli;

    /* datetime takes more forms: other separators before the fraction, other zones, a leap second.
     */
    if (len != CLOCK_TEXT_LEN || text[19] != '.' || text[23] != 'Z' ||
        !datetime_parse_datetime(text, len, &utc) || utc.second > 59)
        return false;
    /* INT64_MAX nanoseconds end in 2262. */
    seconds = datetime_seconds(&utc);
    if (seconds < 0 || seconds >= INT64_MAX / CLOCK_SECOND)
        return false;
    milli = (text[20] - '0') * 100 + (text[21] - '0') * 10 + (text[22] - '0');
    *ret_time = seconds * CLOCK_SECOND + milli * MILLISECOND;
    return true;
}
