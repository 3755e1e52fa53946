/* resample_avx2.c - resizing with AVX2.
 *
 * A weight of 32 bits is split into a low half, taken as signed, and a high half that
 * makes up for it: weight = high * 65536 + low. vpmaddwd multiplies two pixels with two
 * halves and adds them without loss: 255 * 32768 twice is far from 2^31. What the high
 * halves give is shifted up, so all is exact modulo 2^32, as is the sum of 32-bit products
 * that it stands for.
 *
 * The horizontal pass takes four rows at a time: the weights are split once for all of
 * them, and four sums hide the latency. */
#include "core/kernels/resample.h"

#if defined(__x86_64__)
#include <assert.h>
#include <immintrin.h>
#include <string.h>

enum { LOAD = 16, COLUMNS = 32, Z = -128 /* a zero byte */ };

/* By channels - 1: how 16 bytes of a row, in both lanes, become words so that the two of
 * a sum stand side by side: pixels 0 and 1 of every channel, then 2 and 3 ... */
static const int8_t pair_pixels[RESAMPLE_CHANNELS][32] = {
    {0, Z, 1, Z, Z, Z, Z, Z, 2, Z, 3, Z, Z, Z, Z, Z,
     4, Z, 5, Z, Z, Z, Z, Z, 6, Z, 7, Z, Z, Z, Z, Z},
    {0, Z, 2,  Z, 1, Z, 3,  Z, 4,  Z, 6,  Z, 5,  Z, 7,  Z,
     8, Z, 10, Z, 9, Z, 11, Z, 12, Z, 14, Z, 13, Z, 15, Z},
    {0, Z, 3, Z, 1, Z, 4,  Z, 2, Z, 5,  Z, Z, Z, Z, Z,
     6, Z, 9, Z, 7, Z, 10, Z, 8, Z, 11, Z, Z, Z, Z, Z},
    {0, Z, 4,  Z, 1, Z, 5,  Z, 2,  Z, 6,  Z, 3,  Z, 7,  Z,
     8, Z, 12, Z, 9, Z, 13, Z, 10, Z, 14, Z, 11, Z, 15, Z},
};

/* The low halves of the weights that belong there: of eight weights, four in each lane,
 * for one or two channels; of four weights, in both lanes, for three or four. */
static const int8_t pair_weights[RESAMPLE_CHANNELS][32] = {
    {0, 1, 4, 5, Z, Z, Z, Z, 8, 9, 12, 13, Z, Z, Z, Z,
     0, 1, 4, 5, Z, Z, Z, Z, 8, 9, 12, 13, Z, Z, Z, Z},
    {0, 1, 4, 5, 0, 1, 4, 5, 8, 9, 12, 13, 8, 9, 12, 13,
     0, 1, 4, 5, 0, 1, 4, 5, 8, 9, 12, 13, 8, 9, 12, 13},
    {0, 1, 4,  5,  0, 1, 4,  5,  0, 1, 4,  5,  Z, Z, Z, Z,
     8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13, Z, Z, Z, Z},
    {0, 1, 4,  5,  0, 1, 4,  5,  0, 1, 4,  5,  0, 1, 4,  5,
     8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13, 8, 9, 12, 13},
};

static __m256i load256(const void *from) {
    return _mm256_loadu_si256(from);
}

/* LOAD bytes in both lanes. */
static inline __m256i load_both(const void *from) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(from));
}

/* Pixels that are added at a time. */
static inline size_t step_of(size_t channels) {
    return channels > 2 ? 4 : 8;
}

struct halves {
    __m256i low, high;
};

/* `pairs` picks low halves; the high ones are two bytes on, and zeros stay zeros. */
static inline struct halves split(__m256i weights, __m256i pairs) {
    struct halves halves = {.low = _mm256_shuffle_epi8(weights, pairs)};
    pairs = _mm256_add_epi8(pairs, _mm256_set1_epi8(2));
    /* One more where the low half is negative. */
    __m256i carry = _mm256_srai_epi16(halves.low, 15);
    halves.high = _mm256_sub_epi16(_mm256_shuffle_epi8(weights, pairs), carry);
    return halves;
}

static inline __m256i products(__m256i pixels, struct halves weights) {
    __m256i high = _mm256_slli_epi32(_mm256_madd_epi16(pixels, weights.high), 16);
    return _mm256_add_epi32(high, _mm256_madd_epi16(pixels, weights.low));
}

/* The channels of output i, a row in each 32 bits. `channels` is a constant. */
static inline __m128i resize_pixel(const uint8_t *const rows[RESAMPLE_ROWS],
                                   const struct resample_taps *taps, size_t i, size_t channels) {
    const __m256i order = load256(pair_pixels[channels - 1]);
    const __m256i pairs = load256(pair_weights[channels - 1]);
    const int32_t *weights = taps->weights + i * taps->stride, *end = weights + taps->taps[i];
    size_t begin = taps->first[i] * channels, step = step_of(channels);
    __m256i sums[RESAMPLE_ROWS];
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) sums[r] = _mm256_setzero_si256();
    for (; weights < end; weights += step, begin += step * channels) {
        __m256i group = channels > 2 ? load_both(weights) : load256(weights);
        struct halves halves = split(group, pairs);
        for (size_t r = 0; r < RESAMPLE_ROWS; r++) {
            __m256i pixels = _mm256_shuffle_epi8(load_both(rows[r] + begin), order);
            sums[r] = _mm256_add_epi32(sums[r], products(pixels, halves));
        }
    }
    __m128i total[RESAMPLE_ROWS];
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) {
        __m128i sum =
            _mm_add_epi32(_mm256_castsi256_si128(sums[r]), _mm256_extracti128_si256(sums[r], 1));
        if (channels <= 2) sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
        sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (RESAMPLE_BITS - 1)));
        total[r] = _mm_srai_epi32(sum, RESAMPLE_BITS);
    }
    return _mm_packus_epi16(_mm_packs_epi32(total[0], total[1]),
                            _mm_packs_epi32(total[2], total[3]));
}

/* The last outputs, for which loads would reach beyond the rows, are left to portable C. */
static inline void resize_rows(uint8_t *const out[RESAMPLE_ROWS],
                               const uint8_t *const rows[RESAMPLE_ROWS],
                               const struct resample_taps *taps, size_t channels) {
    size_t step = step_of(channels), i = 0;
    for (; i < taps->count; i++) {
        size_t last = taps->first[i] + (taps->taps[i] - 1) / step * step;
        if (last * channels + LOAD > taps->span * channels) break;
        uint32_t pixels[RESAMPLE_ROWS];
        _mm_storeu_si128((void *)pixels, resize_pixel(rows, taps, i, channels));
        for (size_t r = 0; r < RESAMPLE_ROWS; r++)
            memcpy(out[r] + i * channels, &pixels[r], channels);
    }
    if (i == taps->count) return;
    struct resample_taps rest = *taps;
    rest.count -= i;
    rest.first += i;
    rest.taps += i;
    rest.weights += i * taps->stride;
    uint8_t *end[RESAMPLE_ROWS];
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) end[r] = out[r] + i * channels;
    resample_kernels_generic.horizontal(end, rows, &rest, channels);
}

static void horizontal(uint8_t *const out[RESAMPLE_ROWS], const uint8_t *const rows[RESAMPLE_ROWS],
                       const struct resample_taps *taps, size_t channels) {
    switch (channels) {
    case 1: resize_rows(out, rows, taps, 1); return;
    case 2: resize_rows(out, rows, taps, 2); return;
    case 3: resize_rows(out, rows, taps, 3); return;
    case 4: resize_rows(out, rows, taps, 4); return;
    default: assert(!"one to four channels");
    }
}

/* COLUMNS bytes from two rows at a time; the row under an odd last one has weight 0. */
static inline void resize_columns(uint8_t *out, const uint8_t *const *rows, size_t column,
                                  const int32_t *weights, uint32_t taps) {
    const __m256i pairs = _mm256_set1_epi32(0x05040100), zero = _mm256_setzero_si256();
    __m256i sums[4] = {zero, zero, zero, zero};
    for (uint32_t k = 0; k < taps; k += 2) {
        __m128i two = _mm_loadl_epi64((const void *)(weights + k));
        struct halves halves = split(_mm256_broadcastq_epi64(two), pairs);
        __m256i upper = load256(rows[k] + column);
        __m256i lower = load256(rows[k + (k + 1 < taps)] + column);
        __m256i first = _mm256_unpacklo_epi8(upper, lower);
        __m256i second = _mm256_unpackhi_epi8(upper, lower);
        sums[0] = _mm256_add_epi32(sums[0], products(_mm256_unpacklo_epi8(first, zero), halves));
        sums[1] = _mm256_add_epi32(sums[1], products(_mm256_unpackhi_epi8(first, zero), halves));
        sums[2] = _mm256_add_epi32(sums[2], products(_mm256_unpacklo_epi8(second, zero), halves));
        sums[3] = _mm256_add_epi32(sums[3], products(_mm256_unpackhi_epi8(second, zero), halves));
    }
    __m256i total[4];
    for (size_t i = 0; i < 4; i++) {
        __m256i sum = _mm256_add_epi32(sums[i], _mm256_set1_epi32(1 << (RESAMPLE_BITS - 1)));
        total[i] = _mm256_srai_epi32(sum, RESAMPLE_BITS);
    }
    /* The unpacking went by lanes, and so does this. */
    __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(total[0], total[1]),
                                        _mm256_packs_epi32(total[2], total[3]));
    _mm256_storeu_si256((void *)(out + column), bytes);
}

static void vertical(uint8_t *out, const uint8_t *const *rows, const int32_t *weights,
                     uint32_t taps, size_t size) {
    if (size < COLUMNS) {
        resample_kernels_generic.vertical(out, rows, weights, taps, size);
        return;
    }
    size_t last = size - COLUMNS; /* some of the last columns are computed twice */
    for (size_t i = 0; i < last; i += COLUMNS) resize_columns(out, rows, i, weights, taps);
    resize_columns(out, rows, last, weights, taps);
}

const struct resample_kernels resample_kernels_avx2 = {
    .name = "avx2",
    .horizontal = horizontal,
    .vertical = vertical,
};
#endif
