/* scan_avx512.h - the scan with AVX-512, see scan_avx2.c; what scan_avx512.c and its VNNI
 * twin share. For *_avx512*.c only. */
#ifndef CORE_KERNELS_SCAN_AVX512_H
#define CORE_KERNELS_SCAN_AVX512_H

#include <immintrin.h>

#include "core/kernels/scan_kernel.h"

enum { SCAN512_SUMS = 8, SCAN512_BYTES = 64, SCAN512_FLOATS = 16, SCAN512_LINE = 64 };

/* The lanes of four vectors of integers. */
static inline __m128i scan512_add_lanes(const __m512i sum[4]) {
    __m256i half[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        half[i] =
            _mm256_add_epi32(_mm512_castsi512_si256(sum[i]), _mm512_extracti64x4_epi64(sum[i], 1));
    __m256i all =
        _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

__attribute__((always_inline)) static inline void
scan512_fetch_ahead(const struct scan_tile *tile, size_t rows, size_t at, size_t size) {
    const char *ahead = tile->row + rows * (tile->row_bytes + at);
    for (size_t i = 0; i < rows * size; i += SCAN512_LINE) _mm_prefetch(ahead + i, _MM_HINT_T0);
}

/* sum + the products, four by four, of unsigned bytes a and signed bytes b. */
typedef __m512i scan512_step_fn(__m512i sum, __m512i a, __m512i b);

__attribute__((always_inline)) static inline void scan512_tile_of(const struct scan_tile *tile,
                                                                  const size_t rows,
                                                                  const size_t queries,
                                                                  scan512_step_fn *step) {
    const __m512i bias = _mm512_set1_epi8(-128);
    __m512i sum[SCAN512_SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SCAN512_SUMS; i++) sum[i] = _mm512_setzero_si512();
    for (size_t k = 0; k < tile->stride; k += SCAN512_BYTES) {
        __m512i row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++)
            row[i] =
                _mm512_xor_si512(_mm512_loadu_si512(tile->row + i * tile->row_bytes + k), bias);
        scan512_fetch_ahead(tile, rows, k, SCAN512_BYTES);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m512i value = _mm512_loadu_si512(tile->query[q] + k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sum[i * queries + q] = step(sum[i * queries + q], row[i], value);
        }
    }
    int32_t sums[SCAN512_SUMS];
    for (size_t i = 0; i < SCAN512_SUMS; i += 4)
        _mm_storeu_si128((__m128i *)(void *)(sums + i), scan512_add_lanes(sum + i));
    for (size_t q = 0; q < queries; q++) {
        int32_t excess = scan_query_excess(tile->query[q], tile->stride);
        for (size_t i = 0; i < rows; i++)
            tile->sums[i * SCAN_TILE + q] = (float)(sums[i * queries + q] - excess);
    }
}

__attribute__((always_inline)) static inline void
scan512_tile(const struct scan_tile *tile, size_t rows, size_t queries, scan512_step_fn *step) {
    switch (rows == 1 ? queries : queries + SCAN_TILE) {
    case 1: scan512_tile_of(tile, 1, 1, step); break;
    case 2: scan512_tile_of(tile, 1, 2, step); break;
    case 3: scan512_tile_of(tile, 1, 3, step); break;
    case 4: scan512_tile_of(tile, 1, 4, step); break;
    case 5: scan512_tile_of(tile, 4, 1, step); break;
    case 6: scan512_tile_of(tile, 4, 2, step); break;
    case 7: scan512_tile_of(tile, 2, 3, step); break;
    default: scan512_tile_of(tile, 2, 4, step); break;
    }
}

/* Both sides are signed: |a| * (b with the sign of a). */
__attribute__((always_inline)) static inline float
scan512_pair(const char *a, const char *b, size_t stride, scan512_step_fn *step) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i sum[4] = {zero, zero, zero, zero};
    for (size_t k = 0; k < stride; k += SCAN512_BYTES) {
        __m512i left = _mm512_loadu_si512(a + k), right = _mm512_loadu_si512(b + k);
        __mmask64 negative = _mm512_movepi8_mask(left);
        right = _mm512_mask_sub_epi8(right, negative, zero, right);
        sum[0] = step(sum[0], _mm512_abs_epi8(left), right);
    }
    return (float)_mm_cvtsi128_si32(scan512_add_lanes(sum));
}

#endif
