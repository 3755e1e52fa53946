/* scan_avx512.c - the scan with AVX-512; scan_avx2.c says how. */
#include "core/kernels/scan_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/scan_avx512.h"

static inline __m512 load_bf16(const char *row, size_t i) {
    __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)(row + 2 * i));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

static inline __m512 load_fp32(const char *row, size_t i) {
    return _mm512_loadu_ps(row + sizeof(float) * i);
}

/* The lanes of four vectors, each added in the same order. */
static inline __m128 add_lanes(const __m512 sum[4]) {
    __m256 half[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        half[i] = _mm256_add_ps(_mm512_castps512_ps256(sum[i]), _mm512_extractf32x8_ps(sum[i], 1));
    __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

typedef __m512 load_fn(const char *row, size_t i);

__attribute__((always_inline)) static inline void tile_float_of(const struct scan_tile *tile,
                                                                const size_t rows,
                                                                const size_t queries, load_fn *load,
                                                                const size_t element_bytes) {
    __m512 sum[SCAN512_SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SCAN512_SUMS; i++) sum[i] = _mm512_setzero_ps();
    for (size_t k = 0; k < tile->stride; k += SCAN512_FLOATS) {
        __m512 row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) row[i] = load(tile->row + i * tile->row_bytes, k);
        scan512_fetch_ahead(tile, rows, k * element_bytes, SCAN512_FLOATS * element_bytes);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m512 value = load_fp32(tile->query[q], k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sum[i * queries + q] = _mm512_fmadd_ps(row[i], value, sum[i * queries + q]);
        }
    }
    float sums[SCAN512_SUMS];
    for (size_t i = 0; i < SCAN512_SUMS; i += 4) _mm_storeu_ps(sums + i, add_lanes(sum + i));
    for (size_t i = 0; i < rows * queries; i++)
        tile->sums[i / queries * SCAN_TILE + i % queries] = sums[i];
}

__attribute__((always_inline)) static inline void tile_float(const struct scan_tile *tile,
                                                             size_t rows, size_t queries,
                                                             load_fn *load,
                                                             const size_t element_bytes) {
    switch (rows == 1 ? queries : queries + SCAN_TILE) {
    case 1: tile_float_of(tile, 1, 1, load, element_bytes); break;
    case 2: tile_float_of(tile, 1, 2, load, element_bytes); break;
    case 3: tile_float_of(tile, 1, 3, load, element_bytes); break;
    case 4: tile_float_of(tile, 1, 4, load, element_bytes); break;
    case 5: tile_float_of(tile, 4, 1, load, element_bytes); break;
    case 6: tile_float_of(tile, 4, 2, load, element_bytes); break;
    case 7: tile_float_of(tile, 2, 3, load, element_bytes); break;
    default: tile_float_of(tile, 2, 4, load, element_bytes); break;
    }
}

static void tile_bf16(const struct scan_tile *tile, size_t rows, size_t queries) {
    tile_float(tile, rows, queries, load_bf16, sizeof(uint16_t));
}

static void tile_fp32(const struct scan_tile *tile, size_t rows, size_t queries) {
    tile_float(tile, rows, queries, load_fp32, sizeof(float));
}

/* One chain of sums, as in a tile: the bits are the same. */
__attribute__((always_inline)) static inline float pair_float(const char *a, const char *b,
                                                              size_t stride, load_fn *load) {
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
    for (size_t k = 0; k < stride; k += SCAN512_FLOATS)
        sum[0] = _mm512_fmadd_ps(load(a, k), load(b, k), sum[0]);
    return _mm_cvtss_f32(add_lanes(sum));
}

static float pair_bf16(const void *a, const void *b, size_t stride) {
    return pair_float(a, b, stride, load_bf16);
}

static float pair_fp32(const void *a, const void *b, size_t stride) {
    return pair_float(a, b, stride, load_fp32);
}

static inline __m512i step(__m512i sum, __m512i a, __m512i b) {
    __m512i pairs = _mm512_maddubs_epi16(a, b);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

static void tile_int8(const struct scan_tile *tile, size_t rows, size_t queries) {
    scan512_tile(tile, rows, queries, step);
}

static float pair_int8(const void *a, const void *b, size_t stride) {
    return scan512_pair(a, b, stride, step);
}

const struct scan_kernel scan_kernels_avx512[3] = {
    {"avx512", SCAN_INT8, sizeof(int8_t), tile_int8, pair_int8},
    {"avx512", SCAN_BF16, sizeof(uint16_t), tile_bf16, pair_bf16},
    {"avx512", SCAN_FP32, sizeof(float), tile_fp32, pair_fp32},
};
#endif
