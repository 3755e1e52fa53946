/* gemm_avx512.c - fp32 products, and the finish of all AVX-512 products.
 *
 * Needs AVX-512 F, BW, DQ, VL only. The last panel of a weight may be partly empty:
 * its columns are masked on load and store, and go through the same instructions.
 */
#include "core/kernels/gemm_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/math_avx512.h"
#include "core/kernels/tile_avx512.h"

static inline __m512i step_fp32(__m512i sum, __m512i a, __m512i b) {
    return _mm512_castps_si512(
        _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _mm512_castsi512_ps(sum)));
}

static void tile_fp32(const struct gemm_tile *tile, size_t rows) {
    tile512_multiply(tile, rows, step_fp32);
}

static uint32_t spin_fp32(size_t rounds) {
    return tile512_spin(rounds, step_fp32);
}

/* What a vector of 16 columns needs, loaded once per tile. */
struct column_set {
    __mmask16 lanes;
    __m512 bias, scale;
    __m512i sum;
};

static inline struct column_set load_columns(const struct gemm_weight *weight, const float *bias,
                                             size_t column, size_t count) {
    struct column_set set = {.lanes = math512_lanes(count)};
    set.bias = bias ? _mm512_maskz_loadu_ps(set.lanes, bias + column) : _mm512_setzero_ps();
    set.scale = _mm512_setzero_ps();
    set.sum = _mm512_setzero_si512();
    if (weight->scales) {
        set.scale = _mm512_maskz_loadu_ps(set.lanes, weight->scales + column);
        set.sum = _mm512_maskz_loadu_epi32(set.lanes, weight->sums + column);
    }
    return set;
}

/* Sums to values: bias added, int8 scaled back with the zero point taken out. */
static inline __m512 value_of(const struct column_set *set, const uint32_t *sums,
                              const struct row_scale *row) {
    if (!row) return _mm512_add_ps(_mm512_load_ps(sums), set->bias);
    __m512i zero = _mm512_mullo_epi32(_mm512_set1_epi32(row->zero), set->sum);
    __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_load_si512(sums), zero));
    __m512 scale = _mm512_mul_ps(set->scale, _mm512_set1_ps(row->scale));
    return _mm512_fmadd_ps(value, scale, set->bias);
}

static inline void store(const struct gemm_call *call, size_t at, __mmask16 lanes, __m512 value) {
    if (call->output == GEMM_STORE_BF16) {
        _mm256_mask_storeu_epi16((uint16_t *)call->c + at, lanes, math512_to_bf16(value));
        return;
    }
    float *c = (float *)call->c + at;
    if (call->output != GEMM_STORE_F32) {
        value = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, c), value);
        if (call->output == GEMM_ADD_RELU_F32) value = math512_relu(value);
    }
    _mm512_mask_storeu_ps(c, lanes, value);
}

void gemm_avx512_finish(const struct gemm_weight *weight, const struct gemm_call *call,
                        const struct gemm_area *area, const void *sums) {
    const struct column_set set0 = load_columns(weight, call->bias, area->column, area->columns);
    const struct column_set set1 =
        area->columns > 16 ? load_columns(weight, call->bias, area->column + 16, area->columns - 16)
                           : (struct column_set){0};
    const struct row_scale *rows = weight->scales ? call->a_scales + area->row : NULL;
    for (size_t i = 0; i < area->rows; i++) {
        const uint32_t *row = (const uint32_t *)sums + i * TILE512_COLUMNS;
        const struct row_scale *scale = rows ? rows + i : NULL;
        __m512 x0 = value_of(&set0, row, scale), x1 = value_of(&set1, row + 16, scale);
        x0 = math512_activate(x0, call->activation);
        x1 = math512_activate(x1, call->activation);
        size_t at = (area->row + i) * call->c_stride + area->column;
        store(call, at, set0.lanes, x0);
        if (set1.lanes) store(call, at + 16, set1.lanes, x1);
    }
}

const struct gemm_kernel gemm_avx512_fp32 = {
    .name = "avx512",
    .format = "fp32-p32-1",
    .precision = GEMM_FP32,
    .group = 1,
    .columns = TILE512_COLUMNS,
    .tile_rows = TILE512_ROWS,
    .tile = tile_fp32,
    .spin = spin_fp32,
    .spin_steps = TILE512_SPIN_STEPS,
    .finish = gemm_avx512_finish,
};
#endif
