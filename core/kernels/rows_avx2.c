/* rows_avx2.c - the row kernels with AVX2 and FMA. The end of a row is masked, or goes
 * through a small buffer where AVX2 has no masked store. */
#include "core/kernels/rows.h"

#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#include "core/kernels/math_avx2.h"

static float reduce_add(__m256 x) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

static void layer_norm(float *out, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon) {
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < n; i += 8) {
        __m256 value = _mm256_maskload_ps(x + i, math256_lanes(n - i));
        sum[i / 8 % 2] = _mm256_add_ps(sum[i / 8 % 2], value);
    }
    __m256 mean = _mm256_set1_ps(reduce_add(_mm256_add_ps(sum[0], sum[1])) / (float)n);
    sum[0] = sum[1] = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        __m256i lanes = math256_lanes(n - i);
        __m256 centred = _mm256_sub_ps(_mm256_maskload_ps(x + i, lanes), mean);
        centred = _mm256_and_ps(centred, _mm256_castsi256_ps(lanes));
        sum[i / 8 % 2] = _mm256_fmadd_ps(centred, centred, sum[i / 8 % 2]);
    }
    float variance = reduce_add(_mm256_add_ps(sum[0], sum[1])) / (float)n;
    __m256 scale = _mm256_set1_ps(1.0f / sqrtf(variance + epsilon));
    for (size_t i = 0; i < n; i += 8) {
        __m256i lanes = math256_lanes(n - i);
        __m256 value = _mm256_sub_ps(_mm256_maskload_ps(x + i, lanes), mean);
        value = _mm256_fmadd_ps(_mm256_mul_ps(value, scale), _mm256_maskload_ps(gain + i, lanes),
                                _mm256_maskload_ps(bias + i, lanes));
        math256_store(out + i, n - i, value);
    }
}

static void to_bf16(uint16_t *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        __m256 value = _mm256_maskload_ps(x + i, math256_lanes(n - i));
        math256_store_bf16(out + i, n - i, value);
    }
}

static struct row_scale quantize(uint8_t *out, const float *x, size_t n) {
    __m256 least = _mm256_setzero_ps(), most = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        __m256 value = _mm256_maskload_ps(x + i, math256_lanes(n - i));
        least = _mm256_min_ps(value, least); /* the second operand when one is NaN */
        most = _mm256_max_ps(value, most);
    }
    float low[8], high[8], inverse;
    _mm256_storeu_ps(low, least);
    _mm256_storeu_ps(high, most);
    for (size_t i = 1; i < 8; i++) {
        low[0] = fminf(low[0], low[i]);
        high[0] = fmaxf(high[0], high[i]);
    }
    struct row_scale row = rows_scale_of(low[0], high[0], &inverse);
    __m256 factor = _mm256_set1_ps(inverse);
    __m256i zero = _mm256_set1_epi32(row.zero);
    for (size_t i = 0; i < n; i += 8) {
        size_t count = n - i < 8 ? n - i : 8;
        __m256 value = _mm256_mul_ps(_mm256_maskload_ps(x + i, math256_lanes(n - i)), factor);
        __m256i byte = _mm256_add_epi32(_mm256_cvtps_epi32(value), zero);
        byte = _mm256_max_epi32(byte, _mm256_setzero_si256());
        /* Saturating packs: to 16 bits, then to bytes; a half holds four of each. */
        __m128i words =
            _mm_packus_epi32(_mm256_castsi256_si128(byte), _mm256_extracti128_si256(byte, 1));
        uint8_t values[16];
        _mm_storeu_si128((__m128i *)(void *)values, _mm_packus_epi16(words, words));
        memcpy(out + i, values, count);
    }
    return row;
}

const struct row_kernels row_kernels_avx2 = {
    .name = "avx2",
    .layer_norm = layer_norm,
    .to_bf16 = to_bf16,
    .quantize = quantize,
};
#endif
