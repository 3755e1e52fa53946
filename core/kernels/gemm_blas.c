/* gemm_blas.c - fp32 products by the system's BLAS, for CPUs that have no kernel of their
 * own.
 *
 * BLAS promises nothing about the order of its sums, and takes other paths for other
 * sizes. So every call here has the same size: 8 rows (missing ones are zeros) times
 * the 128 columns of a panel (missing ones are packed as zeros), in steps of 256 along
 * k. Eight rows because its kernels cut more than that into blocks of several heights,
 * each with its own order of sums (Haswell's: 12 and 4). Then a row's result depends on
 * nothing but the row. The encoder runs one batch per worker thread, so BLAS itself must
 * stay single threaded: gemm_blas_init().
 */
#include <cblas.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"

enum { ROWS = 8, COLUMNS = 128, STEP = 256 };

_Static_assert(ROWS *COLUMNS <= GEMM_TILE_WORDS, "the sums must fit the scratch tile");

void gemm_blas_init(void) {
    openblas_set_num_threads(1);
}

static const float *row_of(const struct gemm_tile *tile, size_t row) {
    return (const float *)(const void *)((const char *)tile->a + row * tile->a_stride);
}

static void tile_blas(const struct gemm_tile *tile, size_t rows) {
    float padded[ROWS][STEP];
    size_t a_stride = tile->a_stride / sizeof(float);
    if (rows < ROWS) memset(padded, 0, sizeof(padded));
    for (size_t k = 0; k < tile->words; k += STEP) {
        size_t step = tile->words - k < STEP ? tile->words - k : STEP;
        const float *a = row_of(tile, 0) + k;
        if (rows < ROWS) {
            for (size_t i = 0; i < rows; i++) {
                memcpy(padded[i], row_of(tile, i) + k, step * sizeof(float));
            }
            a = padded[0];
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, COLUMNS, (blasint)step, 1, a,
                    (blasint)(rows < ROWS ? STEP : a_stride), (const float *)tile->b + k * COLUMNS,
                    COLUMNS, k ? 1 : 0, tile->sums, (blasint)tile->sums_stride);
    }
}

const struct gemm_kernel gemm_blas_fp32 = {
    .name = "blas",
    .format = "fp32-p128-1",
    .precision = GEMM_FP32,
    .group = 1,
    .columns = COLUMNS,
    .tile_rows = ROWS,
    .tile = tile_blas,
    .finish = gemm_generic_finish,
};
