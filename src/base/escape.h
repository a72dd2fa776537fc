/*
 * text: bytes of strangers, made fit for the place where they are printed.
 *
 * File names and cells hold any byte. Each place has its escape: a terminal or a log line, the
 * ledger, a CSV cell, a Prometheus label. Names pass through one of these and reach no output raw.
 */
#ifndef PHASESENTINEL_ESCAPE_H
#define PHASESENTINEL_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

/* The offset of the first byte that is not part of valid UTF-8 (no overlong forms, no surrogates),
 * or len. */
size_t escape_invalid_utf8(const char *text, size_t len);

/* The code points of valid UTF-8. */
size_t escape_code_points(const char *text, size_t len);

/* For a person: control characters, line separators, marks of direction and invalid UTF-8 as \xNN,
 * a backslash doubled, the rest as it is. */
void escape_printable(struct buffer *out, const char *text, size_t len);

/* For the ledger: bytes outside A-Za-z0-9._~-/ as %XX; and back. escape_unpercent returns 0, or -1
 * if malformed. */
void escape_percent(struct buffer *out, const char *text, size_t len);
int escape_unpercent(struct buffer *out, const char *text, size_t len);

/* The same into `size` bytes, without a NUL; returns how many, or -1 if malformed or too many. */
ssize_t escape_unpercent_into(char *out, size_t size, const char *text, size_t len);

/* A CSV cell, quoted only where it must be: it holds a comma, a quote or a line break. */
void escape_csv_cell(struct buffer *out, const char *text, size_t len);

/* Valid UTF-8 for JSON and Prometheus: an invalid byte becomes U+FFFD. */
void escape_repair_utf8(struct buffer *out, const char *text, size_t len);

/* A whole number in decimal digits alone, at most `max`; false for anything else. */
bool escape_number(const char *text, size_t len, uint64_t max, uint64_t *ret_number);

#endif
