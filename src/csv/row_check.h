/*
 * validate: one file's rows against the schema, and what is written of them.
 *
 *     column_map_bind   matches the file's columns to fields, fills missing ones from file name and
 * defaults row_check      checks each cell; adds violations row_write    appends an
 * accepted row in the training file's layout, cells byte for byte row_tally    counts an
 * accepted row column_map_free
 */
#ifndef PHASESENTINEL_ROW_CHECK_H
#define PHASESENTINEL_ROW_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cause.h"
#include "csv/value_cache.h"
#include "csv/csv_reader.h"
#include "schema/schema.h"
#include "csv/tally.h"
#include "csv/violations.h"

/* The training file's columns: the field in each, or -1 for a column that the schema does not know.
 */
struct training_columns {
    int *fields; /* owned */
    size_t count;
};

int training_columns_of_schema(struct training_columns *layout, const struct schema *schema,
                               struct cause *cause);
void training_columns_free(struct training_columns *layout);

struct column_map {
    const struct schema *schema;           /* borrowed */
    const struct training_columns *layout; /* borrowed; NULL: nothing is written */
    struct value_cache *known;             /* [schema->count]; borrowed */
    size_t columns;                        /* of the file's header; 0: none yet, or it is no row */
    int *field_of;                         /* [columns]: the field, or -1: dropped */
    int *column_of;                        /* [schema->count]: the column, or -1: missing */
    char **filled;            /* [schema->count]: what a missing column holds; NULL: nothing */
    int counted[TALLY_COUNT]; /* the field of each tally, or -1 */
    bool has_meta;            /* a value that tells users apart came from the file name */
    uint64_t meta;        /* XXH3-64 of FIELD=VALUE LF for each of these, in the schema's order */
    bool no_known;        /* each value is checked, known or not: for tests */
    bool straight;        /* the file's columns are the layout's first ones: rows can be copied */
    struct buffer suffix; /* what follows them in each row, with its LF */
    bool no_memory;       /* row_check had none to try a pattern: the row has no verdict */
    struct buffer header; /* the faultless one that field_of and column_of are of; or empty */
};

/* -1 for our trouble; a bad header is violations added. The sheet is zeroed or reset, always for
 * the same schema; reset or free it in any case. */
int column_map_bind(struct column_map *column_map, const struct schema *schema,
                    const struct training_columns *layout, struct value_cache *known,
                    const char *name, const struct row *header, struct violations *violations,
                    struct cause *cause);

/* Is the row without fault? Else what is wrong has been added. */
bool row_check(struct column_map *column_map, const struct row *row, struct violations *violations);

void row_write(const struct column_map *column_map, const struct row *row, struct buffer *out);

int row_tally(const struct column_map *column_map, const struct row *row, struct tally *tally,
              struct cause *cause);

void column_map_reset(struct column_map *column_map); /* for the next file */
void column_map_free(struct column_map *column_map);  /* takes zeroed and half-built ones */

/* A row's fault, of those that rows reports, as a violation. */
void row_check_fault(const struct row *row, struct violations *violations);

#endif
