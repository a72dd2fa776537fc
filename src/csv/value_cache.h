/*
 * known: values of a field that were found good. Values repeat: one met again is good again.
 *
 * Values are as they stand in a file without quotes around them, so none has a quote in it: the
 * quick pass compares what it finds there with them.
 *
 * A table of few places, one for each hash: a new value may drive out an older one, which costs
 * another check and nothing else. Longer values and numbers are checked each time.
 */
#ifndef PHASESENTINEL_VALUE_CACHE_H
#define PHASESENTINEL_VALUE_CACHE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VALUE_CACHE_PLACES 256 /* value_cache_slot */
#define VALUE_CACHE_LENGTH 64

/* A value as it is looked for: its first and its last eight bytes as little-endian words, those of
 * a shorter one with zeros behind them. Up to sixteen bytes that is all of it. */
struct value_cache_key {
    size_t len;
    uint64_t head, tail;
};

struct value_cache {
    struct value_cache_value {
        struct value_cache_key key; /* len 0: free */
        char text[VALUE_CACHE_LENGTH];
    } values[VALUE_CACHE_PLACES];
};

static inline bool value_cache_fits(size_t len)
{
    return len > 0 && len <= VALUE_CACHE_LENGTH;
}

/* Of a value that fits. */
static inline struct value_cache_key value_cache_key(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    struct value_cache_key key = {.len = len};
    uint32_t first, last;

    if (len >= sizeof key.head) {
        memcpy(&key.head, text, sizeof key.head);
        memcpy(&key.tail, text + len - sizeof key.tail, sizeof key.tail);
        key.head = le64toh(key.head);
        key.tail = le64toh(key.tail);
        return key;
    }
    if (len >= sizeof first) {
        memcpy(&first, text, sizeof first);
        memcpy(&last, text + len - sizeof last, sizeof last);
        key.head = le32toh(first) | (uint64_t)le32toh(last) << 8 * (len - sizeof last);
    } else {
        key.head = bytes[0] | (uint64_t)bytes[len / 2] << 8 * (len / 2) |
                   (uint64_t)bytes[len - 1] << 8 * (len - 1);
    }
    key.tail = key.head;
    return key;
}

static inline size_t value_cache_slot(const struct value_cache_key *key)
{
    uint64_t hash =
        ((key->head + key->len) * 0x9E3779B97F4A7C15U ^ key->tail) * 0xC2B2AE3D27D4EB4FU;

    return (size_t)(hash >> 56);
}

static inline bool value_cache_hit(const struct value_cache *known, size_t place,
                                   const struct value_cache_key *key, const char *text)
{
    const struct value_cache_value *value = &known->values[place];

    return value->key.len == key->len && value->key.head == key->head &&
           value->key.tail == key->tail &&
           (key->len <= 2 * sizeof key->head || memcmp(value->text, text, key->len) == 0);
}

static inline void value_cache_store(struct value_cache *known, size_t place,
                                     const struct value_cache_key *key, const char *text)
{
    known->values[place].key = *key;
    memcpy(known->values[place].text, text, key->len);
}

#endif
