#include "schema/ini_problems.h"
#include "schema/suggestion.h"

#include <stdlib.h>

#include "lib/unit.h"

static void test_report(void)
{
    struct ini_problems list = {.path = "etc/x.ini"};
    struct cause cause = {.text = "untouched"};
    int i;

    check(ini_problems_report(&list, &cause) == 0, "no problem");
    check_text(cause.text, "untouched", "and the cause is left alone");
    ini_problems_add(&list, 7, "seven");
    ini_problems_add(&list, 0, "all of it is %s", "odd");
    ini_problems_add(&list, 3, "three");
    ini_problems_add(&list, 7, "seven again");
    check(ini_problems_report(&list, &cause) < 0 && cause.kind == CAUSE_CONFIG,
          "problems are a fault of the configuration");
    check_text(cause.text,
               "etc/x.ini: all of it is odd\netc/x.ini:3: three\netc/x.ini:7: seven\netc/x.ini:7: "
               "seven again",
               "sorted by line, else in the order of their finding");
    for (i = 0; i < 200; i++)
        ini_problems_add(&list, 10, "one more of many");
    ini_problems_report(&list, &cause);
    check(strstr(cause.text, "\nand 17") != NULL && strlen(cause.text) < sizeof cause.text,
          "what does not fit is counted: %s", strrchr(cause.text, '\n') + 1);
    ini_problems_free(&list);
    check(ini_problems_report(&list, &cause) == 0, "freed, it is empty");
}

static void test_nearest(void)
{
    static const char *const words[] = {"settle", "stale", "interval", "merge", "no", NULL};
    static const char *const cases[][2] = {
        {"setle", "settle"},  {"SETTLE", "settle"},
        {"settel", "settle"}, {"intervall", "interval"},
        {"mrege", "merge"},   {"stall", "stale"},
        {"recursive", ""},    {"x", ""},
        {"on", ""},           {"", ""},
    };
    const char *nearest;
    char longer[200];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        nearest = suggestion_nearest(cases[i][0], words);
        check_text(nearest == NULL ? "" : nearest, cases[i][1], cases[i][0]);
    }
    memset(longer, 's', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    check(suggestion_nearest(longer, words) == NULL, "a long word is near to none");
}

int main(void)
{
    if (freopen("/dev/null", "w", stderr) == NULL)
        return 1;
    test_report();
    test_nearest();
    return unit_done();
}
