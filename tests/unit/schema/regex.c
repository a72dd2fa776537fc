#include "schema/regex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/unit.h"

static enum regex_match match(struct regex *regex, const char *text)
{
    return regex_match(regex, text, strlen(text));
}

static void test_whole_values(void)
{
    char why[REGEX_WHY_SIZE];
    struct regex *regex = regex_compile("ab|c+", why);

    check(regex != NULL && why[0] == '\0', "a pattern");
    check_text(regex_text(regex), "ab|c+", "as it was written");
    check(match(regex, "ab") == REGEX_MATCHES && match(regex, "ccc") == REGEX_MATCHES,
          "each branch matches");
    check(match(regex, "abc") == REGEX_DIFFERS && match(regex, "xab") == REGEX_DIFFERS &&
              match(regex, "") == REGEX_DIFFERS && match(regex, "ab\n") == REGEX_DIFFERS,
          "the whole value only");
    regex_free(regex);
    regex_free(NULL);
}

static void test_refused(void)
{
    static const char *const bad[][2] = {
        {"", "it is empty"},
        {"a(b", "Unmatched ( or \\("},
        {"a)|b", "a ')' has no '(' before it"},
        {"(a)\\1", "it has a back-reference"},
        {"[a-", "Unmatched [, [^, [:, [., or [="},
    };
    char why[REGEX_WHY_SIZE];
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        check(regex_compile(bad[i][0], why) == NULL, "'%s' is refused", bad[i][0]);
        check_text(why, bad[i][1], "the reason");
    }
}

/* Match noise: with this expression its bytes may each add kilobytes to glibc's cache. */
static void test_bounded(void)
{
    char why[REGEX_WHY_SIZE], *noise = malloc(REGEX_LONGEST + 1);
    struct regex *regex = regex_compile("(a|b)*a(a|b){60}c", why);
    const int values = getenv("UNIT_SHORT") != NULL ? 2 : 20;
    struct rusage before, after;
    bool right = noise != NULL && regex != NULL;
    int i, j;

    srandom(1);
    getrusage(RUSAGE_SELF, &before);
    for (i = 0; right && i < values; i++) {
        for (j = 0; j < REGEX_LONGEST; j++)
            noise[j] = random() & 1 ? 'a' : 'b';
        noise[REGEX_LONGEST - 62] = 'a';
        noise[REGEX_LONGEST - 1] = i % 2 == 0 ? 'c' : 'b';
        right = regex_match(regex, noise, REGEX_LONGEST) ==
                (i % 2 == 0 ? REGEX_MATCHES : REGEX_DIFFERS);
    }
    getrusage(RUSAGE_SELF, &after);
    check(right, "values of the greatest length match or differ");
#ifdef __SANITIZE_ADDRESS__
    before.ru_maxrss = after.ru_maxrss; /* the sanitizer keeps freed memory for a while */
#endif
    check(after.ru_maxrss - before.ru_maxrss < 200 * 1024,
          "the cache stays small: %ld KiB for %d values", after.ru_maxrss - before.ru_maxrss,
          values);
    check(regex_match(regex, noise, REGEX_LONGEST + 1) == REGEX_TOO_LONG,
          "a longer value is not matched");
    regex_free(regex);
    free(noise);
}

int main(void)
{
    test_whole_values();
    test_refused();
    test_bounded();
    return unit_done();
}
