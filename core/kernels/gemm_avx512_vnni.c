/* gemm_avx512_vnni.c - int8 products with vpdpbusd: four unsigned bytes of A times
 * four signed bytes of W, added to an int32 sum without saturation. */
#include "core/kernels/gemm_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/tile_avx512.h"

static inline __m512i step_int8(__m512i sum, __m512i a, __m512i b) {
    return _mm512_dpbusd_epi32(sum, a, b);
}

static void tile_int8(const struct gemm_tile *tile, size_t rows) {
    tile512_multiply(tile, rows, step_int8);
}

static uint32_t spin_int8(size_t rounds) {
    return tile512_spin(rounds, step_int8);
}

const struct gemm_kernel gemm_avx512_vnni = {
    .name = "avx512_vnni",
    .format = "int8-p32w127-1",
    .precision = GEMM_INT8,
    .group = 4,
    .columns = TILE512_COLUMNS,
    .tile_rows = TILE512_ROWS,
    .weight_max = 127,
    .tile = tile_int8,
    .spin = spin_int8,
    .spin_steps = TILE512_SPIN_STEPS,
    .finish = gemm_avx512_finish,
};
#endif
