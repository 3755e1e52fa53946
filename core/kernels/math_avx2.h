/* math_avx2.h - exp and the GELUs, eight at a time: the twin of math_avx512.h, where
 * the formulas and their errors are explained. For *_avx2.c only. */
#ifndef CORE_KERNELS_MATH_AVX2_H
#define CORE_KERNELS_MATH_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "core/kernels/gemm.h"

static inline __m256 math256_set(float value) {
    return _mm256_set1_ps(value);
}

static inline __m256 math256_exp(__m256 x) {
    x = _mm256_min_ps(math256_set(87.0f), _mm256_max_ps(math256_set(-87.0f), x));
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, math256_set(1.44269504f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, math256_set(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, math256_set(-2.12194440e-4f), r);
    __m256 p = math256_set(0.00831247761f);
    p = _mm256_fmadd_ps(p, r, math256_set(0.04189055f));
    p = _mm256_fmadd_ps(p, r, math256_set(0.166671163f));
    p = _mm256_fmadd_ps(p, r, math256_set(0.499992288f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, math256_set(1.0f)));
    /* |n| <= 126, so 2^n is a normal number whose exponent is written directly. */
    __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

/* Exact division: rcpps has 12 bits only, and AVX2 CPUs divide fast enough. */
static inline __m256 math256_gate(__m256 x, __m256 minus_slope) {
    return _mm256_div_ps(x, _mm256_add_ps(math256_set(1.0f), math256_exp(minus_slope)));
}

static inline __m256 math256_quick_gelu(__m256 x) {
    return math256_gate(x, _mm256_mul_ps(x, math256_set(-1.702f)));
}

static inline __m256 math256_gelu_tanh(__m256 x) {
    __m256 slope = _mm256_fmadd_ps(_mm256_mul_ps(x, x), math256_set(-0.0713548163f),
                                   math256_set(-1.59576912f));
    return math256_gate(x, _mm256_mul_ps(x, slope));
}

static inline __m256 math256_gelu_erf(__m256 x) {
    __m256 one = math256_set(1.0f);
    __m256 size = _mm256_min_ps(math256_set(13.0f), _mm256_andnot_ps(math256_set(-0.0f), x));
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(size, math256_set(0.353553391f), one));
    __m256 p = math256_set(-0.0587507269f);
    p = _mm256_fmadd_ps(p, t, math256_set(0.283014196f));
    p = _mm256_fmadd_ps(p, t, math256_set(-0.483948890f));
    p = _mm256_fmadd_ps(p, t, math256_set(0.274322369f));
    p = _mm256_fmadd_ps(p, t, math256_set(-0.0240254524f));
    p = _mm256_fmadd_ps(p, t, math256_set(0.201576490f));
    p = _mm256_fmadd_ps(p, t, math256_set(0.243387458f));
    p = _mm256_fmadd_ps(p, t, math256_set(0.282335810f));
    p = _mm256_fmadd_ps(p, t, math256_set(0.282088704f));
    __m256 gauss = math256_exp(_mm256_mul_ps(size, _mm256_mul_ps(size, math256_set(-0.5f))));
    __m256 tail = _mm256_mul_ps(_mm256_mul_ps(math256_set(0.5f), _mm256_mul_ps(p, t)), gauss);
    __m256 positive = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ);
    return _mm256_mul_ps(x, _mm256_blendv_ps(tail, _mm256_sub_ps(one, tail), positive));
}

static inline __m256 math256_relu(__m256 x) {
    return _mm256_max_ps(_mm256_setzero_ps(), x); /* the second operand when it is NaN */
}

static inline __m256 math256_activate(__m256 x, enum gemm_activation activation) {
    switch (activation) {
    case GEMM_QUICK_GELU: return math256_quick_gelu(x);
    case GEMM_GELU_ERF: return math256_gelu_erf(x);
    case GEMM_GELU_TANH: return math256_gelu_tanh(x);
    case GEMM_RELU: return math256_relu(x);
    case GEMM_LINEAR: break;
    }
    return x;
}

/* The nearest bfloat16, ties to even; a NaN stays one. */
static inline __m128i math256_to_bf16(__m256 x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

/* All bits set in lanes 0..count-1; in all from 8 on. */
static inline __m256i math256_lanes(size_t count) {
    int32_t limit = count < 8 ? (int32_t)count : 8;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first count lanes. Masked stores are microcode on AMD: only where they must be. */
static inline void math256_store(float *out, size_t count, __m256 value) {
    if (count >= 8) {
        _mm256_storeu_ps(out, value);
    } else {
        _mm256_maskstore_ps(out, math256_lanes(count), value);
    }
}

static inline void math256_store_bf16(uint16_t *out, size_t count, __m256 value) {
    __m128i halves = math256_to_bf16(value);
    if (count >= 8) {
        _mm_storeu_si128((__m128i *)(void *)out, halves);
    } else {
        memcpy(out, &halves, count * sizeof(*out));
    }
}

#endif
