/*
 * digest: SHA-256 for the identity of content, XXH3-64 for checks against damage.
 *
 * The only module that includes nettle and xxhash. A struct digest is plain memory: a copy of it is
 * the state of the bytes so far, which is how a prefix's hash comes for nothing.
 */
#ifndef PHASESENTINEL_DIGEST_H
#define PHASESENTINEL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define DIGEST_SIZE 32

struct digest {
    _Alignas(16) unsigned char state[128];
};

void digest_init(struct digest *digest);
void digest_update(struct digest *digest, const void *bytes, size_t len);
void digest_final(const struct digest *digest,
                  unsigned char out[DIGEST_SIZE]); /* leaves it as it is */

void digest_hex(struct buffer *out, const unsigned char *bytes, size_t len);

uint64_t digest_check(const void *bytes, size_t len); /* XXH3-64 */
uint64_t digest_seeded(const void *bytes, size_t len, uint64_t seed);

/* XXH3-64 of bytes that come in pieces. NULL when memory is out. */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_free(struct digest_stream *stream);
void digest_stream_reset(struct digest_stream *stream);
void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t len);
uint64_t digest_stream_value(const struct digest_stream *stream);

#endif
