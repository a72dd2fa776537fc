/*
 * schema: the columns of the training file and the template of file names, from schema.ini.
 *
 * The file is read as strictly as the configuration (config.h) and its faults are reported in the
 * same way. A loaded schema is read-only.
 */
#ifndef PHASESENTINEL_SCHEMA_H
#define PHASESENTINEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"
#include "schema/field.h"
#include "schema/name_template.h"

/*
 * The fields that the code knows by name; everything else about columns comes from the schema file.
 * All four are optional in a schema. csv/tally counts rows by each of them, store/tally_file counts
 * files by user, `phasesentinel save` adds the first three, and schema_match_name takes the user
 * from a directory.
 */
#define SCHEMA_USER_ID "user_id"
#define SCHEMA_SOURCE  "source"
#define SCHEMA_LABEL   "label"
#define SCHEMA_PHASE   "phase"

struct schema {
    char *name;           /* owned, like all pointers here */
    struct field *fields; /* in the order of the training file's columns */
    size_t count;
    bool drop_extra; /* extra_fields = drop */
    struct name_template filename;
};

/* Read the schema. Return 0, or -1 with *schema freed and zeroed. */
int schema_load(struct schema *schema, const char *path, struct cause *cause);

void schema_free(struct schema *schema);

/* Return the index of the field with exactly this name, or -1. */
int schema_find(const struct schema *schema, const char *name, size_t len);

/*
 * Take values of fields from a file name. If `filename` matches the whole name (the part after the
 * last '/', unless the template contains a '/'), greedy from the left, and every value fits its
 * field, set values[i] to an owned string for each field i of the template, with times rewritten as
 * 2024-01-01T12:00:00. If the template contains neither user_id nor a '/', user_id becomes the
 * first directory of the name, if that fits. All other values stay NULL, which is no failure.
 * Return 0, or -1, with all values NULL, when out of memory. `values` has schema->count elements,
 * all NULL before.
 */
int schema_match_name(const struct schema *schema, const char *name, char **values,
                      struct cause *cause);

#endif
