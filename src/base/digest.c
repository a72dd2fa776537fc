#include "base/digest.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

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

/* The values of the hex digits, plus one; 0: no digit. */
static const unsigned char hex_digits[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

bool digest_unhex(unsigned char *out, const char *digits, size_t len)
{
    const unsigned char *from = (const unsigned char *)digits;
    int high, low, any = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        high = hex_digits[from[2 * i]] - 1;
        low = hex_digits[from[2 * i + 1]] - 1;
        any |= high | low;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return any >= 0;
}

uint64_t digest_check(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

uint64_t digest_seeded(const void *bytes, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, len, seed);
}

/* Return the seed of this process. Other users choose the names that are indexed; without the seed
 * they cannot make keys collide. */
static uint64_t process_seed(void)
{
    static _Atomic uint64_t shared;
    uint64_t seed = shared, fresh = 0;

    while (seed == 0) {
        if (getrandom(&fresh, sizeof fresh, 0) !=
            sizeof fresh) /* fails in a sandbox of an old kernel */
            fresh = (uint64_t)(uintptr_t)&fresh ^ (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid();
        /* If another thread was first, use its seed. */
        if (fresh != 0 && atomic_compare_exchange_strong(&shared, &seed, fresh))
            seed = fresh;
    }
    return seed;
}

uint64_t digest_key(const void *bytes, size_t len)
{
    return XXH3_64bits_withSeed(bytes, len, process_seed());
}

struct digest_wide digest_wide_key(const void *bytes, size_t len)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, len, process_seed());

    return (struct digest_wide){hash.high64, hash.low64};
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
