/*
 * escape: make untrusted bytes fit for the place where they are printed.
 *
 * File names and cells may contain any byte. Each output has its escape: terminals and the log, the
 * ledger, CSV, JSON and Prometheus. No name is printed without one.
 */
#ifndef PHASESENTINEL_ESCAPE_H
#define PHASESENTINEL_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

/* Return the offset of the first byte that is not part of valid UTF-8 (no overlong forms, no
 * surrogates), or len. */
size_t escape_invalid_utf8(const char *text, size_t len);

/* Count the code points of valid UTF-8. */
size_t escape_code_points(const char *text, size_t len);

/* Append the text for a terminal or the log: control characters, line separators, direction marks
 * and invalid UTF-8 become \xNN, and a backslash is doubled. */
void escape_printable(struct buffer *out, const char *text, size_t len);

/* Append the text for the ledger: bytes outside A-Za-z0-9._~-/ become %XX. escape_unpercent appends
 * the original bytes; it returns 0, or -1 for malformed text. */
void escape_percent(struct buffer *out, const char *text, size_t len);
int escape_unpercent(struct buffer *out, const char *text, size_t len);

/* Write the original bytes to `out`, without a NUL. Return their count, or -1 if the text is
 * malformed or there are more than `size`. */
ssize_t escape_unpercent_into(char *out, size_t size, const char *text, size_t len);

/* Append a CSV cell, quoted only if it contains a comma, a quote or a line break. */
void escape_csv_cell(struct buffer *out, const char *text, size_t len);

/* Append valid UTF-8, for JSON and Prometheus: each invalid byte becomes U+FFFD. */
void escape_repair_utf8(struct buffer *out, const char *text, size_t len);

/* Read a whole number of decimal digits, at most `max`. Return false for anything else. */
bool escape_number(const char *text, size_t len, uint64_t max, uint64_t *ret_number);

#endif
