/*
 * decimal: decimal numbers as they are written, compared exactly.
 *
 * The grammar is -?digits[.digits][(e|E)[+|-]digits], in ASCII, without blanks. A parsed number
 * points into its text: nothing is rounded or allocated, a million digits or an exponent of any
 * size take one pass, and a short number takes nanoseconds.
 */
#ifndef PHASESENTINEL_DECIMAL_H
#define PHASESENTINEL_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

struct decimal {
    const char *first;    /* the first digit that is not 0; == last for zero */
    const char *last;     /* the end of the digits before the exponent; may have a '.' between */
    ptrdiff_t point;      /* the value is 0.FIRST... * 10^point, before the exponent */
    const char *exponent; /* the digits of the exponent, without leading zeros */
    size_t exponent_len;
    bool exponent_negative;
    bool negative;
    bool whole; /* written without point and exponent: an integer */
};

static inline bool decimal_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Read the whole text as a number. Return false if it is none. The result borrows the text. */
bool decimal_parse(const char *text, size_t len, struct decimal *ret_number);

/* Return <0, 0 or >0, as strcmp does. -0 equals 0. */
int decimal_compare(const struct decimal *left, const struct decimal *right);

#endif
