#include "schema/regex.h"

#include <pthread.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The time of matching after which an expression is recompiled: new states take most of it. */
#define MATCH_BUDGET (CLOCK_SECOND / 50)

struct regex {
    char *text;  /* owned; the expression of the schema */
    char *whole; /* owned; ^(text)$ */
    regex_t compiled;
    int64_t spent; /* nanoseconds of matching since it was compiled */
    pthread_mutex_t lock;
};

/* Return the last byte of a bracket expression, or the end of the text; p is after the '['. There
 * are no escapes in brackets. */
static const char *skip_bracket(const char *p)
{
    p += *p == '^';
    p += *p == ']';
    for (; *p != '\0' && *p != ']'; p++) {
        char kind = p[1];

        if (*p != '[' || kind == '\0' || strchr(":.=", kind) == NULL)
            continue;
        for (p += 2; *p != '\0' && (*p != kind || p[1] != ']');)
            p++;
        if (*p == '\0')
            break;
        p++;
    }
    return p;
}

/* Return why the pattern would not mean the same within ^( and )$, or NULL. */
static const char *find_misfit(const char *pattern)
{
    const char *p;
    size_t open = 0;

    if (*pattern == '\0')
        return "it is empty";
    for (p = pattern; *p != '\0'; p++) {
        if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
            return "it has a back-reference";
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '[')
            p = skip_bracket(p + 1);
        else if (*p == '(')
            open++;
        else if (*p == ')' && open-- == 0)
            return "a ')' has no '(' before it";
        if (*p == '\0')
            break;
    }
    return NULL;
}

struct regex *regex_compile(const char *text, char ret_why[REGEX_WHY_SIZE])
{
    struct regex *regex = calloc(1, sizeof *regex);
    const char *why;
    regex_t alone;
    int status;

    ret_why[0] = '\0';
    if (regex == NULL)
        return NULL;
    regex->text = strdup(text);
    if (asprintf(&regex->whole, "^(%s)$", text) < 0)
        regex->whole = NULL;
    if (regex->text == NULL || regex->whole == NULL)
        goto fail;
    /* Compile the text alone first: `a)(b` is wrong, but ^(a)(b)$ is not. */
    status = regcomp(&alone, text, REG_EXTENDED | REG_NOSUB);
    if (status == 0)
        regfree(&alone);
    why = status == 0 ? find_misfit(text) : NULL;
    if (status == 0 && why == NULL)
        status = regcomp(&regex->compiled, regex->whole, REG_EXTENDED | REG_NOSUB);
    if (status == 0 && why == NULL) {
        pthread_mutex_init(&regex->lock, NULL);
        return regex;
    }
    if (why != NULL)
        snprintf(ret_why, REGEX_WHY_SIZE, "%s", why);
    else if (status != REG_ESPACE)
        regerror(status, NULL, ret_why, REGEX_WHY_SIZE);
fail:
    free(regex->text);
    free(regex->whole);
    free(regex);
    return NULL;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pthread_mutex_destroy(&regex->lock);
    regfree(&regex->compiled);
    free(regex->text);
    free(regex->whole);
    free(regex);
}

const char *regex_text(const struct regex *regex)
{
    return regex->text;
}

/* Recompile to drop glibc's cached states. Without memory for that keep the old one. */
static void drop_states(struct regex *regex)
{
    regex_t fresh;

    if (regcomp(&fresh, regex->whole, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    regfree(&regex->compiled);
    regex->compiled = fresh;
    regex->spent = 0;
}

enum regex_match regex_match(struct regex *regex, const char *text, size_t len)
{
    int64_t start;
    regoff_t at;

    if (len > REGEX_LONGEST)
        return REGEX_TOO_LONG;
    pthread_mutex_lock(&regex->lock);
    if (regex->spent > MATCH_BUDGET)
        drop_states(regex);
    start = clock_monotonic();
    /* regexec reports "no match" when memory runs out; re_search tells the difference. */
    at = re_search(&regex->compiled, text, (regoff_t)len, 0, 0, NULL);
    regex->spent += clock_monotonic() - start;
    pthread_mutex_unlock(&regex->lock);
    return at >= 0 ? REGEX_MATCHES : at == -1 ? REGEX_DIFFERS : REGEX_NO_MEMORY;
}
