#include "digest.h"

#include <nettle/sha2.h>
#include <xxhash.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct digest), "nettle's context fits");

static struct sha256_ctx *context(struct digest *digest)
{
    return (struct sha256_ctx *)(void *)digest->state;
}

void digest_init(struct digest *digest)
{
    sha256_init(context(digest));
}

void digest_update(struct digest *digest, const void *bytes, size_t len)
{
    if (len > 0)
        sha256_update(context(digest), len, bytes);
}

void digest_final(const struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    struct digest copy = *digest;

    sha256_digest(context(&copy), DIGEST_SIZE, out);
}

void digest_hex(struct buffer *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < len; i++) {
        buffer_byte(out, digits[bytes[i] >> 4]);
        buffer_byte(out, digits[bytes[i] & 15]);
    }
}

uint64_t digest_check(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

uint64_t digest_seeded(const void *bytes, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, len, seed);
}

struct digest_stream *digest_stream_new(void)
{
    XXH3_state_t *state = XXH3_createState();

    if (state != NULL)
        XXH3_64bits_reset(state);
    return (struct digest_stream *)state;
}

void digest_stream_free(struct digest_stream *stream)
{
    XXH3_freeState((XXH3_state_t *)stream);
}

void digest_stream_reset(struct digest_stream *stream)
{
    XXH3_64bits_reset((XXH3_state_t *)stream);
}

void digest_stream_update(struct digest_stream *stream, const void *bytes, size_t len)
{
    if (len > 0)
        XXH3_64bits_update((XXH3_state_t *)stream, bytes, len);
}

uint64_t digest_stream_value(const struct digest_stream *stream)
{
    return XXH3_64bits_digest((const XXH3_state_t *)stream);
}
