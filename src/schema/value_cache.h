/*
 * value_cache: values of one field that were found valid. Values repeat, and need not be checked
 * again.
 *
 *     key = value_cache_key(text, len)      of a value that value_cache_fits
 *     slot = value_cache_slot(&key)
 *     value_cache_hit, value_cache_store
 *
 * The cache has one slot for each hash. A new value replaces an older one, which costs one more
 * check of that. Callers store no value with a quote in it: fast_path compares the cache with the
 * bytes of cells as they stand in the file.
 */
#ifndef PHASESENTINEL_VALUE_CACHE_H
#define PHASESENTINEL_VALUE_CACHE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VALUE_CACHE_SLOTS  256 /* the number of values of value_cache_slot */
#define VALUE_CACHE_LENGTH 64

/* The length of a value, and its first and last eight bytes as little-endian words; a shorter value
 * has zeros after it. Values of up to 16 bytes are equal if their keys are. */
struct value_cache_key {
    size_t len;
    uint64_t head, tail;
};

struct value_cache {
    struct value_cache_value {
        struct value_cache_key key; /* len 0: the slot is free */
        char text[VALUE_CACHE_LENGTH];
    } values[VALUE_CACHE_SLOTS];
};

static inline bool value_cache_fits(size_t len)
{
    return len > 0 && len <= VALUE_CACHE_LENGTH;
}

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

static inline bool value_cache_hit(const struct value_cache *cache, size_t slot,
                                   const struct value_cache_key *key, const char *text)
{
    const struct value_cache_value *value = &cache->values[slot];

    return value->key.len == key->len && value->key.head == key->head &&
           value->key.tail == key->tail &&
           (key->len <= 2 * sizeof key->head || memcmp(value->text, text, key->len) == 0);
}

static inline void value_cache_store(struct value_cache *cache, size_t slot,
                                     const struct value_cache_key *key, const char *text)
{
    cache->values[slot].key = *key;
    memcpy(cache->values[slot].text, text, key->len);
}

#endif
