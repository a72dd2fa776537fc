/*
 * known: values of a field that were found good. Values repeat: one met again is good again.
 *
 * A table of few places, one for each hash: a new value may drive out an older one, which costs
 * another check and nothing else. Longer values and numbers are checked each time.
 */
#ifndef PHASESENTINEL_KNOWN_H
#define PHASESENTINEL_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KNOWN_PLACES 64
#define KNOWN_LENGTH 40

struct known {
    struct known_value {
        size_t len; /* 0: free */
        char text[KNOWN_LENGTH];
    } values[KNOWN_PLACES];
};

static inline bool known_fits(size_t len)
{
    return len > 0 && len <= KNOWN_LENGTH;
}

/* The place of a value that fits: its first and last bytes tell values apart. */
static inline size_t known_place(const char *text, size_t len)
{
    uint64_t head = 0, tail = 0;

    if (len >= sizeof head) {
        memcpy(&head, text, sizeof head);
        memcpy(&tail, text + len - sizeof tail, sizeof tail);
    } else if (len >= 4) {
        memcpy(&head, text, 4);
        memcpy(&tail, text + len - 4, 4);
    } else {
        head = (unsigned char)text[0];
        tail = (uint64_t)(unsigned char)text[len - 1] << 8 | (unsigned char)text[len / 2];
    }
    return (size_t)(((head + len) * 0x9E3779B97F4A7C15U ^ tail) * 0xC2B2AE3D27D4EB4FU >> 58);
}

static inline bool known_holds(const struct known *known, size_t place, const char *text,
                               size_t len)
{
    const struct known_value *value = &known->values[place];

    return value->len == len && memcmp(value->text, text, len) == 0;
}

static inline void known_take(struct known *known, size_t place, const char *text, size_t len)
{
    known->values[place].len = len;
    memcpy(known->values[place].text, text, len);
}

#endif
