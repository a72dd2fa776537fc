#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"

static const char *const fields[TALLY_COUNT] = {"user_id", "source", "label", "phase"};

const char *tally_field(enum tally_by by)
{
    return fields[by];
}

static int same(const struct tally_entry *entry, const char *value, size_t len)
{
    return entry->len == len && memcmp(entry->value, value, len) == 0;
}

static struct tally_entry *find(const struct counter *counter, uint64_t key, const char *value,
                                size_t len)
{
    struct map_slot *slot;
    size_t cursor = 0;

    while ((slot = map_find(&counter->index, key, &cursor)) != NULL)
        if (same(&counter->entries[slot->value - 1], value, len))
            return &counter->entries[slot->value - 1];
    return NULL;
}

int counter_add(struct counter *counter, const char *value, size_t len, uint64_t rows)
{
    struct tally_entry *entry;
    uint64_t key;

    if (counter->last < counter->count && same(&counter->entries[counter->last], value, len)) {
        counter->entries[counter->last].rows += rows;
        return 0;
    }
    key = digest_key(value, len);
    entry = find(counter, key, value, len);
    if (entry == NULL) {
        if (counter->count == counter->cap) {
            size_t cap = counter->cap == 0 ? 8 : counter->cap * 2;
            struct tally_entry *entries = realloc(counter->entries, cap * sizeof *entries);

            if (entries == NULL)
                return -1;
            counter->entries = entries;
            counter->cap = cap;
        }
        entry = &counter->entries[counter->count];
        *entry = (struct tally_entry){.value = malloc(len + 1), .len = len};
        if (entry->value == NULL || map_put(&counter->index, key, counter->count + 1) < 0) {
            free(entry->value);
            return -1;
        }
        memcpy(entry->value, value, len);
        entry->value[len] = '\0';
        counter->count++;
    }
    entry->rows += rows;
    counter->last = (size_t)(entry - counter->entries);
    return 0;
}

uint64_t counter_get(const struct counter *counter, const char *value, size_t len)
{
    const struct tally_entry *entry = find(counter, digest_key(value, len), value, len);

    return entry == NULL ? 0 : entry->rows;
}

void counter_clear(struct counter *counter)
{
    size_t i;

    for (i = 0; i < counter->count; i++)
        free(counter->entries[i].value);
    free(counter->entries);
    map_free(&counter->index);
    *counter = (struct counter){0};
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
