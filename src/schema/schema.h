/*
 * schema: the columns of the training file and the template of file names, from schema.ini.
 *
 * Loaded as strictly as the configuration (config.h), reported the same way. Nothing of a schema is
 * built in. A loaded schema is read-only.
 */
#ifndef PHASESENTINEL_SCHEMA_H
#define PHASESENTINEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"
#include "schema/field.h"
#include "schema/name_template.h"

struct schema {
    char *name;           /* owned, as all pointers here */
    struct field *fields; /* in the order of the training file's columns */
    size_t count;
    bool drop_extra; /* extra_fields = drop */
    struct name_template filename;
};

int schema_load(struct schema *schema, const char *path, struct cause *cause);
void schema_free(struct schema *schema); /* takes zeroed ones */

/* The index of the field with exactly this name, or -1. */
int schema_find(const struct schema *schema, const char *name, size_t len);

/*
 * What a file name says of the fields. Where `filename` matches the whole name (the part behind the
 * last '/', unless the template holds a '/'), greedy from the left, and every value taken fits its
 * field, sets values[i] to an owned string for each field i of the template, a time rewritten as
 * 2024-01-01T12:00:00. If that does not tell the field user_id and the template holds no '/', the
 * first directory of the name is its value, if it fits. All other values stay NULL, which is no
 * failure; -1 where memory runs out, all NULL.
 * `values` has schema->count elements, all NULL before.
 */
int schema_match_name(const struct schema *schema, const char *name, char **values,
                      struct cause *cause);

#endif
