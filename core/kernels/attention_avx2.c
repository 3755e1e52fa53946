/* attention_avx2.c - fp32 attention with AVX2 and FMA. */
#include "core/kernels/attention_kernel.h"

#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#include "core/kernels/math_avx2.h"

enum { COLUMNS = 16 };

static const float *row_of(const struct attention_matrix *matrix, size_t row) {
    return (const float *)(const void *)((const char *)matrix->data + row * matrix->stride);
}

/* 8 x 8 words, rows become columns. */
static inline void transpose(__m256 row[8]) {
    __m256 t[8];
#pragma GCC unroll 4
    for (size_t i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 8; i += 4) {
        row[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        row[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        row[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        row[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(row[i], row[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(row[i], row[i + 4], 0x31);
    }
    memcpy(row, t, sizeof(t));
}

static void pack_keys(uint32_t *panels, const struct attention_matrix *keys, size_t words) {
    size_t tokens = (keys->rows + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (size_t token = 0; token < tokens; token += 8) {
        float *out =
            (float *)(void *)(panels + token / COLUMNS * COLUMNS * words + token % COLUMNS);
        for (size_t word = 0; word < words; word += 8) {
            size_t count = words - word < 8 ? words - word : 8;
            __m256i lanes = math256_lanes(count);
            __m256 block[8];
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; i++) {
                block[i] = _mm256_setzero_ps();
                if (token + i >= keys->rows) continue;
                block[i] = _mm256_maskload_ps(row_of(keys, token + i) + word, lanes);
            }
            transpose(block);
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; i++) {
                if (i < count) _mm256_store_ps(out + (word + i) * COLUMNS, block[i]);
            }
        }
    }
}

static void pack_values(uint32_t *panels, const struct attention_matrix *values, size_t head_dim) {
    float *out = (float *)(void *)panels;
    for (size_t column = 0; column < head_dim; column += COLUMNS) {
        size_t count = head_dim - column;
        __m256i low = math256_lanes(count), high = math256_lanes(count > 8 ? count - 8 : 0);
        for (size_t token = 0; token < values->rows; token++, out += COLUMNS) {
            const float *in = row_of(values, token) + column;
            _mm256_store_ps(out, _mm256_maskload_ps(in, low));
            _mm256_store_ps(out + 8, _mm256_maskload_ps(in + 8, high));
        }
    }
}

static __m256 largest_of(const float *row, size_t seen) {
    __m256 least = _mm256_set1_ps(-__builtin_inff()), largest = least;
    for (size_t i = 0; i < seen; i += 8) {
        __m256 lanes = _mm256_castsi256_ps(math256_lanes(seen - i));
        largest = _mm256_max_ps(largest, _mm256_blendv_ps(least, _mm256_load_ps(row + i), lanes));
    }
    float all[8];
    _mm256_storeu_ps(all, largest);
    for (size_t i = 1; i < 8; i++) all[0] = fmaxf(all[0], all[i]);
    return _mm256_set1_ps(all[0]);
}

static float soften(float *row, size_t seen, size_t padded, float scale) {
    __m256 largest = largest_of(row, seen), sum = _mm256_setzero_ps();
    for (size_t i = 0; i < padded; i += 8) {
        __m256 lanes = _mm256_castsi256_ps(math256_lanes(i < seen ? seen - i : 0));
        __m256 below = _mm256_sub_ps(_mm256_load_ps(row + i), largest);
        __m256 weights = math256_exp(_mm256_mul_ps(below, _mm256_set1_ps(scale)));
        weights = _mm256_and_ps(weights, lanes);
        sum = _mm256_add_ps(sum, weights);
        _mm256_store_ps(row + i, weights);
    }
    float all[8], total = 0;
    _mm256_storeu_ps(all, sum);
    for (size_t i = 0; i < 8; i++) total += all[i];
    return 1.0f / total;
}

static void store(void *out, const float *sums, size_t count, float factor,
                  enum gemm_output output) {
    for (size_t i = 0; i < count; i += 8) {
        __m256 value = _mm256_mul_ps(_mm256_load_ps(sums + i), _mm256_set1_ps(factor));
        if (output == GEMM_STORE_BF16) {
            math256_store_bf16((uint16_t *)out + i, count - i, value);
        } else {
            math256_store((float *)out + i, count - i, value);
        }
    }
}

const struct attention_kernel attention_avx2_fp32 = {
    .gemm = &gemm_avx2_fp32,
    .pack_keys = pack_keys,
    .pack_values = pack_values,
    .soften = soften,
    .store = store,
};
#endif
