/*
 * hint: what a person probably did, when a value is not what its column wants.
 *
 * Each function looks at a value that is known to be wrong and appends the usual cause and its
 * remedy, led in by
 * ": " behind the sentence that is there; nothing where it has no idea. Only texts for people are
 * made here; whether a value is right is said elsewhere.
 */
#ifndef PHASESENTINEL_SUGGESTION_H
#define PHASESENTINEL_SUGGESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* The value as a message shows it: what is longer than SUGGESTION_SHOWN bytes is cut before a
 * character.
 */
#define SUGGESTION_SHOWN 64
void suggestion_show(struct buffer *out, const char *text, size_t len);
void suggestion_quote(struct buffer *out, const char *text,
                      size_t len); /* the same in single quotes */

void suggestion_number(struct buffer *out, const char *text, size_t len, bool integer,
                       bool required);
void suggestion_boolean(struct buffer *out, const char *text, size_t len);
void suggestion_date(struct buffer *out, const char *text, size_t len);
void suggestion_datetime(struct buffer *out, const char *text, size_t len);
void suggestion_choice(struct buffer *out, const char *text, size_t len, char *const *choices,
                       size_t count);

/* A blank at the start or the end, or quotes around: what nobody sees in a table. True where it
 * said so. */
bool suggestion_invisible(struct buffer *out, const char *text, size_t len);

#endif
