/* gemm_generic.c - the products in portable C: what every other kernel is compared
 * with, and what runs on CPUs that have no kernel of their own. The inner loops run
 * over a fixed number of columns so that the compiler vectorises them, but this is made
 * to be right, not fast: some 6 GFLOP/s in fp32, where BLAS reaches a multiple.
 */
#include <math.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"

enum { ROWS = 4, COLUMNS = 16, LINE = 4 * COLUMNS, WEIGHT_MAX = 127 };

static void tile_fp32(const struct gemm_tile *tile, size_t rows) {
    float sums[ROWS][COLUMNS] = {{0}};
    const float *b = tile->b;
    for (size_t k = 0; k < tile->words; k++, b += COLUMNS) {
        for (size_t i = 0; i < rows; i++) {
            const float a =
                ((const float *)(const void *)((const char *)tile->a + i * tile->a_stride))[k];
            for (size_t j = 0; j < COLUMNS; j++) sums[i][j] += a * b[j];
        }
    }
    for (size_t i = 0; i < rows; i++) {
        memcpy((float *)tile->sums + i * tile->sums_stride, sums[i], sizeof(sums[i]));
    }
}

static void tile_bf16(const struct gemm_tile *tile, size_t rows) {
    float sums[ROWS][COLUMNS] = {{0}};
    const uint32_t *b = tile->b;
    for (size_t k = 0; k < tile->words; k++, b += COLUMNS) {
        for (size_t i = 0; i < rows; i++) {
            const uint16_t *a =
                (const uint16_t *)(const void *)((const char *)tile->a + i * tile->a_stride);
            float a0 = rows_f32_of(a[2 * k]), a1 = rows_f32_of(a[2 * k + 1]);
            for (size_t j = 0; j < COLUMNS; j++) {
                sums[i][j] += a0 * rows_f32_of((uint16_t)b[j]);
                sums[i][j] += a1 * rows_f32_of((uint16_t)(b[j] >> 16));
            }
        }
    }
    for (size_t i = 0; i < rows; i++) {
        memcpy((float *)tile->sums + i * tile->sums_stride, sums[i], sizeof(sums[i]));
    }
}

static void tile_int8(const struct gemm_tile *tile, size_t rows) {
    int32_t sums[ROWS][COLUMNS] = {{0}};
    const int8_t *b = tile->b;
    for (size_t k = 0; k < tile->words; k++, b += LINE) {
        for (size_t i = 0; i < rows; i++) {
            const uint8_t *a = (const uint8_t *)tile->a + i * tile->a_stride + 4 * k;
            for (size_t j = 0; j < COLUMNS; j++) {
                const int8_t *w = b + 4 * j;
                sums[i][j] += a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
            }
        }
    }
    for (size_t i = 0; i < rows; i++) {
        memcpy((int32_t *)tile->sums + i * tile->sums_stride, sums[i], sizeof(sums[i]));
    }
}

/* NaN stays NaN. */
static float relu(float value) {
    return value < 0 ? 0 : value;
}

/* Arguments in double: an error in an exponent's argument is multiplied by its size. */
static float activate(float value, enum gemm_activation activation) {
    const double x = value;
    switch (activation) {
    case GEMM_QUICK_GELU: return value / (1.0f + expf((float)(-1.702 * x)));
    case GEMM_GELU_ERF: return (float)(x * 0.5 * erfc(-x * 0.7071067811865476));
    case GEMM_GELU_TANH: /* (1 + tanh u) / 2 = 1 / (1 + e^-2u), u = sqrt(2/pi) (...) */
        return value / (1.0f + expf((float)(-1.5957691216057308 * x * (1 + 0.044715 * x * x))));
    case GEMM_RELU: return relu(value);
    case GEMM_LINEAR: break;
    }
    return value;
}

static void store(const struct gemm_call *call, size_t at, float value) {
    if (call->output == GEMM_STORE_BF16) {
        ((uint16_t *)call->c)[at] = rows_bf16_of(value);
        return;
    }
    float *c = (float *)call->c + at;
    if (call->output != GEMM_STORE_F32) value += *c;
    *c = call->output == GEMM_ADD_RELU_F32 ? relu(value) : value;
}

void gemm_generic_finish(const struct gemm_weight *weight, const struct gemm_call *call,
                         const struct gemm_area *area, const void *sums) {
    size_t sums_stride = weight->kernel->columns;
    for (size_t i = 0; i < area->rows; i++) {
        size_t row = area->row + i;
        for (size_t j = 0; j < area->columns; j++) {
            size_t column = area->column + j, at = row * call->c_stride + column;
            float value;
            if (weight->scales) {
                const struct row_scale *scale = call->a_scales + row;
                int32_t sum = ((const int32_t *)sums)[i * sums_stride + j];
                sum -= scale->zero * weight->sums[column];
                value = (float)sum * (weight->scales[column] * scale->scale);
            } else {
                value = ((const float *)sums)[i * sums_stride + j];
            }
            if (call->bias) value += call->bias[column];
            value = activate(value, call->activation);
            store(call, at, value);
        }
    }
}

const struct gemm_kernel gemm_generic_fp32 = {
    .name = "generic",
    .format = "fp32-p16-1",
    .precision = GEMM_FP32,
    .group = 1,
    .columns = COLUMNS,
    .tile_rows = ROWS,
    .tile = tile_fp32,
    .finish = gemm_generic_finish,
};

const struct gemm_kernel gemm_generic_bf16 = {
    .name = "generic",
    .format = "bf16-p16-1",
    .precision = GEMM_BF16,
    .group = 2,
    .columns = COLUMNS,
    .tile_rows = ROWS,
    .tile = tile_bf16,
    .finish = gemm_generic_finish,
};

const struct gemm_kernel gemm_generic_int8 = {
    .name = "generic",
    .format = "int8-p16w127-1",
    .precision = GEMM_INT8,
    .group = 4,
    .columns = COLUMNS,
    .tile_rows = ROWS,
    .weight_max = WEIGHT_MAX,
    .tile = tile_int8,
    .finish = gemm_generic_finish,
};
