/*
 * field: one column of the schema, and whether a value fits it.
 *
 * The words are those of Frictionless Table Schema. Checks are exact: numbers are compared digit by
 * digit, never as doubles, and a value is never changed. schema_load fills the struct; it is
 * read-only afterwards.
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
    char *name;        /* owned, like all pointers here; UTF-8 */
    char *description; /* NULL: none */
    enum field_type type;
    bool required;
    char *minimum; /* number, integer, date, datetime: as written in the schema; NULL: none */
    char *maximum;
    size_t min_length;     /* in code points */
    size_t max_length;     /* SIZE_MAX: none */
    struct regex *pattern; /* NULL: none */
    char **values;         /* enum; NULL: any */
    size_t value_count;
    char *format;   /* date, datetime: strptime's; NULL: ISO 8601 */
    char *fallback; /* the schema's `default`, for a missing column; NULL: none */
    char **missing; /* missingValues, besides the empty cell */
    size_t missing_count;
    /* Set by field_prepare: numbers from quick_start to below quick_end certainly fit. Both are 0
     * if each value must be checked. */
    uint64_t quick_start, quick_end;
};

enum field_fault {
    FIELD_FITS,
    FIELD_TYPE_ERROR,
    FIELD_CONSTRAINT_ERROR,
    FIELD_NO_MEMORY, /* not known: memory ran out while the pattern was matched */
};

/*
 * Check one value, which is valid UTF-8 without NUL. If it does not fit and `why` is not NULL,
 * append a sentence with the value, the rule and the probable cause.
 */
enum field_fault field_check(const struct field *field, const char *text, size_t len,
                             struct buffer *why);

/* Compute the shortcuts of field_check, when all else is set. They change speed only. */
void field_prepare(struct field *field);

/* Return true for the empty cell and for the missing values of the field. */
bool field_is_missing(const struct field *field, const char *text, size_t len);

/* Set *ret_type from a type name of Table Schema. Return 0, or -1 for any other word. */
int field_type_from_name(const char *name, enum field_type *ret_type);
const char *field_type_name(enum field_type type);

/* Compare two values of a number, integer, date or datetime field. Return <0, 0 or >0; 0 also if
 * one is not of its type. */
int field_compare(const struct field *field, const char *left, const char *right);

/* Free the contents of the struct, which may be incomplete. */
void field_free(struct field *field);

#endif
