/*
 * unit: the checks of a unit test program.
 *
 * Each check prints a line of TAP. unit_done prints the plan and returns the exit code.
 */
#ifndef PHASESENTINEL_UNIT_H
#define PHASESENTINEL_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int unit_count, unit_failures;

__attribute__((format(printf, 4, 5), unused)) static bool
unit_report(bool passed, const char *file, int line, const char *format, ...)
{
    va_list args;

    unit_count++;
    unit_failures += !passed;
    printf("%s %d - ", passed ? "ok" : "not ok", unit_count);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (!passed)
        printf("# %s:%d\n", file, line);
    return passed;
}

/* check(condition, "what should hold for %s", name) */
#define check(condition, ...) unit_report((condition), __FILE__, __LINE__, __VA_ARGS__)

#define check_text(got, want, what)                                                                \
    unit_report(strcmp((got), (want)) == 0, __FILE__, __LINE__, "%s: got '%s', want '%s'", (what), \
                (got), (want))

__attribute__((unused)) static int unit_done(void)
{
    printf("1..%d\n", unit_count);
    return unit_failures != 0;
}

#endif
