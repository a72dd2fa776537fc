/*
 * pattern: does a whole value match a POSIX extended regular expression?
 *
 * The expression is the administrator's, the values are strangers'. glibc's matcher remembers every
 * set of states it ever met, and with some expressions each byte of a value may add one; so values
 * have a limit of length, and what is remembered is given back now and then. Without
 * back-references nothing else explodes.
 */
#ifndef PHASESENTINEL_REGEX_H
#define PHASESENTINEL_REGEX_H

#include <stddef.h>

#define REGEX_LONGEST 4096 /* bytes of a value */

struct pattern;

/* NULL: *ret_why says why it cannot be used; it is "" where there was no memory. */
#define REGEX_WHY_SIZE 256
struct pattern *regex_compile(const char *text, char ret_why[REGEX_WHY_SIZE]);
void regex_free(struct pattern *pattern); /* takes NULL */

const char *regex_text(const struct pattern *pattern);

enum regex_match { REGEX_MATCHES, REGEX_DIFFERS, REGEX_TOO_LONG, REGEX_NO_MEMORY };

/* Threads may share a pattern; they wait for each other. */
enum regex_match regex_match(struct pattern *pattern, const char *text, size_t len);

#endif
