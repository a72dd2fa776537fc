/*
 * field_parser: make a field from a section [field.N] of the schema file.
 *
 * schema.c collects the entries of each section; field_parser_finish makes the field from them. It
 * adds a problem for each wrong value, and for values that contradict each other.
 */
#ifndef PHASESENTINEL_FIELD_PARSER_H
#define PHASESENTINEL_FIELD_PARSER_H

#include <stdint.h>

#include "schema/field.h"
#include "schema/ini.h"

enum field_parser_key {
    FIELD_PARSER_NAME,
    FIELD_PARSER_TYPE,
    FIELD_PARSER_REQUIRED,
    FIELD_PARSER_MINIMUM,
    FIELD_PARSER_MAXIMUM,
    FIELD_PARSER_MIN_LENGTH,
    FIELD_PARSER_MAX_LENGTH,
    FIELD_PARSER_PATTERN,
    FIELD_PARSER_ENUM,
    FIELD_PARSER_FORMAT,
    FIELD_PARSER_DEFAULT,
    FIELD_PARSER_DESCRIPTION,
    FIELD_PARSER_MISSING_VALUES,
    FIELD_PARSER_KEY_COUNT
};

/* The names of the keys, NULL-terminated. */
extern const char *const field_parser_keys[FIELD_PARSER_KEY_COUNT + 1];

struct field_parser {
    uint64_t number;
    unsigned line;                                           /* line of the section */
    const struct ini_entry *entries[FIELD_PARSER_KEY_COUNT]; /* NULL: not given */
};

/* Fill the zeroed field as far as possible, and add each fault to ini->problems. */
void field_parser_finish(const struct field_parser *parser, struct ini *ini, struct field *field);

#endif
