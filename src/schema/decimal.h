/*
 * number: decimal numbers as they are written, compared exactly.
 *
 * The grammar is -?digits[.digits][(e|E)[+|-]digits], in ASCII, without blanks. A parsed number
 * only points into its text, so nothing is rounded and nothing allocated: a million digits or an
 * exponent of any size cost one pass, and a short number costs nanoseconds.
 */
#ifndef PHASESENTINEL_DECIMAL_H
#define PHASESENTINEL_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

struct decimal {
    const char *first;    /* the first digit that is not 0; == last for zero */
    const char *last;     /* behind the last digit before the exponent; a '.' may stand between */
    ptrdiff_t point;      /* 0.FIRST… * 10^point, before the exponent is applied */
    const char *exponent; /* its digits, without leading zeros */
    size_t exponent_len;
    bool exponent_negative;
    bool negative;
    bool whole; /* written without point and exponent: an integer */
};

/* Is all of text a number? The result borrows the text. */
bool decimal_parse(const char *text, size_t len, struct decimal *ret_number);

/* <0, 0, >0; -0 equals 0. */
int decimal_compare(const struct decimal *left, const struct decimal *right);

#endif
