/* scan_avx512_vnni.c - the int8 scan with AVX-512 VNNI, whose one instruction does what
 * takes three without. */
#include "core/kernels/scan_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/scan_avx512.h"

static inline __m512i step(__m512i sum, __m512i a, __m512i b) {
    return _mm512_dpbusd_epi32(sum, a, b);
}

static void tile_int8(const struct scan_tile *tile, size_t rows, size_t queries) {
    scan512_tile(tile, rows, queries, step);
}

static float pair_int8(const void *a, const void *b, size_t stride) {
    return scan512_pair(a, b, stride, step);
}

const struct scan_kernel scan_kernel_avx512_vnni = {"avx512_vnni", SCAN_INT8, sizeof(int8_t),
                                                    tile_int8, pair_int8};
#endif
