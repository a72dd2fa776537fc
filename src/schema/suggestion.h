/*
 * suggestion: the probable cause of a wrong value, and its remedy, as text for a person.
 *
 * Each function takes a value that is known to be wrong and appends its probable cause, led in by
 * ": ", to the sentence in `out`; nothing if the cause is not known. Whether a value is right is
 * decided in field.c.
 */
#ifndef PHASESENTINEL_SUGGESTION_H
#define PHASESENTINEL_SUGGESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Append a value as messages show it: cut at a character border after at most SUGGESTION_SHOWN
 * bytes. suggestion_quote adds single quotes. */
#define SUGGESTION_SHOWN 64
void suggestion_show(struct buffer *out, const char *text, size_t len);
void suggestion_quote(struct buffer *out, const char *text, size_t len);

void suggestion_number(struct buffer *out, const char *text, size_t len, bool integer,
                       bool required);
void suggestion_boolean(struct buffer *out, const char *text, size_t len);
void suggestion_date(struct buffer *out, const char *text, size_t len);
void suggestion_datetime(struct buffer *out, const char *text, size_t len);
void suggestion_choice(struct buffer *out, const char *text, size_t len, char *const *choices,
                       size_t count);

/* Explain blanks at the start or end, or quotes around the value, which are hard to see in a table.
 * Return false if there are none. */
bool suggestion_invisible(struct buffer *out, const char *text, size_t len);

/* Return the word of a NULL-terminated list that `word` was probably meant to be, or NULL. */
const char *suggestion_nearest(const char *word, const char *const *words);

#endif
