/*
 * tally: rows counted by user, source, label and phase.
 *
 * The class balance of the training file. A tally belongs to one file or range and is added to
 * another when that is booked. Which columns are counted follows from the schema's field names; a
 * schema without one has no such counts.
 */
#ifndef PHASESENTINEL_TALLY_H
#define PHASESENTINEL_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash_index.h"

enum tally_by { TALLY_USERS, TALLY_SOURCES, TALLY_LABELS, TALLY_PHASES, TALLY_COUNT };

/* The name of the field that is counted: user_id, source, label, phase. */
const char *tally_field(enum tally_by by);

struct tally_entry {
    char *value; /* owned; len bytes and a NUL */
    size_t len;
    uint64_t rows;
};

struct counter {
    struct tally_entry *entries;
    size_t count, cap;
    struct hash_index index;
    size_t last; /* the entry met last: values come in runs */
};

struct tally {
    uint64_t rows;
    struct counter by[TALLY_COUNT];
};

/* -1 when memory is out. */
int counter_add(struct counter *counter, const char *value, size_t len, uint64_t rows);
uint64_t counter_get(const struct counter *counter, const char *value, size_t len);
void counter_clear(struct counter *counter); /* keeps its memory, if that is little */
void counter_free(struct counter *counter);
int tally_add(struct tally *to, const struct tally *from);
void tally_clear(struct tally *tally); /* keeps its memory */
void tally_free(struct tally *tally);  /* takes zeroed ones, leaves it zeroed */

#endif
