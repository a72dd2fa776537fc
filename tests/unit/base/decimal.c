#include "base/decimal.h"

#include <stdlib.h>

#include "lib/unit.h"

static void test_grammar(void)
{
    static const char *const good[] = {"0",    "-0",   "007",  "12.5",  "-3.25",  "1e5",
                                       "1E+5", "1e-5", "0.00", "1.5e0", "1e00009"};
    static const char *const bad[] = {
        "",    "-",   "+1",   ".5",  "5.",  "1,5", " 1",    "1 ",    "1e", "1e+", "1e1.",    "1.e5",
        "NaN", "inf", "0x1F", "1_0", "--1", "1-",  "1e--1", "1.2.3", "e5", "-.5", "\xD9\xA1"};
    struct decimal number;
    size_t i;

    for (i = 0; i < sizeof good / sizeof *good; i++)
        check(decimal_parse(good[i], strlen(good[i]), &number), "'%s' is a number", good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!decimal_parse(bad[i], strlen(bad[i]), &number), "'%s' is no number", bad[i]);
    check(decimal_parse("-12", 3, &number) && number.whole, "-12 is whole");
    check(decimal_parse("12.0", 4, &number) && !number.whole, "12.0 is not written as an integer");
    check(decimal_parse("1e3", 3, &number) && !number.whole, "1e3 is not written as an integer");
    check(decimal_parse("12345", 2, &number), "only len bytes are read");
}

static int compare(const char *left, const char *right)
{
    struct decimal a, b;

    if (!decimal_parse(left, strlen(left), &a) || !decimal_parse(right, strlen(right), &b))
        return 99;
    return decimal_compare(&a, &b);
}

static int sign(int order)
{
    return order < 0 ? -1 : order > 0;
}

static void test_compare(void)
{
    static const struct {
        const char *left, *right;
        int order;
    } cases[] = {
        {"100.00000000000000000001", "100", 1},
        {"99.99999999999999999999", "100", -1},
        {"100", "100.000", 0},
        {"1e2", "100", 0},
        {"1E+2", "1e0002", 0},
        {"10e1", "1000e-1", 0},
        {"0.01", "1e-2", 0},
        {"-0", "0", 0},
        {"-0.0e5", "0", 0},
        {"0.0e-999999999", "0", 0},
        {"0e99999999999999999999", "0", 0},
        {"1e999999999999", "1e999999999998", 1},
        {"1e-999999999999", "0", 1},
        {"-1e-999999999999", "0", -1},
        {"-1e999999999999", "-5", -1},
        {"1e99999999999999999999999999", "10e99999999999999999999999998", 0},
        {"1e99999999999999999999999999", "11e99999999999999999999999998", -1},
        {"1e-99999999999999999999999999", "10e-99999999999999999999999999", -1},
        {"1e-10000000000000000000000000", "1e10000000000000000000000000", -1},
        {"1e100000000000000000000", "1e99999999999999999999", 1},
        {"-2", "-1", -1},
        {"-2", "1", -1},
        {"007", "7", 0},
        {"0.1", "0.09", 1},
        {"9007199254740993", "9007199254740992", 1},
        {"0.30000000000000004", "0.3", 1},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(sign(compare(cases[i].left, cases[i].right)) == cases[i].order, "%s against %s",
              cases[i].left, cases[i].right);
        check(sign(compare(cases[i].right, cases[i].left)) == -cases[i].order, "%s against %s",
              cases[i].right, cases[i].left);
    }
}

/* Write m * 10^e as text in one of three ways, and return it as a multiple of 0.0001. */
static long write_number(char *text, size_t size, int m, int e, int way)
{
    long value = labs(m);
    int i;

    for (i = -4; i < e; i++)
        value *= 10;
    if (way == 0)
        snprintf(text, size, "%de%d", m, e);
    else if (way == 1)
        snprintf(text, size, "%s%ld.%04ld", m < 0 ? "-" : "", value / 10000, value % 10000);
    else
        snprintf(text, size, "%s0.000%de%d", m < 0 ? "-" : "", abs(m),
                 e + 3 + (abs(m) > 9 ? 2 : 1));
    return m < 0 ? -value : value;
}

/* Compare each pair of a grid, written in all ways, as its integers compare. */
static void test_grid(void)
{
    char left[64], right[64];
    long a, b, wrong = 0, pairs = 0;
    int i, j;

    for (i = 0; i < 41 * 15; i++) {
        for (j = 0; j < 41 * 15; j++) {
            a = write_number(left, sizeof left, i % 41 - 20, i / 41 % 5 - 2, i / 41 / 5);
            b = write_number(right, sizeof right, j % 41 - 20, j / 41 % 5 - 2, j / 41 / 5);
            pairs++;
            if (sign(compare(left, right)) != (a < b ? -1 : a > b))
                wrong++;
        }
    }
    check(wrong == 0, "%ld pairs of a grid, %ld wrong", pairs, wrong);
}

/* Compare numbers so long that more than one pass over each would take hours. */
static void test_huge(void)
{
    const size_t size = 1000000;
    char *text = malloc(size + 4), *other = malloc(size + 4);
    struct decimal a, b;
    int i;

    if (text == NULL || other == NULL)
        return;
    memset(text, '9', size);
    memset(other, '9', size);
    other[size - 1] = '8';
    for (i = 0; i < 10; i++) {
        if (!decimal_parse(text, size, &a) || !decimal_parse(other, size, &b) ||
            decimal_compare(&a, &b) <= 0)
            break;
    }
    check(i == 10, "a million digits differ in the last one");
    memcpy(text, "1e", 2);
    memcpy(other, "1e", 2);
    for (i = 0; i < 10; i++) {
        if (!decimal_parse(text, size, &a) || !decimal_parse(other, size, &b) ||
            decimal_compare(&a, &b) <= 0)
            break;
    }
    check(i == 10, "exponents of a million digits differ in the last one");
    free(text);
    free(other);
}

int main(void)
{
    test_grammar();
    test_compare();
    test_grid();
    test_huge();
    return unit_done();
}
