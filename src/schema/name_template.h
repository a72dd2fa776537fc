/*
 * name_template: the values of fields in a file name.
 *
 * A name_template is text with {FIELD} or, for a date or datetime field, {FIELD:TIME} in it, where
 * TIME is a format of datetime.h: {user_id}_{source}_{collection_timestamp:%Y%m%d_%H%M%S}.csv. A
 * field takes at least one byte; fields further left take as many as they can. The time for a match
 * is bounded by the length of the name, whatever its bytes are.
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
    size_t slashes; /* in its literals: it describes as many directories of a name */
};

/* Parse a template for these fields. Return 0, or -1 with the reason appended to `why`, which is
 * marked as failed if memory ran out. */
int name_template_parse(struct name_template *name_template, const char *text,
                        const struct field *fields, size_t count, struct buffer *why);
void name_template_free(struct name_template *name_template);

/*
 * Match a name. If the template matches the whole name and every value fits its field, set
 * values[i] to an owned string for each field i of the template, with times rewritten as ISO 8601.
 * Otherwise leave all values NULL. Return 0 in both cases, or -1, with all values NULL, when out of
 * memory.
 */
int name_template_match(const struct name_template *name_template, const struct field *fields,
                        const char *name, char **values, struct cause *cause);

#endif
