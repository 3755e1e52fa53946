/* gemm_kernel.h - what an instruction set brings to gemm.c and attention.c. Internal.
 *
 * A kernel is two functions. `tile` multiplies a few rows with one panel and leaves
 * the raw sums in a scratch tile that stays in L1; `finish` turns sums into results.
 * Keeping them apart costs one trip through L1 per tile (under 1 %) and gives every
 * precision of an instruction set the same `finish`.
 */
#ifndef CORE_KERNELS_GEMM_KERNEL_H
#define CORE_KERNELS_GEMM_KERNEL_H

#include <stddef.h>

#include "core/kernels/gemm.h"

enum { GEMM_TILE_WORDS = 4096 }; /* tile_rows * columns is at most this */

/* All that `tile` reads and writes is counted in 32-bit words: one float, two
 * bfloat16 or four bytes of A; one sum. */
struct gemm_tile {
    const void *a; /* [rows][words], rows a_stride bytes apart */
    size_t a_stride;
    const void *b; /* the panel: [words][columns], 64-byte aligned */
    size_t words;  /* of k */
    void *sums;    /* out: [rows][columns], rows sums_stride words apart, 64-byte aligned */
    size_t sums_stride;
    /* Memory that is used soon, to be asked for while multiplying; hints only. Of
     * next_a and next_b one line is fetched per word of k, stepping on so many bytes. */
    const void *next_a, *next_b;
    size_t next_a_step, next_b_step;
    const void *c; /* [rows], c_stride bytes apart, about to be written */
    size_t c_stride;
};

/* The part of C that a tile covers. */
struct gemm_area {
    size_t row, rows;
    size_t column, columns;
};

typedef void gemm_tile_fn(const struct gemm_tile *tile, size_t rows);
typedef void gemm_finish_fn(const struct gemm_weight *weight, const struct gemm_call *call,
                            const struct gemm_area *area, const void *sums);

struct gemm_kernel {
    const char *name, *format;
    enum gemm_precision precision;
    size_t group;     /* elements in a word: 1, 2, 4 */
    size_t columns;   /* of a panel */
    size_t tile_rows; /* the most that `tile` takes */
    int weight_max;   /* int8: packed weights lie in +-weight_max */
    gemm_tile_fn *tile;
    gemm_finish_fn *finish;
    /* For peak.h, or NULL: does spin_steps words times words per round, from registers,
     * and returns a number that depends on all of them. */
    uint32_t (*spin)(size_t rounds);
    size_t spin_steps;
};

extern const struct gemm_kernel gemm_blas_fp32;
extern const struct gemm_kernel gemm_generic_fp32, gemm_generic_bf16, gemm_generic_int8;
extern const struct gemm_kernel gemm_avx2_fp32, gemm_avx2_bf16, gemm_avx2_int8;
extern const struct gemm_kernel gemm_avx512_fp32, gemm_avx512_bf16, gemm_avx512_vnni;

/* `finish` of every AVX-512 kernel; in gemm_avx512.c. */
gemm_finish_fn gemm_avx512_finish;
/* `finish` of the portable kernels; in gemm_generic.c. */
gemm_finish_fn gemm_generic_finish;

#endif
