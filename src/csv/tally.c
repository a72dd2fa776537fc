#include "csv/tally.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/vector.h"
#include "schema/schema.h"

#define FEW  8  /* up to so many values are found sooner without an index */
#define KEPT 64 /* up to so many values counter_clear keeps the memory */

static const char *const counted_fields[TALLY_COUNT] = {SCHEMA_USER_ID, SCHEMA_SOURCE, SCHEMA_LABEL,
                                                        SCHEMA_PHASE};

const char *tally_field(enum tally_by by)
{
    return counted_fields[by];
}

static bool is_value(const struct tally_entry *entry, const char *value, size_t len)
{
    return entry->len == len && memcmp(entry->value, value, len) == 0;
}

static struct tally_entry *find_entry(const struct counter *counter, uint64_t key,
                                      const char *value, size_t len)
{
    struct hash_index_slot *slot;
    size_t cursor = 0, i;

    if (counter->count <= FEW) {
        for (i = 0; i < counter->count; i++)
            if (is_value(&counter->entries[i], value, len))
                return &counter->entries[i];
        return NULL;
    }
    while ((slot = hash_index_find(&counter->index, key, &cursor)) != NULL)
        if (is_value(&counter->entries[slot->value - 1], value, len))
            return &counter->entries[slot->value - 1];
    return NULL;
}

/* Fill the entry behind the last one. Memory that counter_clear kept there is used again. */
static struct tally_entry *add_value(struct counter *counter, const char *value, size_t len)
{
    struct tally_entry *entry;
    const size_t before = counter->cap;
    char *copy;

    if (vector_grow(&counter->entries, sizeof *counter->entries, counter->count, &counter->cap) < 0)
        return NULL;
    if (counter->cap > before)
        memset(counter->entries + before, 0, (counter->cap - before) * sizeof *counter->entries);
    entry = &counter->entries[counter->count];
    copy = realloc(entry->value, len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, value, len);
    copy[len] = '\0';
    *entry = (struct tally_entry){.value = copy, .len = len};
    return entry;
}

/* Index the entries from `first` on, including the one that add_entry filled. */
static int index_from(struct counter *counter, size_t first)
{
    size_t i;

    for (i = first; i <= counter->count; i++) {
        const struct tally_entry *entry = &counter->entries[i];

        if (hash_index_put(&counter->index, digest_key(entry->value, entry->len), i + 1) < 0)
            return -1;
    }
    return 0;
}

int counter_add(struct counter *counter, const char *value, size_t len, uint64_t rows)
{
    struct tally_entry *entry;

    if (counter->last < counter->count && is_value(&counter->entries[counter->last], value, len)) {
        counter->entries[counter->last].rows += rows;
        return 0;
    }
    entry = find_entry(counter, counter->count > FEW ? digest_key(value, len) : 0, value, len);
    if (entry == NULL) {
        entry = add_value(counter, value, len);
        if (entry == NULL || (counter->count >= FEW &&
                              index_from(counter, counter->count == FEW ? 0 : counter->count) < 0))
            return -1;
        counter->count++;
    }
    entry->rows += rows;
    counter->last = (size_t)(entry - counter->entries);
    return 0;
}

uint64_t counter_get(const struct counter *counter, const char *value, size_t len)
{
    const struct tally_entry *entry = find_entry(counter, digest_key(value, len), value, len);

    return entry == NULL ? 0 : entry->rows;
}

void counter_free(struct counter *counter)
{
    size_t i;

    for (i = 0; i < counter->cap; i++)
        free(counter->entries[i].value);
    free(counter->entries);
    hash_index_free(&counter->index);
    *counter = (struct counter){0};
}

void counter_clear(struct counter *counter)
{
    if (counter->cap > KEPT) {
        counter_free(counter);
        return;
    }
    hash_index_free(&counter->index);
    counter->count = counter->last = 0;
}

int tally_add(struct tally *to, const struct tally *from)
{
    size_t by, i;

    for (by = 0; by < TALLY_COUNT; by++)
        for (i = 0; i < from->by[by].count; i++) {
            const struct tally_entry *entry = &from->by[by].entries[i];

            if (counter_add(&to->by[by], entry->value, entry->len, entry->rows) < 0)
                return -1;
        }
    to->rows += from->rows;
    return 0;
}

void tally_clear(struct tally *tally)
{
    size_t by;

    for (by = 0; by < TALLY_COUNT; by++)
        counter_clear(&tally->by[by]);
    tally->rows = 0;
}

void tally_free(struct tally *tally)
{
    size_t by;

    for (by = 0; by < TALLY_COUNT; by++)
        counter_free(&tally->by[by]);
    tally->rows = 0;
}
