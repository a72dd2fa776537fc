/*
 * tally: rows counted by user, source, label and phase.
 *
 * A tally counts the rows of one file or range, and is added to the tally of the training file when
 * these are merged. The fields user_id, source, label and phase are counted; a schema without one of
 * them has no such counts.
 */
#ifndef PHASESENTINEL_TALLY_H
#define PHASESENTINEL_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash_index.h"

enum tally_by { TALLY_USERS, TALLY_SOURCES, TALLY_LABELS, TALLY_PHASES, TALLY_COUNT };

/* Return the name of the field that is counted: user_id, source, label or phase. */
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
    size_t last; /* index of the entry counted last: values come in runs */
};

struct tally {
    uint64_t rows;
    struct counter by[TALLY_COUNT];
};

/* Count `rows` more rows with a value. Return 0, or -1 when memory is out. */
int counter_add(struct counter *counter, const char *value, size_t len, uint64_t rows);
uint64_t counter_get(const struct counter *counter, const char *value, size_t len);
void counter_clear(struct counter *counter); /* keeps the memory of few values */
void counter_free(struct counter *counter);
int tally_add(struct tally *to, const struct tally *from);
void tally_clear(struct tally *tally); /* keeps the memory of few values */
void tally_free(struct tally *tally);  /* accepts a zeroed one, leaves it zeroed */

#endif
