/*
 * draft: a section [field.N] of the schema file on its way to a field.
 *
 * The schema collects the entries of each section; draft_finish makes the field from them and adds
 * a problem for each that is wrong, and for those that contradict each other or the field's own
 * values.
 */
#ifndef PHASESENTINEL_FIELD_PARSER_H
#define PHASESENTINEL_FIELD_PARSER_H

#include <stdint.h>

#include "schema/field.h"
#include "schema/ini.h"

enum draft_key {
    DRAFT_NAME,
    DRAFT_TYPE,
    DRAFT_REQUIRED,
    DRAFT_MINIMUM,
    DRAFT_MAXIMUM,
    DRAFT_MIN_LENGTH,
    DRAFT_MAX_LENGTH,
    DRAFT_PATTERN,
    DRAFT_ENUM,
    DRAFT_FORMAT,
    DRAFT_DEFAULT,
    DRAFT_DESCRIPTION,
    DRAFT_MISSING_VALUES,
    DRAFT_KEY_COUNT
};

/* Their words, NULL-terminated. */
extern const char *const draft_keys[DRAFT_KEY_COUNT + 1];

struct draft {
    uint64_t number;
    unsigned line;                                    /* of the section */
    const struct ini_entry *entries[DRAFT_KEY_COUNT]; /* NULL: not given */
};

/* Fills the zeroed field, whatever it finds; what is wrong goes to ini->problems. */
void draft_finish(const struct draft *draft, struct ini *ini, struct field *field);

#endif
