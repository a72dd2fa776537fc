#include "schema/field.h"

#include <stdint.h>
#include <stdlib.h>

#include "schema/regex.h"
#include "lib/unit.h"

static char *phases[] = {"cpu_bound", "io_bound", "idle"};
static char *nulls[] = {"NA", "null"};

#define NO_LIMIT .max_length = SIZE_MAX
static struct field number = {.type = FIELD_NUMBER, NO_LIMIT};
static struct field required = {.type = FIELD_NUMBER, .required = true, NO_LIMIT};
static struct field percent = {.type = FIELD_NUMBER, .minimum = "0", .maximum = "100", NO_LIMIT};
static struct field integer = {.type = FIELD_INTEGER, .minimum = "-5", NO_LIMIT};
static struct field boolean = {.type = FIELD_BOOLEAN, NO_LIMIT};
static struct field date = {
    .type = FIELD_DATE, .minimum = "2024-01-01", .maximum = "2024-12-31", NO_LIMIT};
static struct field datetime = {
    .type = FIELD_DATETIME, .maximum = "2024-12-31T23:59:59.5Z", NO_LIMIT};
static struct field german = {
    .type = FIELD_DATE, .format = "%d.%m.%Y", .minimum = "01.02.2024", NO_LIMIT};
static struct field phase = {.values = phases, .value_count = 3, NO_LIMIT};
static struct field length = {.min_length = 2, .max_length = 4};
static struct field id = {.description = "1 to 3 small letters", NO_LIMIT};
static struct field missing = {
    .type = FIELD_NUMBER, .required = true, .missing = nulls, .missing_count = 2, NO_LIMIT};
static struct field optional = {
    .type = FIELD_NUMBER, .missing = nulls, .missing_count = 2, NO_LIMIT};

#define LETTERS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 */

static const struct {
    const struct field *field;
    const char *text, *why; /* "": the value fits */
} cases[] = {
    {&number, "", ""},
    {&number, "-12.50e+3", ""},
    {&required, "", "a value is required"},
    {&missing, "NA", "'NA' stands for a missing value, and a value is required"},
    {&missing, "na",
     "'na' is not a number: a measured value is required; leave out rows without one"},
    {&optional, "null", ""},
    {&percent, "0", ""},
    {&percent, "-0.0", ""},
    {&percent, "0.5", ""},
    {&percent, "100", ""},
    {&percent, "100.000", ""},
    {&percent, "1e2", ""},
    {&percent, "105.2", "105.2 is above maximum 100"},
    {&percent, "100.00000000000000000001", "100.00000000000000000001 is above maximum 100"},
    {&percent, "-1e-999999999999", "-1e-999999999999 is below minimum 0"},
    {&percent, "0.0e-999999999", ""},
    {&percent, "1e999999999999", "1e999999999999 is above maximum 100"},
    {&percent, "99999999999999999999", "99999999999999999999 is above maximum 100"},
    {&integer, "-5", ""},
    {&integer, "-6", "-6 is below minimum -5"},
    {&integer, "3.0", "'3.0' is not an integer: an integer has no decimal point and no exponent"},
    {&integer, "1e3", "'1e3' is not an integer: an integer has no decimal point and no exponent"},
    {&number, "12,5", "'12,5' is not a number: a decimal comma? Write 12.5"},
    {&number, "-12,55", "'-12,55' is not a number: a decimal comma? Write -12.55"},
    {&number, "1,234",
     "'1,234' is not a number: a number has no comma; write 1234 if it separates thousands, 1.234 "
     "if "
     "it is a decimal comma"},
    {&number, "1,234,567.8",
     "'1,234,567.8' is not a number: a number has no comma; the decimal separator is a point"},
    {&number, "1.234,5",
     "'1.234,5' is not a number: a number has no comma; the decimal separator is a point"},
    {&number, "1 234", "'1 234' is not a number: write it without thousands separators"},
    {&number, "1'234", "'1'234' is not a number: write it without thousands separators"},
    {&number, "1_234", "'1_234' is not a number: write it without thousands separators"},
    {&number, " 5", "' 5' is not a number: it has a blank at its start; remove it"},
    {&number, "5\t", "'5\t' is not a number: it has a blank at its end; remove it"},
    {&number, " 5\r", "' 5\r' is not a number: it has a blank at its start and end; remove it"},
    {&number, "5\xC2\xA0", "'5\xC2\xA0' is not a number: it has a blank at its end; remove it"},
    {&number, "  ",
     "'  ' is not a number: a cell of nothing but blanks is not empty; remove the blanks"},
    {&number, "NaN", "'NaN' is not a number: leave the cell empty where there is no value"},
    {&required, "nan",
     "'nan' is not a number: a measured value is required; leave out rows without one"},
    {&number, "-inf", "'-inf' is not a number: leave the cell empty where there is no value"},
    {&number, "N/A", "'N/A' is not a number: leave the cell empty where there is no value"},
    {&number, "+5", "'+5' is not a number: leave out the leading '+'"},
    {&number,
     "\xE2\x88\x92"
     "5",
     "'\xE2\x88\x92"
     "5' is not a number: its minus sign is not the character '-'"},
    {&number, ".5", "'.5' is not a number: a digit must stand before the point, as in 0.5"},
    {&number, "-.5", "'-.5' is not a number: a digit must stand before the point, as in 0.5"},
    {&number, "5.", "'5.' is not a number: a digit must stand behind the point, as in 5.0"},
    {&number, "5.e3", "'5.e3' is not a number: a digit must stand behind the point, as in 5.0"},
    {&number, "5e", "'5e' is not a number: its exponent has no digits"},
    {&number, "5e+", "'5e+' is not a number: its exponent has no digits"},
    {&number, "0x1F",
     "'0x1F' is not a number: hexadecimal is not read; write it in decimal digits"},
    {&number, "85%", "'85%' is not a number: leave out the percent sign"},
    {&number, "5 MB",
     "'5 MB' is not a number: only the number belongs here, without unit or other text"},
    {&number, "5ms",
     "'5ms' is not a number: only the number belongs here, without unit or other text"},
    {&number, "\"5\"", "'\"5\"' is not a number: quotes belong to the value here; remove them"},
    {&number, "fast", "'fast' is not a number"},
    {&number, LETTERS "aa", "'" LETTERS "a...' is not a number"},
    {&number, LETTERS "\xC3\xA4", "'" LETTERS "...' is not a number"},
    {&boolean, "true", ""},
    {&boolean, "FALSE", ""},
    {&boolean, "1", ""},
    {&boolean, "yes", "'yes' is not a boolean: write true or false"},
    {&boolean, "tRUE", "'tRUE' is not a boolean: write true or false"},
    {&date, "2024-02-29", ""},
    {&date, "2023-12-31", "2023-12-31 is below minimum 2024-01-01"},
    {&date, "2025-01-01", "2025-01-01 is above maximum 2024-12-31"},
    {&date, "2023-02-29", "'2023-02-29' is not a date: the calendar has no such day"},
    {&date, "31.12.2024",
     "'31.12.2024' is not a date: write year, month, day with hyphens, as in 2024-01-31"},
    {&date, "20240131", "'20240131' is not a date: write it with hyphens, as in 2024-01-31"},
    {&date, "2024-1-5",
     "'2024-1-5' is not a date: month and day have two digits, as in 2024-01-05"},
    {&date, "2024-01-31T12:00:00",
     "'2024-01-31T12:00:00' is not a date: only the day belongs here, without the time"},
    {&date, "today", "'today' is not a date: write it as in 2024-01-31"},
    {&datetime, "2024-12-31T23:59:59.50", ""},
    {&datetime, "2024-12-31T23:59:59.5000001",
     "2024-12-31T23:59:59.5000001 is above maximum 2024-12-31T23:59:59.5Z"},
    {&datetime, "2025-01-01T00:59:59.5+01:00", ""},
    {&datetime, "2024-01-01 12:00:00",
     "'2024-01-01 12:00:00' is not a datetime: 'T' must stand between date and time, as in "
     "2024-01-31T12:00:00"},
    {&datetime, "2024-01-01",
     "'2024-01-01' is not a datetime: the time is missing, as in 2024-01-31T12:00:00"},
    {&datetime, "2024-01-01T12:00",
     "'2024-01-01T12:00' is not a datetime: the seconds are missing, as in 12:00:00"},
    {&datetime, "2024-01-01T24:00:00",
     "'2024-01-01T24:00:00' is not a datetime: the clock has no such time"},
    {&datetime, "2024-01-01T12:00:00 UTC",
     "'2024-01-01T12:00:00 UTC' is not a datetime: a zone is written Z or "
     "+01:00, right behind the time"},
    {&datetime, "2024-02-30T12:00:00",
     "'2024-02-30T12:00:00' is not a datetime: the calendar has no such day"},
    {&datetime, "1704110400",
     "'1704110400' is not a datetime: seconds since 1970? Write it as in 2024-01-31T12:00:00"},
    {&datetime, "noon", "'noon' is not a datetime: write it as in 2024-01-31T12:00:00"},
    {&german, "01.02.2024", ""},
    {&german, "31.01.2024", "31.01.2024 is below minimum 01.02.2024"},
    {&german, "2024-01-31", "'2024-01-31' is not a date written as %d.%m.%Y, as in 31.12.2024"},
    {&german, "31.12.2024 ",
     "'31.12.2024 ' is not a date written as %d.%m.%Y, as in 31.12.2024: it has a blank at its "
     "end; remove it"},
    {&phase, "idle", ""},
    {&phase, "CPU_BOUND",
     "'CPU_BOUND' is not one of cpu_bound, io_bound, idle: write cpu_bound, exactly so"},
    {&phase, "io-bound",
     "'io-bound' is not one of cpu_bound, io_bound, idle: write io_bound, exactly so"},
    {&phase, " idle",
     "' idle' is not one of cpu_bound, io_bound, idle: write idle, without blanks around it"},
    {&phase, "idl", "'idl' is not one of cpu_bound, io_bound, idle"},
    {&length, "ab", ""},
    {&length, "\xC3\xA4\xC3\xB6\xC3\xBC\xE2\x82\xAC", ""},
    {&length, "\xC3\xA4", "'\xC3\xA4' has 1 character, below minLength 2"},
    {&length, "abcd ",
     "'abcd ' has 5 characters, above maxLength 4: it has a blank at its end; remove it"},
    {&id, "abc", ""},
    {&id, "abcd", "'abcd' does not match the pattern [a-z]{1,3} (1 to 3 small letters)"},
    {&id, "ab ",
     "'ab ' does not match the pattern [a-z]{1,3} (1 to 3 small letters): it has a blank at its "
     "end; "
     "remove it"},
    {&id, "ab\n",
     "'ab\n' does not match the pattern [a-z]{1,3} (1 to 3 small letters): it has a blank at its "
     "end; "
     "remove it"},
};

static enum field_fault expected(const char *why)
{
    if (*why == '\0')
        return FIELD_FITS;
    return strstr(why, "' is not a") != NULL ? FIELD_TYPE_ERROR : FIELD_CONSTRAINT_ERROR;
}

static void test_cases(void)
{
    struct buffer why = {0};
    enum field_fault fault;
    char *text;
    size_t i, len;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* Copy the value to memory of its size: a sanitizer sees any access beyond. */
        len = strlen(cases[i].text);
        text = malloc(len + 1);
        if (text == NULL)
            return;
        memcpy(text, cases[i].text, len);
        text = realloc(text, len > 0 ? len : 1);
        buffer_clear(&why);
        fault = field_check(cases[i].field, text, len, &why);
        check_text(buffer_text(&why), cases[i].why, field_type_name(cases[i].field->type));
        check(fault == expected(cases[i].why) &&
                  fault == field_check(cases[i].field, text, len, NULL),
              "and the same without a message");
        free(text);
    }
    buffer_free(&why);
}

/* Compare prepared and unprepared fields on all short values: the shortcut changes no result. */
static void test_shortcut(void)
{
    static char *const bounds[][2] = {{NULL, NULL},     {"0", "100"},
                                      {"0.5", "1.5"},   {"-3", "-1"},
                                      {"1e1", "2e1"},   {NULL, "10.999"},
                                      {"7", "7"},       {"0", "1e400"},
                                      {"1e-400", NULL}, {"999999999999999999", "1e18"}};
    static const char letters[] = "019.-e";
    struct field plain, prepared;
    char text[32];
    long wrong = 0, count = 0, n;
    size_t i, len;
    int type;

    for (type = FIELD_NUMBER; type <= FIELD_INTEGER; type++) {
        for (i = 0; i < sizeof bounds / sizeof *bounds; i++) {
            plain = (struct field){.type = (enum field_type)type,
                                   .minimum = bounds[i][0],
                                   .maximum = bounds[i][1],
                                   NO_LIMIT};
            prepared = plain;
            field_prepare(&prepared);
            for (n = 1; n < 6 * 6 * 6 * 6 * 6; n++, count++) {
                long rest = n;

                for (len = 0; rest > 0; rest /= 6)
                    text[len++] = letters[rest % 6];
                wrong +=
                    field_check(&plain, text, len, NULL) != field_check(&prepared, text, len, NULL);
            }
            for (n = 0; n < 3; n++, count++) {
                len = (size_t)snprintf(text, sizeof text, "%lld", 999999999999999998LL + n);
                wrong +=
                    field_check(&plain, text, len, NULL) != field_check(&prepared, text, len, NULL);
            }
        }
    }
    check(wrong == 0, "%ld values with and without the shortcut, %ld differ", count, wrong);
    field_prepare(&percent);
    check(percent.quick_start == 0 && percent.quick_end == 100, "0 to 100 has a shortcut");
    field_prepare(&missing);
    check(missing.quick_end == 0, "a field with words for missing values has none");
}

static void test_names(void)
{
    enum field_type type, read;

    for (type = FIELD_STRING; type <= FIELD_DATETIME; type++)
        check(field_type_from_name(field_type_name(type), &read) == 0 && read == type, "%s",
              field_type_name(type));
    check(field_type_from_name("float", &read) < 0, "float is no type");
    check(field_compare(&percent, "10", "9") > 0, "10 is above 9");
    check(field_compare(&german, "01.02.2024", "02.01.2024") > 0, "February is behind January");
}

/* A value longer than a pattern is tried on. */
static void test_too_long(void)
{
    char text[REGEX_LONGEST + 1];
    struct buffer why = {0};

    memset(text, 'a', sizeof text);
    check(field_check(&id, text, sizeof text, &why) == FIELD_CONSTRAINT_ERROR &&
              strstr(buffer_text(&why),
                     "has 4097 bytes, and a value with a pattern may have 4096") != NULL,
          "too long for a pattern");
    buffer_free(&why);
}

int main(void)
{
    char why[REGEX_WHY_SIZE];

    id.pattern = regex_compile("[a-z]{1,3}", why);
    test_cases();
    test_shortcut();
    test_names();
    test_too_long();
    regex_free(id.pattern);
    return unit_done();
}
