/* math_avx512.h - exp and the GELUs, sixteen at a time. For *_avx512*.c only.
 *
 * The polynomials are minimax fits of our own (Remez, weighted by relative error):
 *   e^r - 1 - r  over r^2, |r| <= ln(2)/2: relative error of e^r 1.1e-7;
 *   e^(z^2) erfc(z) over t = 1 / (1 + z/2), 0 <= z <= 9.2: relative error 4.2e-8.
 * Measured against libm over all of their range: see tests/kernels.
 */
#ifndef CORE_KERNELS_MATH_AVX512_H
#define CORE_KERNELS_MATH_AVX512_H

#include <immintrin.h>

#include "core/kernels/gemm.h"

static inline __m512 math512_set(float value) {
    return _mm512_set1_ps(value);
}

/* e^x, x limited to +-87 where neither it nor its inverse leaves the normal numbers.
 * 2^n * e^r with r = x - n ln 2, ln 2 in two parts. Adding 1.5 * 2^23 rounds to the
 * integer n and leaves it in the low bits, ready to be added to the exponent: the
 * multipliers, which the GELUs keep busy, have no part in it. NaN stays: min and max
 * return their second operand then. */
static inline __m512 math512_exp(__m512 x) {
    x = _mm512_min_ps(math512_set(87.0f), _mm512_max_ps(math512_set(-87.0f), x));
    __m512 shifted = _mm512_fmadd_ps(x, math512_set(1.44269504f), math512_set(12582912.0f));
    __m512 n = _mm512_sub_ps(shifted, math512_set(12582912.0f));
    __m512 r = _mm512_fnmadd_ps(n, math512_set(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, math512_set(-2.12194440e-4f), r);
    __m512 p = math512_set(0.00831247761f);
    p = _mm512_fmadd_ps(p, r, math512_set(0.04189055f));
    p = _mm512_fmadd_ps(p, r, math512_set(0.166671163f));
    p = _mm512_fmadd_ps(p, r, math512_set(0.499992288f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, math512_set(1.0f)));
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
}

/* 1 / x for normal x: 14 bits and one Newton step, error below 1 ulp. */
static inline __m512 math512_inverse(__m512 x) {
    __m512 r = _mm512_rcp14_ps(x);
    return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(x, r, math512_set(1.0f)), r);
}

/* x / (1 + e^-(slope)): x times the logistic function of `slope`. */
static inline __m512 math512_gate(__m512 x, __m512 minus_slope) {
    return _mm512_mul_ps(
        x, math512_inverse(_mm512_add_ps(math512_set(1.0f), math512_exp(minus_slope))));
}

static inline __m512 math512_quick_gelu(__m512 x) {
    return math512_gate(x, _mm512_mul_ps(x, math512_set(-1.702f)));
}

/* (1 + tanh u) / 2 is the logistic function of 2u, u = sqrt(2/pi) (x + 0.044715 x^3). */
static inline __m512 math512_gelu_tanh(__m512 x) {
    __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(x, x), math512_set(-0.0713548163f),
                                   math512_set(-1.59576912f));
    return math512_gate(x, _mm512_mul_ps(x, slope));
}

/* x * Phi(x). With z = |x| / sqrt(2), Phi(-|x|) = erfc(z) / 2 has no cancellation, and
 * Phi(|x|) = 1 - Phi(-|x|). Beyond |x| = 13 it is 0 or x. */
static inline __m512 math512_gelu_erf(__m512 x) {
    __m512 half = math512_set(0.5f), one = math512_set(1.0f);
    __m512 size = _mm512_min_ps(math512_set(13.0f), _mm512_abs_ps(x));
    __m512 t = math512_inverse(_mm512_fmadd_ps(size, math512_set(0.353553391f), one));
    __m512 p = math512_set(-0.0587507269f);
    p = _mm512_fmadd_ps(p, t, math512_set(0.283014196f));
    p = _mm512_fmadd_ps(p, t, math512_set(-0.483948890f));
    p = _mm512_fmadd_ps(p, t, math512_set(0.274322369f));
    p = _mm512_fmadd_ps(p, t, math512_set(-0.0240254524f));
    p = _mm512_fmadd_ps(p, t, math512_set(0.201576490f));
    p = _mm512_fmadd_ps(p, t, math512_set(0.243387458f));
    p = _mm512_fmadd_ps(p, t, math512_set(0.282335810f));
    p = _mm512_fmadd_ps(p, t, math512_set(0.282088704f));
    __m512 gauss = math512_exp(_mm512_mul_ps(size, _mm512_mul_ps(size, math512_set(-0.5f))));
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(half, _mm512_mul_ps(p, t)), gauss);
    __mmask16 positive = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_mul_ps(x, _mm512_mask_sub_ps(tail, positive, one, tail));
}

static inline __m512 math512_relu(__m512 x) {
    return _mm512_max_ps(_mm512_setzero_ps(), x); /* the second operand when it is NaN */
}

static inline __m512 math512_activate(__m512 x, enum gemm_activation activation) {
    switch (activation) {
    case GEMM_QUICK_GELU: return math512_quick_gelu(x);
    case GEMM_GELU_ERF: return math512_gelu_erf(x);
    case GEMM_GELU_TANH: return math512_gelu_tanh(x);
    case GEMM_RELU: return math512_relu(x);
    case GEMM_LINEAR: break;
    }
    return x;
}

/* The nearest bfloat16, ties to even, in integer instructions: the same bits with and
 * without AVX512-BF16, denormals included. A NaN is kept by setting its quiet bit. */
static inline __m256i math512_to_bf16(__m512 x) {
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

/* Lanes 0..count-1; all from 16 on. */
static inline __mmask16 math512_lanes(size_t count) {
    return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1);
}

#endif
