/* attention_generic.c - attention in portable C: the definition of correct. */
#include <math.h>
#include <string.h>

#include "core/kernels/attention_kernel.h"

static const char *row_of(const struct attention_matrix *matrix, size_t row) {
    return (const char *)matrix->data + row * matrix->stride;
}

static size_t padded(size_t count) {
    size_t columns = gemm_generic_fp32.columns;
    return (count + columns - 1) / columns * columns;
}

static void pack_keys(uint32_t *panels, const struct attention_matrix *keys, size_t words) {
    size_t columns = gemm_generic_fp32.columns;
    for (size_t token = 0; token < padded(keys->rows); token++) {
        uint32_t *out = panels + token / columns * columns * words + token % columns;
        for (size_t i = 0; i < words; i++) {
            out[i * columns] = 0;
            if (token >= keys->rows) continue;
            memcpy(out + i * columns, row_of(keys, token) + i * sizeof(*out), sizeof(*out));
        }
    }
}

static void pack_values_fp32(uint32_t *panels, const struct attention_matrix *values,
                             size_t head_dim) {
    size_t columns = gemm_generic_fp32.columns;
    for (size_t i = 0; i < padded(head_dim); i++) {
        uint32_t *out = panels + i / columns * columns * values->rows + i % columns;
        for (size_t token = 0; token < values->rows; token++) {
            uint32_t word = 0;
            if (i < head_dim) memcpy(&word, row_of(values, token) + i * sizeof(word), sizeof(word));
            out[token * columns] = word;
        }
    }
}

static void pack_values_bf16(uint32_t *panels, const struct attention_matrix *values,
                             size_t head_dim) {
    size_t columns = gemm_generic_bf16.columns, words = (values->rows + 1) / 2;
    for (size_t i = 0; i < padded(head_dim); i++) {
        uint32_t *out = panels + i / columns * columns * words + i % columns;
        for (size_t pair = 0; pair < words; pair++) {
            uint16_t halves[2] = {0, 0};
            for (size_t j = 0; j < 2; j++) {
                size_t token = 2 * pair + j;
                if (i >= head_dim || token >= values->rows) continue;
                memcpy(halves + j, row_of(values, token) + i * sizeof(halves[0]),
                       sizeof(halves[0]));
            }
            out[pair * columns] = halves[0] | (uint32_t)halves[1] << 16;
        }
    }
}

/* Largest first, so that no exponential overflows. Returns the sum. */
static float exponentials(float *row, size_t seen, float scale) {
    float largest = row[0], sum = 0;
    for (size_t i = 1; i < seen; i++) largest = fmaxf(largest, row[i]);
    for (size_t i = 0; i < seen; i++) sum += row[i] = expf(scale * (row[i] - largest));
    return sum;
}

static float soften_fp32(float *row, size_t seen, size_t padded_to, float scale) {
    float sum = exponentials(row, seen, scale);
    for (size_t i = seen; i < padded_to; i++) row[i] = 0;
    return 1.0f / sum;
}

static float soften_bf16(float *row, size_t seen, size_t padded_to, float scale) {
    float sum = exponentials(row, seen, scale);
    char *out = (char *)row; /* the weight of token i never reaches past score i */
    for (size_t i = 0; i < padded_to; i++) {
        uint16_t weight = i < seen ? rows_bf16_of(row[i]) : 0;
        memcpy(out + i * sizeof(weight), &weight, sizeof(weight));
    }
    return 1.0f / sum;
}

static void store(void *out, const float *sums, size_t count, float factor,
                  enum gemm_output output) {
    for (size_t i = 0; i < count; i++) {
        if (output == GEMM_STORE_BF16) {
            ((uint16_t *)out)[i] = rows_bf16_of(sums[i] * factor);
        } else {
            ((float *)out)[i] = sums[i] * factor;
        }
    }
}

const struct attention_kernel attention_generic_fp32 = {
    .gemm = &gemm_generic_fp32,
    .pack_keys = pack_keys,
    .pack_values = pack_values_fp32,
    .soften = soften_fp32,
    .store = store,
};

const struct attention_kernel attention_generic_bf16 = {
    .gemm = &gemm_generic_bf16,
    .pack_keys = pack_keys,
    .pack_values = pack_values_bf16,
    .soften = soften_bf16,
    .store = store,
};
