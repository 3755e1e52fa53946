/* gemm_avx2.c - fp32, bf16 and int8 products for CPUs with AVX2 and FMA.
 *
 * fp32: 6 rows x 16 columns, 12 sums, 2 vectors of the panel and a broadcast fill the
 * 16 registers. int8: AVX2 has no instruction that adds four products to 32 bits, so
 * vpmaddubsw adds two to 16 bits, with saturation, and vpmaddwd the halves to 32.
 * Weights of +-63 make saturation impossible (2 * 255 * 63 < 2^15), which costs one
 * bit of weight precision. 4 rows x 16 columns leave registers for the two steps.
 *
 * bf16: a bfloat16 is the upper half of a float, so a word of two becomes two floats by a
 * shift and a mask. This is no faster than fp32; it is for weights of half the size.
 */
#include "core/kernels/gemm_kernel.h"

#if defined(__x86_64__)
#include <string.h>

#include "core/kernels/math_avx2.h"

enum {
    COLUMNS = 16,
    LINE = 4 * COLUMNS, /* bytes */
    ROWS_FP32 = 6,
    ROWS_BF16 = 4,
    ROWS_INT8 = 4,
    WEIGHT_MAX = 63,
    SPIN = 12,
    SPIN_STEPS = 8 * SPIN,
};

typedef __m256i step_fn(__m256i sum, __m256i a, __m256i b);

static inline __m256i step_fp32(__m256i sum, __m256i a, __m256i b) {
    return _mm256_castps_si256(
        _mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _mm256_castsi256_ps(sum)));
}

static inline __m256 first_of(__m256i words) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}

static inline __m256 second_of(__m256i words) {
    return _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int)0xffff0000u)));
}

static inline __m256i step_bf16(__m256i sum, __m256i a, __m256i b) {
    __m256 first = _mm256_fmadd_ps(first_of(a), first_of(b), _mm256_castsi256_ps(sum));
    return _mm256_castps_si256(_mm256_fmadd_ps(second_of(a), second_of(b), first));
}

static inline __m256i step_int8(__m256i sum, __m256i a, __m256i b) {
    __m256i pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* As tile512_rows(), see there. */
__attribute__((always_inline)) static inline void tile_rows(const struct gemm_tile *tile,
                                                            const size_t rows, step_fn *step) {
    const char *a[2], *b = tile->b, *next_a = tile->next_a, *next_b = tile->next_b;
    const size_t stride = tile->a_stride;
    for (size_t i = 0; i < 2; i++) a[i] = (const char *)tile->a + 3 * i * stride;
    __m256i sum[ROWS_FP32][2];
#pragma GCC unroll 6
    for (size_t i = 0; i < rows; i++) {
        __builtin_prefetch((const char *)tile->c + i * tile->c_stride);
        sum[i][0] = _mm256_setzero_si256();
        sum[i][1] = _mm256_setzero_si256();
    }
    for (size_t k = 0; k < tile->words; k++) {
        __m256i b0 = _mm256_load_si256((const __m256i *)(const void *)b);
        __m256i b1 = _mm256_load_si256((const __m256i *)(const void *)(b + 32));
        _mm_prefetch(next_b, _MM_HINT_T1);
        _mm_prefetch(next_a, _MM_HINT_T0);
#pragma GCC unroll 6
        for (size_t i = 0; i < rows; i++) {
            int32_t word;
            memcpy(&word, a[i / 3] + i % 3 * stride, sizeof(word));
            __m256i x = _mm256_set1_epi32(word);
            sum[i][0] = step(sum[i][0], x, b0);
            sum[i][1] = step(sum[i][1], x, b1);
        }
        for (size_t i = 0; i < 2; i++) a[i] += 4;
        b += LINE;
        next_b += tile->next_b_step;
        next_a += tile->next_a_step;
    }
#pragma GCC unroll 6
    for (size_t i = 0; i < rows; i++) {
        uint32_t *out = (uint32_t *)tile->sums + i * tile->sums_stride;
        _mm256_store_si256((__m256i *)(void *)out, sum[i][0]);
        _mm256_store_si256((__m256i *)(void *)(out + 8), sum[i][1]);
    }
}

static void tile_fp32(const struct gemm_tile *tile, size_t rows) {
    switch (rows) {
    case 1: tile_rows(tile, 1, step_fp32); break;
    case 2: tile_rows(tile, 2, step_fp32); break;
    case 3: tile_rows(tile, 3, step_fp32); break;
    case 4: tile_rows(tile, 4, step_fp32); break;
    case 5: tile_rows(tile, 5, step_fp32); break;
    default: tile_rows(tile, 6, step_fp32); break;
    }
}

static void tile_bf16(const struct gemm_tile *tile, size_t rows) {
    switch (rows) {
    case 1: tile_rows(tile, 1, step_bf16); break;
    case 2: tile_rows(tile, 2, step_bf16); break;
    case 3: tile_rows(tile, 3, step_bf16); break;
    default: tile_rows(tile, 4, step_bf16); break;
    }
}

static void tile_int8(const struct gemm_tile *tile, size_t rows) {
    switch (rows) {
    case 1: tile_rows(tile, 1, step_int8); break;
    case 2: tile_rows(tile, 2, step_int8); break;
    case 3: tile_rows(tile, 3, step_int8); break;
    default: tile_rows(tile, 4, step_int8); break;
    }
}

/* As tile512_spin(); 12 sums leave registers for the int8 step. */
__attribute__((always_inline)) static inline uint32_t spin(size_t rounds, step_fn *step) {
    __m256i sum[SPIN], a = _mm256_set1_epi32(0x01010101), b = a;
#pragma GCC unroll 12
    for (size_t i = 0; i < SPIN; i++) {
        sum[i] = _mm256_setzero_si256();
        __asm__("" : "+x"(sum[i])); /* the compiler must not see that they are equal */
    }
    for (size_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (size_t i = 0; i < SPIN; i++) {
            __asm__("" : "+x"(a)); /* or the step is taken out of the loop */
            sum[i] = step(sum[i], a, b);
        }
    }
    __m256i all = sum[0];
#pragma GCC unroll 12
    for (size_t i = 1; i < SPIN; i++) all = _mm256_xor_si256(all, sum[i]);
    return (uint32_t)_mm256_extract_epi32(all, 0);
}

static uint32_t spin_fp32(size_t rounds) {
    return spin(rounds, step_fp32);
}

static uint32_t spin_bf16(size_t rounds) {
    return spin(rounds, step_bf16);
}

static uint32_t spin_int8(size_t rounds) {
    return spin(rounds, step_int8);
}

/* What a vector of 8 columns needs, loaded once per tile. */
struct column_set {
    size_t count;
    __m256i lanes, sum;
    __m256 bias, scale;
};

static inline struct column_set load_columns(const struct gemm_weight *weight, const float *bias,
                                             size_t column, size_t count) {
    struct column_set set = {.count = count < 8 ? count : 8, .lanes = math256_lanes(count)};
    set.bias = bias ? _mm256_maskload_ps(bias + column, set.lanes) : _mm256_setzero_ps();
    set.scale = _mm256_setzero_ps();
    set.sum = _mm256_setzero_si256();
    if (weight->scales) {
        set.scale = _mm256_maskload_ps(weight->scales + column, set.lanes);
        set.sum = _mm256_maskload_epi32(weight->sums + column, set.lanes);
    }
    return set;
}

static inline __m256 value_of(const struct column_set *set, const float *sums,
                              const struct row_scale *row) {
    __m256 raw = _mm256_load_ps(sums);
    if (!row) return _mm256_add_ps(raw, set->bias);
    __m256i zero = _mm256_mullo_epi32(_mm256_set1_epi32(row->zero), set->sum);
    __m256 value = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_castps_si256(raw), zero));
    __m256 scale = _mm256_mul_ps(set->scale, _mm256_set1_ps(row->scale));
    return _mm256_fmadd_ps(value, scale, set->bias);
}

static inline void store(const struct gemm_call *call, size_t at, const struct column_set *set,
                         __m256 value) {
    if (call->output == GEMM_STORE_BF16) {
        math256_store_bf16((uint16_t *)call->c + at, set->count, value);
        return;
    }
    float *c = (float *)call->c + at;
    if (call->output != GEMM_STORE_F32) {
        value = _mm256_add_ps(_mm256_maskload_ps(c, set->lanes), value);
        if (call->output == GEMM_ADD_RELU_F32) value = math256_relu(value);
    }
    math256_store(c, set->count, value);
}

static void finish(const struct gemm_weight *weight, const struct gemm_call *call,
                   const struct gemm_area *area, const void *sums) {
    const struct row_scale *rows = weight->scales ? call->a_scales + area->row : NULL;
    for (size_t j = 0; j < area->columns; j += 8) {
        const struct column_set set =
            load_columns(weight, call->bias, area->column + j, area->columns - j);
        for (size_t i = 0; i < area->rows; i++) {
            const float *row = (const float *)sums + i * COLUMNS + j;
            __m256 value = value_of(&set, row, rows ? rows + i : NULL);
            size_t at = (area->row + i) * call->c_stride + area->column + j;
            store(call, at, &set, math256_activate(value, call->activation));
        }
    }
}

const struct gemm_kernel gemm_avx2_fp32 = {
    .name = "avx2",
    .format = "fp32-p16-1",
    .precision = GEMM_FP32,
    .group = 1,
    .columns = COLUMNS,
    .tile_rows = ROWS_FP32,
    .tile = tile_fp32,
    .spin = spin_fp32,
    .spin_steps = SPIN_STEPS,
    .finish = finish,
};

const struct gemm_kernel gemm_avx2_bf16 = {
    .name = "avx2",
    .format = "bf16-p16-1",
    .precision = GEMM_BF16,
    .group = 2,
    .columns = COLUMNS,
    .tile_rows = ROWS_BF16,
    .tile = tile_bf16,
    .spin = spin_bf16,
    .spin_steps = SPIN_STEPS,
    .finish = finish,
};

const struct gemm_kernel gemm_avx2_int8 = {
    .name = "avx2",
    .format = "int8-p16w63-1",
    .precision = GEMM_INT8,
    .group = 4,
    .columns = COLUMNS,
    .tile_rows = ROWS_INT8,
    .weight_max = WEIGHT_MAX,
    .tile = tile_int8,
    .spin = spin_int8,
    .spin_steps = SPIN_STEPS,
    .finish = finish,
};
#endif
