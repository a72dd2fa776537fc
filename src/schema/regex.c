#include "schema/regex.h"

#include <pthread.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FORGET_AFTER 20000000 /* nanoseconds of matching; building states takes most of them */

struct pattern {
    char *text;  /* as in the schema; owned */
    char *whole; /* ^(text)$; owned */
    regex_t regex;
    int64_t spent; /* nanoseconds since it was compiled */
    pthread_mutex_t lock;
};

/* Behind a '[' of a pattern: its last byte, or the end of the text. Nothing is escaped in there. */
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

/* What makes a pattern mean something else between our parentheses: NULL, or what to say. */
static const char *misfit(const char *pattern)
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

struct pattern *regex_compile(const char *text, char ret_why[REGEX_WHY_SIZE])
{
    struct pattern *pattern = calloc(1, sizeof *pattern);
    const char *why;
    regex_t alone;
    int status;

    ret_why[0] = '\0';
    if (pattern == NULL)
        return NULL;
    pattern->text = strdup(text);
    if (asprintf(&pattern->whole, "^(%s)$", text) < 0)
        pattern->whole = NULL;
    if (pattern->text == NULL || pattern->whole == NULL)
        goto fail;
    /* On its own first: `a)(b` is none, whatever we put around it. */
    status = regcomp(&alone, text, REG_EXTENDED | REG_NOSUB);
    if (status == 0)
        regfree(&alone);
    why = status == 0 ? misfit(text) : NULL;
    if (status == 0 && why == NULL)
        status = regcomp(&pattern->regex, pattern->whole, REG_EXTENDED | REG_NOSUB);
    if (status == 0 && why == NULL) {
        pthread_mutex_init(&pattern->lock, NULL);
        return pattern;
    }
    if (why != NULL)
        snprintf(ret_why, REGEX_WHY_SIZE, "%s", why);
    else if (status != REG_ESPACE)
        regerror(status, NULL, ret_why, REGEX_WHY_SIZE);
fail:
    free(pattern->text);
    free(pattern->whole);
    free(pattern);
    return NULL;
}

void regex_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pthread_mutex_destroy(&pattern->lock);
    regfree(&pattern->regex);
    free(pattern->text);
    free(pattern->whole);
    free(pattern);
}

const char *regex_text(const struct pattern *pattern)
{
    return pattern->text;
}

/* Compiled anew, it knows no states. Without memory for that it stays as it is. */
static void forget_states(struct pattern *pattern)
{
    regex_t fresh;

    if (regcomp(&fresh, pattern->whole, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    regfree(&pattern->regex);
    pattern->regex = fresh;
    pattern->spent = 0;
}

enum regex_match regex_match(struct pattern *pattern, const char *text, size_t len)
{
    int64_t start;
    regoff_t at;

    if (len > REGEX_LONGEST)
        return REGEX_TOO_LONG;
    pthread_mutex_lock(&pattern->lock);
    if (pattern->spent > FORGET_AFTER)
        forget_states(pattern);
    start = clock_monotonic();
    /* regexec says "no match" when it has no memory; re_search knows the difference. */
    at = re_search(&pattern->regex, text, (regoff_t)len, 0, 0, NULL);
    pattern->spent += clock_monotonic() - start;
    pthread_mutex_unlock(&pattern->lock);
    return at >= 0 ? REGEX_MATCHES : at == -1 ? REGEX_DIFFERS : REGEX_NO_MEMORY;
}
