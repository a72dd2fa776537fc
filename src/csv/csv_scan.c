#include "csv/csv_scan.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 64
#define EACH  UINT64_C(0x0101010101010101)
#define LAST  (UINT64_C(1) << 63)
#define LOW   (EACH * 0x7F)

/* Return a bit for each byte of the block that ends a cell; the first byte has the lowest bit. */
typedef uint64_t mark_block(const char *block);

/* Return 0x80 in each byte that is zero. */
static inline uint64_t zeros(uint64_t word)
{
    return ~(((word & LOW) + LOW) | word | LOW);
}

static inline uint64_t mark_plain(const char *block)
{
    uint64_t word, marks = 0;
    size_t i;

    for (i = 0; i < BLOCK; i += sizeof word) {
        memcpy(&word, block + i, sizeof word);
        word = le64toh(word);
        word = zeros(word ^ (EACH * ',')) | zeros(word ^ (EACH * '\n'));
        /* Multiply to move the eight marks side by side. */
        marks |= ((word >> 7) * UINT64_C(0x0102040810204080) >> 56) << i;
    }
    return marks;
}

/* Write the offsets of the marks, twelve at a time: the next block overwrites those too many. */
static inline uint16_t *write_ends(uint16_t *ends, size_t offset, uint64_t marks)
{
    uint16_t *behind = ends + __builtin_popcountll(marks);
    size_t i;

    while (marks != 0)
        for (i = 0; i < 12; i++, marks &= marks - 1)
            *ends++ = (uint16_t)(offset + (size_t)__builtin_ctzll(marks | LAST));
    return behind;
}

static inline __attribute__((always_inline)) size_t scan(const char *text, size_t len,
                                                         uint16_t *ends, mark_block *mark)
{
    uint16_t *at = ends;
    char last[BLOCK] = {0};
    size_t offset;

    for (offset = 0; offset + BLOCK <= len; offset += BLOCK)
        at = write_ends(at, offset, mark(text + offset));
    memcpy(last, text + offset, len - offset);
    return (size_t)(write_ends(at, offset, mark(last)) - ends);
}

size_t csv_scan_ends_plain(const char *text, size_t len, uint16_t ends[static SCAN_ENDS])
{
    return scan(text, len, ends, mark_plain);
}

#if defined(__x86_64__)

#define WITH_AVX2 __attribute__((target("avx2,bmi,popcnt")))

WITH_AVX2 static inline uint32_t mark_half(const char *half)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)half);
    __m256i commas = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(','));
    __m256i feeds = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\n'));

    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(commas, feeds));
}

WITH_AVX2 static inline uint64_t mark_avx2(const char *block)
{
    return mark_half(block) | (uint64_t)mark_half(block + BLOCK / 2) << 32;
}

WITH_AVX2 static size_t scan_ends_avx2(const char *text, size_t len, uint16_t *ends)
{
    return scan(text, len, ends, mark_avx2);
}

size_t csv_scan_ends(const char *text, size_t len, uint16_t ends[static SCAN_ENDS])
{
    const bool has_all = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                         __builtin_cpu_supports("popcnt");

    return has_all ? scan_ends_avx2(text, len, ends) : csv_scan_ends_plain(text, len, ends);
}

#else

size_t csv_scan_ends(const char *text, size_t len, uint16_t ends[static SCAN_ENDS])
{
    return csv_scan_ends_plain(text, len, ends);
}

#endif
