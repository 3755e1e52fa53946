/* gemm_avx512_bf16.c - bfloat16 products with vdpbf16ps, which adds the products of
 * two neighbouring elements to an fp32 sum. It takes denormals for zero. */
#include "core/kernels/gemm_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/tile_avx512.h"

static inline __m512i step_bf16(__m512i sum, __m512i a, __m512i b) {
    return _mm512_castps_si512(
        _mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)a, (__m512bh)b));
}

static void tile_bf16(const struct gemm_tile *tile, size_t rows) {
    tile512_multiply(tile, rows, step_bf16);
}

static uint32_t spin_bf16(size_t rounds) {
    return tile512_spin(rounds, step_bf16);
}

const struct gemm_kernel gemm_avx512_bf16 = {
    .name = "avx512_bf16",
    .format = "bf16-p32-1",
    .precision = GEMM_BF16,
    .group = 2,
    .columns = TILE512_COLUMNS,
    .tile_rows = TILE512_ROWS,
    .tile = tile_bf16,
    .spin = spin_bf16,
    .spin_steps = TILE512_SPIN_STEPS,
    .finish = gemm_avx512_finish,
};
#endif
