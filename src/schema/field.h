/*
 * field: one column of the schema, and whether a value fits it.
 *
 * The words are those of Frictionless Table Schema. Checking is exact: numbers are compared digit
 * by digit, never as doubles, and a value is never changed. What field_check needs from the schema
 * file is prepared by schema_load; a field is read-only afterwards.
 */
#ifndef PHASESENTINEL_FIELD_H
#define PHASESENTINEL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum field_type {
    FIELD_STRING, /* the default */
    FIELD_NUMBER,
    FIELD_INTEGER,
    FIELD_BOOLEAN,
    FIELD_DATE,
    FIELD_DATETIME,
};

struct field {
    char *name;        /* owned, as all pointers here; UTF-8 */
    char *description; /* NULL: none */
    enum field_type type;
    bool required;
    char *minimum; /* number, integer, date, datetime: as written in the schema; NULL: none */
    char *maximum;
    size_t min_length;       /* in code points */
    size_t max_length;       /* SIZE_MAX: none */
    struct pattern *pattern; /* NULL: none */
    char **values;           /* enum; NULL: any */
    size_t value_count;
    char *format;   /* date, datetime: strptime's; NULL: ISO 8601 */
    char *fallback; /* the schema's `default`, for a column that is missing; NULL: none */
    char **missing; /* missingValues beside the empty cell */
    size_t missing_count;
    /* Set by field_prepare: numbers from quick_start to below quick_end surely fit; both 0: ask for
     * each. */
    uint64_t quick_start, quick_end;
};

enum field_fault {
    FIELD_FITS,
    FIELD_TYPE_ERROR,
    FIELD_CONSTRAINT_ERROR,
    FIELD_NO_MEMORY, /* no verdict: there was no memory to try the pattern */
};

/*
 * Checks one value: valid UTF-8 without NUL. If it does not fit and `why` is not NULL, a sentence
 * with value, rule and the usual cause is appended to it.
 */
enum field_fault field_check(const struct field *field, const char *text, size_t len,
                             struct buffer *why);

/* Looks for shortcuts, once all else is set. field_check says the same without, only later. */
void field_prepare(struct field *field);

/* Is it one of the field's missing values (the empty cell always is)? */
bool field_is_missing(const struct field *field, const char *text, size_t len);

/* Sets *ret_type from a Table Schema type name; -1 for any other word. */
int field_type_from_name(const char *name, enum field_type *ret_type);
const char *field_type_name(enum field_type type);

/* Compares two values of a number, integer, date or datetime field: <0, 0, >0; 0 where one is not
 * of its type. */
int field_compare(const struct field *field, const char *left, const char *right);

void field_free(struct field *field); /* what it owns; takes half-built ones */

#endif
