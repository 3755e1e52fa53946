/* check_attention.c - attention of every instruction set against the formula in double
 * precision, and against itself: the bits of a query must not depend on which queries
 * are asked for nor, if causal, on what follows. NaN lies between and behind the heads.
 * As in check_gemm.c, Check is told only what is wrong.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/attention_kernel.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { GAP = 3 };

struct sample {
    const struct attention_kernel *kernel;
    size_t tokens, dim, stride, size; /* size: of an element */
    char *qkv;                        /* [tokens][3][dim + GAP] */
    void *scratch;
};

static double element(const struct sample *sample, size_t part, size_t token, size_t i) {
    size_t at = token * sample->stride + part * (sample->dim + GAP) + i;
    if (sample->size == 4) return ((const float *)(const void *)sample->qkv)[at];
    return rows_f32_of(((const uint16_t *)(const void *)sample->qkv)[at]);
}

static struct sample sample_create(const struct attention_kernel *kernel, size_t tokens,
                                   size_t dim) {
    struct sample sample = {.kernel = kernel, .tokens = tokens, .dim = dim};
    uint32_t state = (uint32_t)(tokens * 1009 + dim);
    sample.size = 4 / kernel->gemm->group;
    sample.stride = 3 * (dim + GAP);
    /* The last row ends with its last element: behind it is nothing. */
    size_t elements = tokens * sample.stride - GAP;
    sample.qkv = poison_alloc(elements * sample.size);
    for (size_t i = 0; i < elements; i++) {
        if (i % (dim + GAP) >= dim) continue;
        float value = 3 * random_unit(&state);
        uint16_t half = rows_bf16_of(value);
        memcpy(sample.qkv + i * sample.size, sample.size == 4 ? (void *)&value : (void *)&half,
               sample.size);
    }
    sample.scratch = poison_alloc(attention_scratch_size(kernel, tokens, dim));
    return sample;
}

static void sample_free(struct sample *sample) {
    poison_free(sample->qkv);
    poison_free(sample->scratch);
}

static struct attention_call call_of(const struct sample *sample, void *out, bool causal) {
    size_t part = (sample->dim + GAP) * sample->size;
    return (struct attention_call){.q = sample->qkv,
                                   .k = sample->qkv + part,
                                   .v = sample->qkv + 2 * part,
                                   .stride = sample->stride,
                                   .tokens = sample->tokens,
                                   .head_dim = sample->dim,
                                   .query_end = sample->tokens,
                                   .scale = 1 / sqrtf((float)sample->dim),
                                   .causal = causal,
                                   .out = out,
                                   .out_stride = sample->dim + GAP};
}

/* One result row, and the sum of magnitudes of what was added. */
static void expect(const struct sample *sample, size_t query, bool causal, double *row,
                   double *magnitude) {
    size_t seen = causal ? query + 1 : sample->tokens;
    double *weights = malloc(seen * sizeof(*weights)), largest = -1e300, sum = 0;
    for (size_t token = 0; token < seen; token++) {
        weights[token] = 0;
        for (size_t i = 0; i < sample->dim; i++) {
            weights[token] += element(sample, 0, query, i) * element(sample, 1, token, i);
        }
        weights[token] /= sqrt((double)sample->dim);
        if (weights[token] > largest) largest = weights[token];
    }
    for (size_t token = 0; token < seen; token++) sum += exp(weights[token] - largest);
    for (size_t i = 0; i < sample->dim; i++) {
        row[i] = magnitude[i] = 0;
        for (size_t token = 0; token < seen; token++) {
            double part = exp(weights[token] - largest) / sum * element(sample, 2, token, i);
            row[i] += part;
            magnitude[i] += fabs(part);
        }
    }
    free(weights);
}

static void check_size(const struct attention_kernel *kernel, size_t tokens, size_t dim,
                       bool causal, enum gemm_output output) {
    struct sample sample = sample_create(kernel, tokens, dim);
    size_t out_size = output == GEMM_STORE_BF16 ? 2 : 4;
    char *out = poison_alloc(tokens * (dim + GAP) * out_size);
    struct attention_call call = call_of(&sample, out, causal);
    call.output = output;
    attention_run(kernel, &call, sample.scratch);
    double *row = calloc(dim, sizeof(*row)), *magnitude = calloc(dim, sizeof(*row));
    double precision = sample.size == 4 ? 1e-5 : 1e-2;
    if (out_size == 2) precision += 1.0 / 256;
    for (size_t query = 0; query < tokens; query++) {
        expect(&sample, query, causal, row, magnitude);
        for (size_t i = 0; i < dim + GAP; i++) {
            size_t at = query * (dim + GAP) + i;
            double value = out_size == 4 ? (double)((float *)(void *)out)[at]
                                         : (double)rows_f32_of(((uint16_t *)(void *)out)[at]);
            if (i >= dim) {
                if (!isnan(value)) ck_abort_msg("wrote behind query %zu", query);
                continue;
            }
            if (!(fabs(value - row[i]) <= precision * magnitude[i]))
                ck_abort_msg("%s: %zu tokens of %zu, causal %d: [%zu, %zu] is %g, not %g",
                             kernel->gemm->format, tokens, dim, causal, query, i, value, row[i]);
        }
    }
    free(row);
    free(magnitude);
    poison_free(out);
    sample_free(&sample);
}

/* Every different kernel. */
static size_t list(const struct attention_kernel *kernels[KERNELS_MAX]) {
    size_t count = 0;
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct attention_kernel *pair[2] = {
            attention_kernel_find(kernel_set(set), GEMM_FP32),
            attention_kernel_find(kernel_set(set), GEMM_BF16)};
        for (size_t i = 0; i < 2; i++) {
            size_t j = 0;
            while (j < count && kernels[j] != pair[i]) j++;
            if (j == count) kernels[count++] = pair[i];
        }
    }
    return count;
}

START_TEST(every_size) {
    static const size_t dims[] = {2, 4, 6, 8, 14, 16, 18, 30, 32, 34, 62, 64, 72, 80, 88, 96, 104};
    const struct attention_kernel *kernels[KERNELS_MAX];
    size_t count = list(kernels);
    for (size_t i = 0; i < count; i++) {
        for (size_t tokens = 1; tokens <= 70; tokens++) {
            size_t dim = dims[tokens % 16], other = dims[tokens * 7 % 16 / 2 + 8];
            check_size(kernels[i], tokens, dim, false, GEMM_STORE_F32);
            check_size(kernels[i], tokens, other, true, GEMM_STORE_F32);
            check_size(kernels[i], tokens, dim, true, GEMM_STORE_BF16);
        }
        for (size_t d = 0; d < 16; d++) {
            check_size(kernels[i], 50, dims[d], false, GEMM_STORE_BF16);
            check_size(kernels[i], 33, dims[d], true, GEMM_STORE_F32);
        }
        check_size(kernels[i], 197, 64, false, GEMM_STORE_F32);
        check_size(kernels[i], 77, 64, true, GEMM_STORE_BF16);
        check_size(kernels[i], 577, 64, false, GEMM_STORE_F32);
    }
}
END_TEST

/* Answers the queries [begin, end) of the first `tokens` tokens alone and compares. */
static void check_part(struct sample *sample, const float *whole, size_t begin, size_t end,
                       size_t tokens, bool causal) {
    size_t row = sample->dim + GAP;
    float *out = poison_alloc(sample->tokens * row * sizeof(*out));
    struct attention_call call = call_of(sample, out, causal);
    call.query_begin = begin;
    call.query_end = end;
    call.tokens = tokens;
    call.out = out + begin * row;
    attention_run(sample->kernel, &call, sample->scratch);
    for (size_t i = 0; i < sample->tokens * row; i++) {
        if (i / row < begin || i / row >= end || i % row >= sample->dim) {
            if (!isnan(out[i])) ck_abort_msg("wrote outside of the queries, at %zu", i);
        } else if (!same_bits(out + i, whole + i, sizeof(*out))) {
            ck_abort_msg("%s: queries %zu..%zu of %zu differ at [%zu, %zu]",
                         sample->kernel->gemm->format, begin, end, tokens, i / row, i % row);
        }
    }
    poison_free(out);
}

static void check_parts(const struct attention_kernel *kernel, bool causal) {
    enum { TOKENS = 53, DIM = 64 };
    struct sample sample = sample_create(kernel, TOKENS, DIM);
    float *whole = poison_alloc((size_t)TOKENS * (DIM + GAP) * sizeof(*whole));
    struct attention_call call = call_of(&sample, whole, causal);
    attention_run(kernel, &call, sample.scratch);
    for (size_t query = 0; query < TOKENS; query++) {
        check_part(&sample, whole, query, query + 1, TOKENS, causal);
        check_part(&sample, whole, query / 2, query + 1, TOKENS, causal);
        if (causal) check_part(&sample, whole, 0, query + 1, query + 1, true);
    }
    poison_free(whole);
    sample_free(&sample);
}

START_TEST(bits_do_not_depend_on_the_queries) {
    const struct attention_kernel *kernels[KERNELS_MAX];
    size_t count = list(kernels);
    for (size_t i = 0; i < count; i++) {
        check_parts(kernels[i], false);
        check_parts(kernels[i], true);
    }
}
END_TEST

/* Scores far apart: no overflow, the largest wins alone. */
START_TEST(large_scores) {
    const struct attention_kernel *kernels[KERNELS_MAX];
    size_t count = list(kernels);
    for (size_t i = 0; i < count; i++) {
        struct sample sample = sample_create(kernels[i], 20, 8);
        float out[20 * (8 + GAP)];
        struct attention_call call = call_of(&sample, out, false);
        call.scale = 1e30f;
        attention_run(kernels[i], &call, sample.scratch);
        for (size_t query = 0; query < 20; query++) {
            for (size_t j = 0; j < 8; j++) {
                ck_assert(fabsf(out[query * (8 + GAP) + j]) <= 3.02f);
            }
        }
        sample_free(&sample);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("attention");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, every_size);
    tcase_add_test(tests, bits_do_not_depend_on_the_queries);
    tcase_add_test(tests, large_scores);
    return program_run("attention", tests, CK_NOFORK);
}
