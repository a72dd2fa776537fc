/*
 * regex: match whole values against a POSIX extended regular expression.
 *
 * The administrator writes the expression, other users the values. glibc's matcher caches every set
 * of states that it meets, and with some expressions each byte of a value may add one. So the
 * length of values is limited, and the cache is dropped now and then. Back-references, which can
 * take exponential time, are refused.
 */
#ifndef PHASESENTINEL_REGEX_H
#define PHASESENTINEL_REGEX_H

#include <stddef.h>

#define REGEX_LONGEST 4096 /* bytes of a value */

struct regex;

/* Compile an expression. Return NULL with the reason in ret_why, which is "" if memory ran out. */
#define REGEX_WHY_SIZE 256
struct regex *regex_compile(const char *text, char ret_why[REGEX_WHY_SIZE]);

void regex_free(struct regex *regex);

/* Return the expression as it was given to regex_compile. */
const char *regex_text(const struct regex *regex);

enum regex_match { REGEX_MATCHES, REGEX_DIFFERS, REGEX_TOO_LONG, REGEX_NO_MEMORY };

/* Match a value. Several threads may share a regex; a mutex makes them take turns. */
enum regex_match regex_match(struct regex *regex, const char *text, size_t len);

#endif
