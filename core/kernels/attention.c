/* attention.c - the order of things; each instruction set does the arithmetic. */
#include "core/kernels/attention.h"

#include <assert.h>

#include "core/kernels/attention_kernel.h"
#include "core/kernels/isa.h"

enum { WORD = 4, LINE_WORDS = 16 };

const struct attention_kernel *attention_kernel_find(unsigned features,
                                                     enum gemm_precision precision) {
    assert(precision != GEMM_INT8);
#if defined(__x86_64__)
    if (precision == GEMM_BF16) {
        if (features & ISA_AVX512_BF16) return &attention_avx512_bf16;
        return &attention_generic_bf16;
    }
    if (features & ISA_AVX512) return &attention_avx512_fp32;
    if (features & ISA_AVX2) return &attention_avx2_fp32;
#else
    (void)features;
#endif
    return precision == GEMM_BF16 ? &attention_generic_bf16 : &attention_generic_fp32;
}

/* Sizes, in words, of the three parts of the scratch memory. */
struct plan {
    size_t keys, values, score_stride;
    size_t key_words;   /* of a query or key */
    size_t value_words; /* of a column of values: tokens, or pairs of tokens */
};

static size_t round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

static struct plan plan_of(const struct gemm_kernel *gemm, size_t tokens, size_t head_dim) {
    struct plan plan = {.key_words = head_dim / gemm->group};
    plan.value_words = (tokens + gemm->group - 1) / gemm->group;
    plan.keys = round_up(tokens, gemm->columns) * plan.key_words;
    plan.values = round_up(head_dim, gemm->columns) * plan.value_words;
    /* Room for a token that pads the last pair; an odd count of lines, see gemm.c. */
    plan.score_stride =
        (round_up(tokens + 1, gemm->columns) / LINE_WORDS | 1) * LINE_WORDS + LINE_WORDS;
    plan.score_stride = (plan.score_stride / LINE_WORDS | 1) * LINE_WORDS;
    return plan;
}

size_t attention_scratch_size(const struct attention_kernel *kernel, size_t tokens,
                              size_t head_dim) {
    struct plan plan = plan_of(kernel->gemm, tokens, head_dim);
    size_t words = plan.keys + plan.values + plan.score_stride * kernel->gemm->tile_rows;
    return round_up(words * WORD, GEMM_ALIGNMENT);
}

struct workplace {
    const struct attention_kernel *kernel;
    const struct attention_call *call;
    struct plan plan;
    uint32_t *keys, *values;
    float *scores; /* [tile_rows][score_stride], then the weights in the same place */
};

/* The scores of `rows` queries against the first `seen` tokens. */
static void score(const struct workplace *work, size_t query, size_t rows, size_t seen) {
    const struct gemm_kernel *gemm = work->kernel->gemm;
    size_t size = WORD / gemm->group, stride = work->call->stride * size;
    struct gemm_tile tile = {.a = (const char *)work->call->q + query * stride};
    tile.a_stride = stride;
    tile.words = work->plan.key_words;
    tile.sums_stride = work->plan.score_stride;
    tile.next_a = tile.next_b = tile.c = work->scores; /* nothing to ask for: all is in L1 */
    for (size_t token = 0; token < seen; token += gemm->columns) {
        tile.b = work->keys + token * tile.words;
        tile.sums = work->scores + token;
        gemm->tile(&tile, rows);
    }
}

/* Weights times values, for `rows` queries; inverse[] holds one over their sums. */
static void mix(const struct workplace *work, size_t query, size_t rows, size_t words,
                const float *inverse) {
    const struct gemm_kernel *gemm = work->kernel->gemm;
    const struct attention_call *call = work->call;
    _Alignas(GEMM_ALIGNMENT) float sums[GEMM_TILE_WORDS];
    size_t out_size = call->output == GEMM_STORE_BF16 ? 2 : 4;
    struct gemm_tile tile = {.a = work->scores, .a_stride = work->plan.score_stride * WORD};
    tile.words = words;
    tile.sums = sums;
    tile.sums_stride = gemm->columns;
    tile.next_a = tile.next_b = sums;
    tile.c_stride = call->out_stride * out_size;
    size_t row = query - call->query_begin;
    for (size_t column = 0; column < call->head_dim; column += gemm->columns) {
        char *out = (char *)call->out + row * tile.c_stride + column * out_size;
        size_t count = call->head_dim - column;
        if (count > gemm->columns) count = gemm->columns;
        tile.b = work->values + column * work->plan.value_words;
        tile.c = out;
        gemm->tile(&tile, rows);
        for (size_t i = 0; i < rows; i++) {
            work->kernel->store(out + i * tile.c_stride, sums + i * gemm->columns, count,
                                inverse[i], call->output);
        }
    }
}

void attention_run(const struct attention_kernel *kernel, const struct attention_call *call,
                   void *scratch) {
    const struct gemm_kernel *gemm = kernel->gemm;
    assert(call->head_dim % gemm->group == 0 && gemm->tile_rows <= LINE_WORDS);
    size_t stride = call->stride * (WORD / gemm->group);
    /* A causal query sees nothing behind itself, so nothing behind the last is packed. */
    size_t tokens = call->causal ? call->query_end : call->tokens;
    struct workplace work = {.kernel = kernel, .call = call};
    work.plan = plan_of(gemm, tokens, call->head_dim);
    work.keys = scratch;
    work.values = work.keys + work.plan.keys;
    work.scores = (float *)(void *)(work.values + work.plan.values);
    const struct attention_matrix keys = {call->k, stride, tokens},
                                  values = {call->v, stride, tokens};
    kernel->pack_keys(work.keys, &keys, work.plan.key_words);
    kernel->pack_values(work.values, &values, call->head_dim);

    size_t count = call->query_end - call->query_begin;
    size_t tiles = (count + gemm->tile_rows - 1) / gemm->tile_rows;
    for (size_t t = 0; t < tiles; t++) {
        size_t query = call->query_begin + count * t / tiles;
        size_t end = call->query_begin + count * (t + 1) / tiles;
        size_t seen = call->causal ? end : tokens;
        size_t words = (seen + gemm->group - 1) / gemm->group;
        float inverse[LINE_WORDS];
        score(&work, query, end - query, seen);
        for (size_t i = 0; i < end - query; i++) {
            inverse[i] = kernel->soften(work.scores + i * work.plan.score_stride,
                                        call->causal ? query + i + 1 : tokens, words * gemm->group,
                                        call->scale);
        }
        mix(&work, query, end - query, words, inverse);
    }
}
