/* rows_generic.c - the row kernels in portable C: the definition of correct. */
#include <math.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/kernels/rows.h"

enum { BYTE_MAX = 255 };

uint16_t rows_bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if (isnan(value)) return (uint16_t)((bits | 0x400000) >> 16);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float rows_f32_of(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

static void layer_norm(float *out, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon) {
    float mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(variance / (float)n + epsilon);
    for (size_t i = 0; i < n; i++) out[i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

static void to_bf16(uint16_t *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = rows_bf16_of(x[i]);
}

struct row_scale rows_scale_of(float least, float most, float *inverse) {
    const float smallest = 1e-30f; /* below, the inverse may not be a number */
    float range = most - least;
    *inverse = range > smallest ? (float)BYTE_MAX / range : 0;
    struct row_scale row = {.scale = range > smallest ? range / (float)BYTE_MAX : 1};
    if (*inverse > 0) row.zero = (int32_t)lrintf(-least * *inverse);
    return row;
}

static struct row_scale quantize(uint8_t *out, const float *x, size_t n) {
    float least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    float inverse;
    struct row_scale row = rows_scale_of(least, most, &inverse);
    for (size_t i = 0; i < n; i++) {
        float limited = fminf(fmaxf(x[i] * inverse, -BYTE_MAX), BYTE_MAX);
        int32_t value = (int32_t)lrintf(limited) + row.zero;
        out[i] = (uint8_t)(value < 0 ? 0 : value > BYTE_MAX ? BYTE_MAX : value);
    }
    return row;
}

static void mean4(float *out, const float *const from[4], size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = ((from[0][i] + from[1][i]) + (from[2][i] + from[3][i])) * 0.25f;
    }
}

static void gelu(float *x, const float *gate, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double value = gate ? (double)(x[i] * gate[i]) : (double)x[i];
        x[i] = (float)(value * 0.5 * erfc(-value * 0.7071067811865476));
    }
}

const struct row_kernels row_kernels_generic = {
    .name = "generic",
    .layer_norm = layer_norm,
    .to_bf16 = to_bf16,
    .quantize = quantize,
    .mean4 = mean4,
    .gelu = gelu,
};

const struct row_kernels *row_kernels_find(unsigned features) {
#if defined(__x86_64__)
    if (features & ISA_AVX512) return &row_kernels_avx512;
    if (features & ISA_AVX2) return &row_kernels_avx2;
#else
    (void)features;
#endif
    return &row_kernels_generic;
}
