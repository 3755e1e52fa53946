/* scan_avx2.c - the scan with AVX2 and FMA.
 *
 * int8: bytes are widened to 16 bits, so that vpmaddwd adds pairs of products to 32 bits
 * without saturation; the queries come widened. A tile of 4 rows and a query, or 2 rows
 * and 4 queries, has 8 sums at most, which leaves registers for the rows. */
#include "core/kernels/scan_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { SUMS = 8, HALVES = 16 /* elements of 16 bits in a vector */, FLOATS = 8 };

static inline __m256i load_int8(const char *row, size_t i) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(row + i)));
}

static inline __m256 load_bf16(const char *row, size_t i) {
    __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(row + 2 * i));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

static inline __m256 load_fp32(const char *row, size_t i) {
    return _mm256_loadu_ps((const float *)(const void *)row + i);
}

/* The lanes of four vectors, each added in the same order. */
static inline __m128 add_lanes(__m256 a, __m256 b, __m256 c, __m256 d) {
    __m256 sum = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
}

static inline __m128 add_lanes_int(__m256i a, __m256i b, __m256i c, __m256i d) {
    __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_cvtepi32_ps(
        _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
}

/* Four sums at a time, as they lie: query by query, row by row. */
static inline void store_sums(const struct scan_tile *tile, const __m128 four[2], size_t rows,
                              size_t queries) {
    float sums[SUMS];
    _mm_storeu_ps(sums, four[0]);
    _mm_storeu_ps(sums + 4, four[1]);
    for (size_t i = 0; i < rows * queries; i++)
        tile->sums[i / queries * SCAN_TILE + i % queries] = sums[i];
}

__attribute__((always_inline)) static inline void
tile_int8_of(const struct scan_tile *tile, const size_t rows, const size_t queries) {
    __m256i sum[SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_si256();
    for (size_t k = 0; k < tile->stride; k += HALVES) {
        __m256i row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) row[i] = load_int8(tile->row + i * tile->row_bytes, k);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            const __m256i *query = (const __m256i *)(const void *)(tile->query[q] + 2 * k);
            __m256i value = _mm256_loadu_si256(query);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++) {
                __m256i product = _mm256_madd_epi16(row[i], value);
                sum[i * queries + q] = _mm256_add_epi32(sum[i * queries + q], product);
            }
        }
    }
    __m128 four[2] = {add_lanes_int(sum[0], sum[1], sum[2], sum[3]),
                      add_lanes_int(sum[4], sum[5], sum[6], sum[7])};
    store_sums(tile, four, rows, queries);
}

typedef __m256 load_fn(const char *row, size_t i);

__attribute__((always_inline)) static inline void tile_float_of(const struct scan_tile *tile,
                                                                const size_t rows,
                                                                const size_t queries,
                                                                load_fn *load) {
    __m256 sum[SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_ps();
    for (size_t k = 0; k < tile->stride; k += FLOATS) {
        __m256 row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) row[i] = load(tile->row + i * tile->row_bytes, k);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m256 value = load_fp32(tile->query[q], k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sum[i * queries + q] = _mm256_fmadd_ps(row[i], value, sum[i * queries + q]);
        }
    }
    __m128 four[2] = {add_lanes(sum[0], sum[1], sum[2], sum[3]),
                      add_lanes(sum[4], sum[5], sum[6], sum[7])};
    store_sums(tile, four, rows, queries);
}

static void tile_int8(const struct scan_tile *tile, size_t rows, size_t queries) {
    switch (rows == 1 ? queries : queries + SCAN_TILE) {
    case 1: tile_int8_of(tile, 1, 1); break;
    case 2: tile_int8_of(tile, 1, 2); break;
    case 3: tile_int8_of(tile, 1, 3); break;
    case 4: tile_int8_of(tile, 1, 4); break;
    case 5: tile_int8_of(tile, 4, 1); break;
    case 6: tile_int8_of(tile, 4, 2); break;
    case 7: tile_int8_of(tile, 2, 3); break;
    default: tile_int8_of(tile, 2, 4); break;
    }
}

__attribute__((always_inline)) static inline void
tile_float(const struct scan_tile *tile, size_t rows, size_t queries, load_fn *load) {
    switch (rows == 1 ? queries : queries + SCAN_TILE) {
    case 1: tile_float_of(tile, 1, 1, load); break;
    case 2: tile_float_of(tile, 1, 2, load); break;
    case 3: tile_float_of(tile, 1, 3, load); break;
    case 4: tile_float_of(tile, 1, 4, load); break;
    case 5: tile_float_of(tile, 4, 1, load); break;
    case 6: tile_float_of(tile, 4, 2, load); break;
    case 7: tile_float_of(tile, 2, 3, load); break;
    default: tile_float_of(tile, 2, 4, load); break;
    }
}

static void tile_bf16(const struct scan_tile *tile, size_t rows, size_t queries) {
    tile_float(tile, rows, queries, load_bf16);
}

static void tile_fp32(const struct scan_tile *tile, size_t rows, size_t queries) {
    tile_float(tile, rows, queries, load_fp32);
}

static float pair_int8(const void *a, const void *b, size_t stride) {
    __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t k = 0; k < stride; k += 2 * HALVES) {
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            __m256i product =
                _mm256_madd_epi16(load_int8(a, k + i * HALVES), load_int8(b, k + i * HALVES));
            sum[i] = _mm256_add_epi32(sum[i], product);
        }
    }
    __m256i zero = _mm256_setzero_si256();
    return _mm_cvtss_f32(add_lanes_int(_mm256_add_epi32(sum[0], sum[1]), zero, zero, zero));
}

static float pair_bf16(const void *a, const void *b, size_t stride) {
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t k = 0; k < stride; k += 2 * FLOATS) {
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            size_t at = k + i * FLOATS;
            sum[i] = _mm256_fmadd_ps(load_bf16(a, at), load_bf16(b, at), sum[i]);
        }
    }
    __m256 zero = _mm256_setzero_ps();
    return _mm_cvtss_f32(add_lanes(_mm256_add_ps(sum[0], sum[1]), zero, zero, zero));
}

/* One chain of sums, as in a tile: the bits are the same. */
static float pair_fp32(const void *a, const void *b, size_t stride) {
    __m256 sum = _mm256_setzero_ps(), zero = sum;
    for (size_t k = 0; k < stride; k += FLOATS)
        sum = _mm256_fmadd_ps(load_fp32(a, k), load_fp32(b, k), sum);
    return _mm_cvtss_f32(add_lanes(sum, zero, zero, zero));
}

const struct scan_kernel scan_kernels_avx2[3] = {
    {"avx2", SCAN_INT8, sizeof(int8_t), tile_int8, pair_int8},
    {"avx2", SCAN_BF16, sizeof(uint16_t), tile_bf16, pair_bf16},
    {"avx2", SCAN_FP32, sizeof(float), tile_fp32, pair_fp32},
};
#endif
