/* tile_avx512.h - the inner loop of every AVX-512 matrix product.
 *
 * 8 rows x 32 columns: 16 sums, two vectors of the panel and one broadcast word of A
 * in registers. fp32, bf16 and int8 differ in one instruction, `step`. Per word of k
 * that is 16 multiplications, 10 loads and 2 prefetches; the multipliers are the limit.
 *
 * About gcc 12: it spills the sums when the k loop is unrolled by hand or by pragma, and
 * when there are more than some 20 of them. With the loop left alone, the row loops
 * unrolled by pragma and -O3 it does not. Measured on Zen 4 beside inline assembly of
 * the same loop; one thread, ViT-B/32 shapes, 384 rows, no finish, percent of 117 / 234 /
 * 468 GFLOP/s, fp32 / bf16 / int8:
 *     this, gcc -O3    12 rows 98.0 / 97.4 / 97.5,  8 rows 98.1 / 98.1 / 97.8
 *     this, gcc -O2    12 rows 94.3 / 93.8 / 94.1,  8 rows 96.8 / 96.1 / 95.4
 *     this, clang 14   12 rows 97.5 / 97.2 / 96.6,  8 rows 97.8 / 97.9 / 97.9
 *     one asm block    12 rows 98.4 / 97.9 / 97.6
 * So neither assembly nor clang is needed, but the file must be built with -O3.
 *
 * `always_inline` and the pragmas are the exception to our style that this needs: the
 * height must be a constant for the sums to live in registers.
 */
#ifndef CORE_KERNELS_TILE_AVX512_H
#define CORE_KERNELS_TILE_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"

enum {
    TILE512_ROWS = 8,
    TILE512_COLUMNS = 32,
    TILE512_LINE = 4 * TILE512_COLUMNS, /* bytes */
    TILE512_SPIN = 12,
    TILE512_SPIN_STEPS = 16 * TILE512_SPIN,
};

/* sum + the product of a word of A, in every lane, and 16 words of the panel. */
typedef __m512i tile512_step_fn(__m512i sum, __m512i a, __m512i b);

__attribute__((always_inline)) static inline void
tile512_rows(const struct gemm_tile *tile, const size_t rows, tile512_step_fn *step) {
    const char *a[3], *b = tile->b, *next_a = tile->next_a, *next_b = tile->next_b;
    const size_t stride = tile->a_stride;
    for (size_t i = 0; i < 3; i++) a[i] = (const char *)tile->a + 3 * i * stride;
    __m512i sum[TILE512_ROWS][2];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++) {
        const char *c = (const char *)tile->c + i * tile->c_stride;
        __builtin_prefetch(c, 1);
        __builtin_prefetch(c + 64, 1);
        sum[i][0] = _mm512_setzero_si512();
        sum[i][1] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < tile->words; k++) {
        __m512i b0 = _mm512_load_si512(b), b1 = _mm512_load_si512(b + 64);
        _mm_prefetch(next_b, _MM_HINT_T1);
        _mm_prefetch(next_a, _MM_HINT_T0);
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++) {
            int32_t word;
            memcpy(&word, a[i / 3] + i % 3 * stride, sizeof(word));
            __m512i x = _mm512_set1_epi32(word);
            sum[i][0] = step(sum[i][0], x, b0);
            sum[i][1] = step(sum[i][1], x, b1);
        }
        for (size_t i = 0; i < 3; i++) a[i] += 4;
        b += TILE512_LINE;
        next_b += tile->next_b_step;
        next_a += tile->next_a_step;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++) {
        uint32_t *out = (uint32_t *)tile->sums + i * tile->sums_stride;
        _mm512_store_si512(out, sum[i][0]);
        _mm512_store_si512(out + 16, sum[i][1]);
    }
}

__attribute__((always_inline)) static inline void
tile512_multiply(const struct gemm_tile *tile, size_t rows, tile512_step_fn *step) {
    switch (rows) {
    case 1: tile512_rows(tile, 1, step); break;
    case 2: tile512_rows(tile, 2, step); break;
    case 3: tile512_rows(tile, 3, step); break;
    case 4: tile512_rows(tile, 4, step); break;
    case 5: tile512_rows(tile, 5, step); break;
    case 6: tile512_rows(tile, 6, step); break;
    case 7: tile512_rows(tile, 7, step); break;
    default: tile512_rows(tile, 8, step); break;
    }
}

/* `rounds` times 12 independent steps from registers: the pace of the multipliers. */
__attribute__((always_inline)) static inline uint32_t tile512_spin(size_t rounds,
                                                                   tile512_step_fn *step) {
    __m512i sum[TILE512_SPIN], a = _mm512_set1_epi32(0x01010101);
#pragma GCC unroll 12
    for (size_t i = 0; i < TILE512_SPIN; i++) {
        sum[i] = _mm512_setzero_si512();
        __asm__("" : "+v"(sum[i])); /* the compiler must not see that they are equal */
    }
    for (size_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (size_t i = 0; i < TILE512_SPIN; i++) sum[i] = step(sum[i], a, a);
    }
    __m512i all = sum[0];
#pragma GCC unroll 12
    for (size_t i = 1; i < TILE512_SPIN; i++) all = _mm512_xor_si512(all, sum[i]);
    return (uint32_t)_mm512_reduce_add_epi32(all);
}

#endif
