/*
 * digest: SHA-256 for the identity of content, XXH3-64 for checks against damage.
 *
 * The only module that includes nettle and xxhash. A struct digest is plain memory: a copy of it is
 * the state of the bytes so far, which is how a prefix's hash comes for nothing.
 */
#ifndef PHASESENTINEL_DIGEST_H
#define PHASESENTINEL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define DIGEST_SIZE 32

struct digest {
    _Alignas(16) unsigned char state[128];
};

void digest_init(struct digest *digest);
void digest_update(struct digest *digest, const void *bytes, size_t len);
void digest_final(const struct digest *digest,
                  unsigned char out[DIGEST_SIZE]); /* leaves it as it is */

void digest_hex(struct buffer *out, const unsigned char *bytes, size_t len);

/* `len` bytes from twice as many hex digits in lower case; false if they are others. */
bool digest_unhex(unsigned char *out, const char *digits, size_t len);

uint64_t digest_check(const void *bytes, size_t len); /* XXH3-64 */
uint64_t digest_seeded(const void *bytes, size_t len, uint64_t seed);

/*
 * Keys of an index in memory, of this process only: XXH3 with a seed that nobody knows. Of 64 bits,
 * for who compares the real thing behind a match; of 128 bits, for who does not.
 */
struct digest_wide {
    uint64_t high, low;
};

uint64_t digest_key(const void *bytes, size_t len);
struct digest_wide digest_wide_key(const void *bytes, size_t len);

/* XXH3-64 of bytes that come in pieces. NULL when memory is out. */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_free(struct digest_stream *stream);
void digest_stream_reset(struct digest_stream *stream);
void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t len);
uint64_t digest_stream_value(const struct digest_stream *stream);

#endif
