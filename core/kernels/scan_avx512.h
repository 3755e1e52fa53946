/* scan_avx512.h - the scan with AVX-512, see scan_avx2.c; what scan_avx512.c and its VNNI
 * twin share. For *_avx512*.c only. */
#ifndef CORE_KERNELS_SCAN_AVX512_H
#define CORE_KERNELS_SCAN_AVX512_H

#include <immintrin.h>

#include "core/kernels/scan_kernel.h"

enum { SCAN512_SUMS = 8, SCAN512_HALVES = 32, SCAN512_FLOATS = 16 };

static inline __m512i scan512_load_int8(const char *row, size_t i) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(row + i)));
}

/* The lanes of four vectors of integers. */
static inline __m128 scan512_add_lanes(const __m512i sum[4]) {
    __m256i half[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        half[i] =
            _mm256_add_epi32(_mm512_castsi512_si256(sum[i]), _mm512_extracti64x4_epi64(sum[i], 1));
    __m256i all =
        _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
    return _mm_cvtepi32_ps(
        _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
}

static inline void scan512_store_sums(const struct scan_tile *tile, const __m128 four[2],
                                      size_t rows, size_t queries) {
    float sums[SCAN512_SUMS];
    _mm_storeu_ps(sums, four[0]);
    _mm_storeu_ps(sums + 4, four[1]);
    for (size_t i = 0; i < rows * queries; i++)
        tile->sums[i / queries * SCAN_TILE + i % queries] = sums[i];
}

/* sum + the pairs of products of a and b. */
typedef __m512i scan512_step_fn(__m512i sum, __m512i a, __m512i b);

__attribute__((always_inline)) static inline void scan512_tile_of(const struct scan_tile *tile,
                                                                  const size_t rows,
                                                                  const size_t queries,
                                                                  scan512_step_fn *step) {
    __m512i sum[SCAN512_SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SCAN512_SUMS; i++) sum[i] = _mm512_setzero_si512();
    for (size_t k = 0; k < tile->stride; k += SCAN512_HALVES) {
        __m512i row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++)
            row[i] = scan512_load_int8(tile->row + i * tile->row_bytes, k);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m512i value = _mm512_loadu_si512(tile->query[q] + 2 * k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sum[i * queries + q] = step(sum[i * queries + q], row[i], value);
        }
    }
    __m128 four[2] = {scan512_add_lanes(sum), scan512_add_lanes(sum + 4)};
    scan512_store_sums(tile, four, rows, queries);
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

__attribute__((always_inline)) static inline float
scan512_pair(const char *a, const char *b, size_t stride, scan512_step_fn *step) {
    __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                      _mm512_setzero_si512()};
    for (size_t k = 0; k < stride; k += SCAN512_HALVES)
        sum[0] = step(sum[0], scan512_load_int8(a, k), scan512_load_int8(b, k));
    return _mm_cvtss_f32(scan512_add_lanes(sum));
}

#endif
