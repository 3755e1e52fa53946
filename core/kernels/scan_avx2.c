/* scan_avx2.c - the scan with AVX2 and FMA.
 *
 * int8: vpmaddubsw adds two products of a row's unsigned and a query's signed byte, which
 * cannot saturate (see scan.c), vpmaddwd the halves to 32 bits. Rows become unsigned by
 * adding 128; what that adds to a sum depends on the query alone. Tiles have 8 sums at
 * most, which leaves registers for the rows. A tile's rows are several streams, which the
 * hardware does not foresee: each tile asks for the next one's bytes, as many as it reads. */
#include "core/kernels/scan_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    SUMS = 8,
    BYTES = 32, /* of a vector */
    FLOATS = 8,
    LINE = 64,
    BYTES_AT_ONCE = 2 * BYTES, /* in several sums, so that they do not wait for each other */
    FLOATS_AT_ONCE = 4 * FLOATS,
};

static inline __m256i load_int8(const char *row, size_t i) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(row + i));
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

static inline __m128i add_lanes_int(__m256i a, __m256i b, __m256i c, __m256i d) {
    __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

/* What a sum begins with, so that it ends as it should. */
static inline __m256i less_excess(const char *query, size_t stride) {
    return _mm256_zextsi128_si256(_mm_cvtsi32_si128(-scan_query_excess(query, stride)));
}

/* Of the next rows' bytes, those that lie as far in them as `at` in these. GCC takes a
 * function that does nothing else for one without effect, unless it is always inlined. */
__attribute__((always_inline)) static inline void fetch_ahead(const struct scan_tile *tile,
                                                              size_t rows, size_t at, size_t size) {
    const char *ahead = tile->row + rows * (tile->row_bytes + at);
    for (size_t i = 0; i < rows * size; i += LINE) _mm_prefetch(ahead + i, _MM_HINT_T0);
}

__attribute__((always_inline)) static inline void
tile_int8_of(const struct scan_tile *tile, const size_t rows, const size_t queries) {
    const __m256i bias = _mm256_set1_epi8(-128), ones = _mm256_set1_epi16(1);
    __m256i sum[SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SUMS; i++) {
        const char *query = tile->query[i % queries];
        sum[i] = i < rows * queries ? less_excess(query, tile->stride) : _mm256_setzero_si256();
    }
    for (size_t k = 0; k < tile->stride; k += BYTES) {
        __m256i row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++)
            row[i] = _mm256_xor_si256(load_int8(tile->row + i * tile->row_bytes, k), bias);
        fetch_ahead(tile, rows, k, BYTES);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m256i value = load_int8(tile->query[q], k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++) {
                __m256i pairs = _mm256_maddubs_epi16(row[i], value);
                __m256i fours = _mm256_madd_epi16(pairs, ones);
                sum[i * queries + q] = _mm256_add_epi32(sum[i * queries + q], fours);
            }
        }
    }
    float sums[SUMS];
    for (size_t i = 0; i < SUMS; i += 4) {
        __m128i four = add_lanes_int(sum[i], sum[i + 1], sum[i + 2], sum[i + 3]);
        _mm_storeu_ps(sums + i, _mm_cvtepi32_ps(four));
    }
    for (size_t i = 0; i < rows * queries; i++)
        tile->sums[i / queries * SCAN_TILE + i % queries] = sums[i];
}

typedef __m256 load_fn(const char *row, size_t i);

__attribute__((always_inline)) static inline void tile_float_of(const struct scan_tile *tile,
                                                                const size_t rows,
                                                                const size_t queries, load_fn *load,
                                                                const size_t element_bytes) {
    __m256 sum[SUMS];
#pragma GCC unroll 8
    for (size_t i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_ps();
    for (size_t k = 0; k < tile->stride; k += FLOATS) {
        __m256 row[SCAN_TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) row[i] = load(tile->row + i * tile->row_bytes, k);
        fetch_ahead(tile, rows, k * element_bytes, FLOATS * element_bytes);
#pragma GCC unroll 4
        for (size_t q = 0; q < queries; q++) {
            __m256 value = load_fp32(tile->query[q], k);
#pragma GCC unroll 4
            for (size_t i = 0; i < rows; i++)
                sum[i * queries + q] = _mm256_fmadd_ps(row[i], value, sum[i * queries + q]);
        }
    }
    float sums[SUMS];
    for (size_t i = 0; i < SUMS; i += 4)
        _mm_storeu_ps(sums + i, add_lanes(sum[i], sum[i + 1], sum[i + 2], sum[i + 3]));
    for (size_t i = 0; i < rows * queries; i++)
        tile->sums[i / queries * SCAN_TILE + i % queries] = sums[i];
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

/* Both sides are signed: |a| * (b with the sign of a). 2 * 127 * 127 < 2^15. */
static float pair_int8(const void *a, const void *b, size_t stride) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t k = 0; k < stride; k += BYTES_AT_ONCE) {
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            __m256i left = load_int8(a, k + i * BYTES), right = load_int8(b, k + i * BYTES);
            __m256i pairs =
                _mm256_maddubs_epi16(_mm256_abs_epi8(left), _mm256_sign_epi8(right, left));
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(pairs, ones));
        }
    }
    __m256i all = _mm256_add_epi32(sum[0], sum[1]);
    return (float)_mm_cvtsi128_si32(add_lanes_int(all, all, all, all));
}

static float pair_bf16(const void *a, const void *b, size_t stride) {
    __m256 sum[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) sum[i] = _mm256_setzero_ps();
    for (size_t k = 0; k < stride; k += FLOATS_AT_ONCE) {
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            size_t at = k + i * FLOATS;
            sum[i] = _mm256_fmadd_ps(load_bf16(a, at), load_bf16(b, at), sum[i]);
        }
    }
    __m256 all = _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3]));
    return _mm_cvtss_f32(add_lanes(all, all, all, all));
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
