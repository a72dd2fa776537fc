#include "base/decimal.h"

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && decimal_is_digit(*p))
        p++;
    return p;
}

/* Read the exponent that follows an 'e'. Return its end, or NULL. */
static const char *parse_exponent(struct decimal *number, const char *p, const char *end)
{
    const char *digits;

    number->exponent_negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    digits = p;
    p = skip_digits(p, end);
    if (p == digits)
        return NULL;
    while (digits < p && *digits == '0')
        digits++;
    number->exponent = digits;
    number->exponent_len = (size_t)(p - digits);
    return p;
}

bool decimal_parse(const char *text, size_t len, struct decimal *ret_number)
{
    const char *end = text + len, *p = text, *digits, *point, *first;
    struct decimal number = {.negative = len > 0 && *text == '-'};

    p += number.negative;
    digits = p;
    point = p = skip_digits(p, end);
    if (p == digits)
        return false;
    if (p < end && *p == '.') {
        p = skip_digits(p + 1, end);
        if (p == point + 1)
            return false;
    }
    number.last = p;
    number.whole = p == point && p == end;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = parse_exponent(&number, p + 1, end);
        if (p == NULL)
            return false;
    }
    if (p != end)
        return false;

    for (first = digits; first < number.last && (*first == '0' || *first == '.');)
        first++;
    number.first = first;
    number.point = first < point ? point - first : point + 1 - first;
    *ret_number = number;
    return true;
}

/* Return digit i from the left, with the exponent's sign, of an exponent that is padded with zeros
 * to `len` digits. */
static int exponent_digit(const struct decimal *number, size_t len, size_t i)
{
    size_t padding = len - number->exponent_len;
    int digit = i < padding ? 0 : number->exponent[i - padding] - '0';

    return number->exponent_negative ? -digit : digit;
}

/*
 * Return the difference of the exponents. Stop beyond 10^17: no text in memory has enough digits to
 * make up for that, and the remaining digits cannot reverse it.
 */
static long long exponent_difference(const struct decimal *left, const struct decimal *right)
{
    const long long enough = 100000000000000000;
    size_t len =
        left->exponent_len > right->exponent_len ? left->exponent_len : right->exponent_len;
    long long difference = 0;
    size_t i;

    for (i = 0; i < len && difference < enough && difference > -enough; i++)
        difference = difference * 10 + exponent_digit(left, len, i) - exponent_digit(right, len, i);
    return difference;
}

static int compare_digits(const struct decimal *left, const struct decimal *right)
{
    const char *p = left->first, *q = right->first;
    char a, b;

    for (;;) {
        p += p < left->last && *p == '.';
        q += q < right->last && *q == '.';
        if (p == left->last && q == right->last)
            return 0;
        a = p < left->last ? *p++ : '0';
        b = q < right->last ? *q++ : '0';
        if (a != b)
            return a - b;
    }
}

static int sign(const struct decimal *number)
{
    if (number->first == number->last)
        return 0;
    return number->negative ? -1 : 1;
}

int decimal_compare(const struct decimal *left, const struct decimal *right)
{
    int left_sign = sign(left), right_sign = sign(right), order;
    long long magnitude;

    if (left_sign != right_sign || left_sign == 0)
        return left_sign - right_sign;
    magnitude = exponent_difference(left, right) + left->point - right->point;
    if (magnitude != 0)
        order = magnitude < 0 ? -1 : 1;
    else
        order = compare_digits(left, right);
    return left_sign < 0 ? -order : order;
}
