/* attention_avx512.c - attention with AVX-512 F, BW, DQ, VL; bf16 products come from
 * the tile of gemm_avx512_bf16.c. Ends are masked: nothing is read behind a head. */
#include "core/kernels/attention_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/math_avx512.h"
#include "core/kernels/tile_avx512.h"

enum { COLUMNS = TILE512_COLUMNS };

static const char *row_of(const struct attention_matrix *matrix, size_t row) {
    return (const char *)matrix->data + row * matrix->stride;
}

/* 16 x 16 words, rows become columns: pairs, then quads within 128 bits, then the
 * 128-bit parts themselves. */
static inline void transpose(__m512i row[16]) {
    __m512i t[16];
#pragma GCC unroll 8
    for (size_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 16; i += 4) {
        row[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        row[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        row[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        row[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        row[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        row[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        row[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Blocks of 16 tokens by 16 words. */
static void pack_keys(uint32_t *panels, const struct attention_matrix *keys, size_t words) {
    size_t tokens = (keys->rows + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (size_t token = 0; token < tokens; token += 16) {
        uint32_t *out = panels + token / COLUMNS * COLUMNS * words + token % COLUMNS;
        for (size_t word = 0; word < words; word += 16) {
            size_t count = words - word < 16 ? words - word : 16;
            __mmask16 lanes = math512_lanes(count);
            __m512i block[16];
#pragma GCC unroll 16
            for (size_t i = 0; i < 16; i++) {
                block[i] = _mm512_setzero_si512();
                if (token + i >= keys->rows) continue;
                block[i] = _mm512_maskz_loadu_epi32(lanes, row_of(keys, token + i) + 4 * word);
            }
            transpose(block);
#pragma GCC unroll 16
            for (size_t i = 0; i < 16; i++) {
                if (i < count) _mm512_store_si512(out + (word + i) * COLUMNS, block[i]);
            }
        }
    }
}

static void pack_values_fp32(uint32_t *panels, const struct attention_matrix *values,
                             size_t head_dim) {
    uint32_t *out = panels;
    for (size_t column = 0; column < head_dim; column += COLUMNS) {
        size_t count = head_dim - column;
        __mmask16 low = math512_lanes(count), high = math512_lanes(count > 16 ? count - 16 : 0);
        for (size_t token = 0; token < values->rows; token++, out += COLUMNS) {
            const char *in = row_of(values, token) + 4 * column;
            _mm512_store_si512(out, _mm512_maskz_loadu_epi32(low, in));
            _mm512_store_si512(out + 16, _mm512_maskz_loadu_epi32(high, in + 64));
        }
    }
}

/* Two tokens' halves side by side in each word. */
static void pack_values_bf16(uint32_t *panels, const struct attention_matrix *values,
                             size_t head_dim) {
    uint32_t *out = panels;
    for (size_t column = 0; column < head_dim; column += COLUMNS) {
        size_t count = head_dim - column;
        __mmask32 lanes = count >= 32 ? 0xffffffffu : (1u << count) - 1;
        for (size_t token = 0; token < values->rows; token += 2, out += COLUMNS) {
            const char *in = row_of(values, token) + 2 * column;
            __m512i even = _mm512_maskz_loadu_epi16(lanes, in), odd = _mm512_setzero_si512();
            if (token + 1 < values->rows) {
                odd = _mm512_maskz_loadu_epi16(lanes, in + values->stride);
            }
            __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(even));
            __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(even, 1));
            __m512i odd_low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(odd));
            __m512i odd_high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(odd, 1));
            low = _mm512_or_si512(low, _mm512_slli_epi32(odd_low, 16));
            high = _mm512_or_si512(high, _mm512_slli_epi32(odd_high, 16));
            _mm512_store_si512(out, low);
            _mm512_store_si512(out + 16, high);
        }
    }
}

static inline __m512 largest_of(const float *row, size_t seen) {
    __m512 least = _mm512_set1_ps(-__builtin_inff()), largest = least;
    for (size_t i = 0; i < seen; i += 16) {
        __mmask16 lanes = math512_lanes(seen - i);
        largest = _mm512_max_ps(largest, _mm512_mask_load_ps(least, lanes, row + i));
    }
    return _mm512_set1_ps(_mm512_reduce_max_ps(largest));
}

/* The weights of 16 scores, zero beyond the last seen. */
static inline __m512 weights_of(const float *row, size_t i, size_t seen, __m512 largest,
                                __m512 scale) {
    if (i >= seen) return _mm512_setzero_ps();
    __m512 below = _mm512_sub_ps(_mm512_load_ps(row + i), largest);
    __m512 weights = math512_exp(_mm512_mul_ps(below, scale));
    return _mm512_maskz_mov_ps(math512_lanes(seen - i), weights);
}

static float soften_fp32(float *row, size_t seen, size_t padded, float scale) {
    __m512 largest = largest_of(row, seen), sum = _mm512_setzero_ps();
    for (size_t i = 0; i < padded; i += 16) {
        __m512 weights = weights_of(row, i, seen, largest, _mm512_set1_ps(scale));
        sum = _mm512_add_ps(sum, weights);
        _mm512_store_ps(row + i, weights);
    }
    return 1.0f / _mm512_reduce_add_ps(sum);
}

static float soften_bf16(float *row, size_t seen, size_t padded, float scale) {
    __m512 largest = largest_of(row, seen), sum = _mm512_setzero_ps();
    __m256i *out = (__m256i *)(void *)row; /* a store never reaches past its own scores */
    for (size_t i = 0; i < padded; i += 16) {
        __m512 weights = weights_of(row, i, seen, largest, _mm512_set1_ps(scale));
        sum = _mm512_add_ps(sum, weights);
        _mm256_store_si256(out + i / 16, math512_to_bf16(weights));
    }
    return 1.0f / _mm512_reduce_add_ps(sum);
}

static void store(void *out, const float *sums, size_t count, float factor,
                  enum gemm_output output) {
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = math512_lanes(count - i);
        __m512 value = _mm512_mul_ps(_mm512_load_ps(sums + i), _mm512_set1_ps(factor));
        if (output == GEMM_STORE_BF16) {
            _mm256_mask_storeu_epi16((uint16_t *)out + i, lanes, math512_to_bf16(value));
        } else {
            _mm512_mask_storeu_ps((float *)out + i, lanes, value);
        }
    }
}

const struct attention_kernel attention_avx512_fp32 = {
    .gemm = &gemm_avx512_fp32,
    .pack_keys = pack_keys,
    .pack_values = pack_values_fp32,
    .soften = soften_fp32,
    .store = store,
};

const struct attention_kernel attention_avx512_bf16 = {
    .gemm = &gemm_avx512_bf16,
    .pack_keys = pack_keys,
    .pack_values = pack_values_bf16,
    .soften = soften_bf16,
    .store = store,
};
#endif
