/*
 * digest: SHA-256 for the identity of content, XXH3-64 against damage, and keys for hash tables.
 *
 * The only module that includes nettle and xxhash. A struct digest is plain memory: a copy is the
 * state of the bytes so far, so the hash of a prefix costs nothing extra.
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

/* Write the hash of the bytes so far; more may follow. */
void digest_final(const struct digest *digest, unsigned char out[DIGEST_SIZE]);

/* Append the bytes as hex digits in lower case. */
void digest_hex(struct buffer *out, const unsigned char *bytes, size_t len);

/* Read `len` bytes from 2 * len hex digits in lower case. Return false for other characters. */
bool digest_unhex(unsigned char *out, const char *digits, size_t len);

uint64_t digest_check(const void *bytes, size_t len); /* XXH3-64 */
uint64_t digest_seeded(const void *bytes, size_t len, uint64_t seed);

/*
 * Keys of hash tables: XXH3 with a secret seed of this process, so that nobody can choose names
 * that collide. Two entries may have the same 64-bit key: compare what they stand for. A 128-bit
 * key needs no such comparison.
 */
struct digest_wide {
    uint64_t high, low;
};

uint64_t digest_key(const void *bytes, size_t len);
struct digest_wide digest_wide_key(const void *bytes, size_t len);

/* XXH3-64 of bytes that come in pieces. digest_stream_new returns NULL when out of memory. */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_free(struct digest_stream *stream);
void digest_stream_reset(struct digest_stream *stream);
void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t len);
uint64_t digest_stream_value(const struct digest_stream *stream);

#endif
