/*
 * template: what a file name says of its rows.
 *
 * A template is text with {FIELD} or, for a date or datetime field, {FIELD:TIME} in it, where TIME
 * is a format as moment.h reads it: {user_id}_{source}_{collection_timestamp:%Y%m%d_%H%M%S}.csv.
 * Fields take one byte or more, the left ones as many as they can. A name of 255 bytes costs
 * little, whatever it is made of.
 */
#ifndef PHASESENTINEL_NAME_TEMPLATE_H
#define PHASESENTINEL_NAME_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "schema/field.h"

struct name_template_part; /* a literal text or a field */

struct name_template {
    struct name_template_part *parts; /* owned */
    size_t count;                     /* 0: matches no name */
    size_t slashes; /* in its literals: as many directories of a name belong to it */
};

/* Reads the template of the fields. -1: what is wrong with it is appended to `why`, or memory ran
 * out (why failed). */
int name_template_parse(struct name_template *template, const char *text,
                        const struct field *fields, size_t count, struct buffer *why);
void name_template_free(struct name_template *template);

/*
 * Where the template matches the whole name and every value fits its field, sets values[i] to an
 * owned string for each field i that it has, a time rewritten as ISO 8601. Else leaves all values
 * NULL. -1: out of memory, all NULL.
 */
int name_template_match(const struct name_template *template, const struct field *fields,
                        const char *name, char **values, struct cause *cause);

#endif
