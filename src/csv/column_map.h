/*
 * column_map: the columns of one file, bound to the fields of the schema.
 *
 *     column_map_bind      match the labels of the file's header to fields; a field without a column
 *                          takes its value from the file name, else from the schema's default
 *     column_map_reset     before the header of the next file
 *     column_map_free
 *
 * row_check and fast_path read the map. A header that breaks the schema is no error: its violations
 * are added, and the map is of no use for the file's rows.
 */
#ifndef PHASESENTINEL_COLUMN_MAP_H
#define PHASESENTINEL_COLUMN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "schema/schema.h"
#include "csv/csv_reader.h"
#include "csv/tally.h"
#include "schema/value_cache.h"
#include "csv/violations.h"

/* The columns of the training file: for each its field, or -1 if the schema does not have it. */
struct training_columns {
    int *fields; /* owned */
    size_t count;
};

/* Fill *columns with all fields in the schema's order. */
int training_columns_of_schema(struct training_columns *columns, const struct schema *schema,
                               struct cause *cause);
void training_columns_free(struct training_columns *columns);

struct column_map {
    const struct schema *schema;
    const struct training_columns *output; /* columns of a row that is written; NULL: none is */
    struct value_cache *caches;            /* [schema->count] */
    size_t columns;                        /* in the file's header; 0 before column_map_bind */
    int *field_of;            /* [columns]: the field, or -1 for a column that is dropped */
    int *column_of;           /* [schema->count]: the column, or -1 for a field without one */
    char **constants;         /* [schema->count]: value of a field without a column; NULL: empty */
    int counted[TALLY_COUNT]; /* the field of each tally, or -1 if the schema does not have it */
    bool has_meta;            /* the file name gave a value, other than a date or time */
    uint64_t meta;            /* XXH3-64 of FIELD=VALUE LF for each of these, in schema order */
    bool copyable;            /* the file's columns are the first ones of output, in order */
    struct buffer suffix;     /* if copyable: the rest of each row, with its LF */
    struct buffer header;     /* the faultless header that field_of and column_of belong to */
    bool no_cache;            /* set by tests: check each value, cached or not */
};

/* Pointers are borrowed until column_map_reset; name and header until column_map_bind returns. */
struct column_map_request {
    const struct schema *schema; /* the same for all files of a map */
    const struct training_columns *output;
    struct value_cache *caches;
    const char *name;         /* name of the CSV */
    const struct row *header; /* sound */
};

/*
 * Bind a zeroed or reset map. Return 0, or -1 when memory is out. A header that breaks the schema
 * adds violations.
 */
int column_map_bind(struct column_map *map, const struct column_map_request *request,
                    struct violations *violations, struct cause *cause);

/* Forget the file, but keep the memory and the binding of its header, which the next file may
 * share. */
void column_map_reset(struct column_map *map);
void column_map_free(struct column_map *map); /* accepts a zeroed one */

#endif
