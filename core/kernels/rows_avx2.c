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

/* The least and the most of a row and 0. */
static void find_range(const float *x, size_t n, float *low, float *high) {
    __m256 least[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, most[2] = {least[0], least[0]};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t j = 0; j < 2; j++) {
            __m256 value = _mm256_loadu_ps(x + i + 8 * j);
            least[j] = _mm256_min_ps(value, least[j]); /* the second operand when one is NaN */
            most[j] = _mm256_max_ps(value, most[j]);
        }
    }
    for (; i < n; i += 8) {
        __m256 value = _mm256_maskload_ps(x + i, math256_lanes(n - i));
        least[0] = _mm256_min_ps(value, least[0]);
        most[0] = _mm256_max_ps(value, most[0]);
    }
    /* The least, and the negative of the most, side by side: no lane is NaN. */
    __m256 minus = _mm256_set1_ps(-0.0f), a = _mm256_min_ps(least[0], least[1]);
    __m256 b = _mm256_xor_ps(minus, _mm256_max_ps(most[0], most[1]));
    __m256 both =
        _mm256_min_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    both = _mm256_min_ps(both, _mm256_permute_ps(both, 0x4e));
    both = _mm256_min_ps(both, _mm256_permute_ps(both, 0xb1));
    *low = _mm256_cvtss_f32(both);
    *high = -_mm_cvtss_f32(_mm256_extractf128_ps(both, 1));
}

static inline __m256i to_level(__m256 value, __m256 factor, __m256i zero) {
    __m256i level = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(value, factor)), zero);
    return _mm256_max_epi32(level, _mm256_setzero_si256());
}

static struct row_scale quantize(uint8_t *out, const float *x, size_t n) {
    float low, high, inverse;
    find_range(x, n, &low, &high);
    struct row_scale row = rows_scale_of(low, high, &inverse);
    __m256 factor = _mm256_set1_ps(inverse);
    __m256i zero = _mm256_set1_epi32(row.zero);
    /* Saturating packs: to 16 bits, then to bytes; they work on halves, whose words come
     * out in turn. */
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i level[4];
        for (size_t j = 0; j < 4; j++) {
            level[j] = to_level(_mm256_loadu_ps(x + i + 8 * j), factor, zero);
        }
        __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(level[0], level[1]),
                                            _mm256_packus_epi32(level[2], level[3]));
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_permutevar8x32_epi32(bytes, in_order));
    }
    for (; i < n; i += 8) {
        size_t count = n - i < 8 ? n - i : 8;
        __m256i level = to_level(_mm256_maskload_ps(x + i, math256_lanes(n - i)), factor, zero);
        __m128i words =
            _mm_packus_epi32(_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1));
        uint8_t values[16];
        _mm_storeu_si128((__m128i *)(void *)values, _mm_packus_epi16(words, words));
        memcpy(out + i, values, count);
    }
    return row;
}

static void mean4(float *out, const float *const from[4], size_t n) {
    const __m256 quarter = _mm256_set1_ps(0.25f);
    for (size_t i = 0; i < n; i += 8) {
        const __m256i lanes = math256_lanes(n - i);
        __m256 a = _mm256_add_ps(_mm256_maskload_ps(from[0] + i, lanes),
                                 _mm256_maskload_ps(from[1] + i, lanes));
        __m256 b = _mm256_add_ps(_mm256_maskload_ps(from[2] + i, lanes),
                                 _mm256_maskload_ps(from[3] + i, lanes));
        math256_store(out + i, n - i, _mm256_mul_ps(_mm256_add_ps(a, b), quarter));
    }
}

static void gelu(float *x, const float *gate, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        const __m256i lanes = math256_lanes(n - i);
        __m256 value = _mm256_maskload_ps(x + i, lanes);
        if (gate) value = _mm256_mul_ps(value, _mm256_maskload_ps(gate + i, lanes));
        math256_store(x + i, n - i, math256_gelu_erf(value));
    }
}

const struct row_kernels row_kernels_avx2 = {
    .name = "avx2",
    .layer_norm = layer_norm,
    .to_bf16 = to_bf16,
    .quantize = quantize,
    .mean4 = mean4,
    .gelu = gelu,
};
#endif
