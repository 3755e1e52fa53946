/* rows_avx512.c - the row kernels with AVX-512 F, BW, DQ, VL. The end of a row is
 * masked, so nothing behind it is read or written. */
#include "core/kernels/rows.h"

#if defined(__x86_64__)
#include <math.h>

#include "core/kernels/math_avx512.h"

static void layer_norm(float *out, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon) {
    __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (size_t i = 0; i < n; i += 16) {
        __m512 value = _mm512_maskz_loadu_ps(math512_lanes(n - i), x + i);
        sum[i / 16 % 2] = _mm512_add_ps(sum[i / 16 % 2], value);
    }
    float total = _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1]));
    __m512 mean = _mm512_set1_ps(total / (float)n);
    sum[0] = sum[1] = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 centred = _mm512_maskz_sub_ps(lanes, _mm512_maskz_loadu_ps(lanes, x + i), mean);
        sum[i / 16 % 2] = _mm512_fmadd_ps(centred, centred, sum[i / 16 % 2]);
    }
    float variance = _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1])) / (float)n;
    __m512 scale = _mm512_set1_ps(1.0f / sqrtf(variance + epsilon));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 value = _mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, x + i), mean);
        value = _mm512_fmadd_ps(_mm512_mul_ps(value, scale), _mm512_maskz_loadu_ps(lanes, gain + i),
                                _mm512_maskz_loadu_ps(lanes, bias + i));
        _mm512_mask_storeu_ps(out + i, lanes, value);
    }
}

static void to_bf16(uint16_t *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 value = _mm512_maskz_loadu_ps(lanes, x + i);
        _mm256_mask_storeu_epi16(out + i, lanes, math512_to_bf16(value));
    }
}

static struct row_scale quantize(uint8_t *out, const float *x, size_t n) {
    __m512 least = _mm512_setzero_ps(), most = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __m512 value = _mm512_maskz_loadu_ps(math512_lanes(n - i), x + i);
        least = _mm512_min_ps(value, least); /* the second operand when one is NaN */
        most = _mm512_max_ps(value, most);
    }
    float inverse;
    struct row_scale row =
        rows_scale_of(_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(most), &inverse);
    __m512 factor = _mm512_set1_ps(inverse);
    __m512i zero = _mm512_set1_epi32(row.zero);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), factor);
        __m512i byte = _mm512_add_epi32(_mm512_cvtps_epi32(value), zero);
        byte = _mm512_max_epi32(byte, _mm512_setzero_si512());
        _mm_mask_storeu_epi8(out + i, lanes, _mm512_cvtusepi32_epi8(byte));
    }
    return row;
}

static void mean4(float *out, const float *const from[4], size_t n) {
    const __m512 quarter = _mm512_set1_ps(0.25f);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 a = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, from[0] + i),
                                 _mm512_maskz_loadu_ps(lanes, from[1] + i));
        __m512 b = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, from[2] + i),
                                 _mm512_maskz_loadu_ps(lanes, from[3] + i));
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_mul_ps(_mm512_add_ps(a, b), quarter));
    }
}

static void gelu(float *x, const float *gate, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = math512_lanes(n - i);
        __m512 value = _mm512_maskz_loadu_ps(lanes, x + i);
        if (gate) value = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(lanes, gate + i));
        _mm512_mask_storeu_ps(x + i, lanes, math512_gelu_erf(value));
    }
}

const struct row_kernels row_kernels_avx512 = {
    .name = "avx512",
    .layer_norm = layer_norm,
    .to_bf16 = to_bf16,
    .quantize = quantize,
    .mean4 = mean4,
    .gelu = gelu,
};
#endif
