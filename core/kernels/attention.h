/* attention.h - softmax(scale * Q K^T) V for one head of one sequence.
 *
 * Keys and values are packed into panels and multiplied by the tile kernels of
 * gemm.h, a few queries at a time: their scores stay in L1, so up to some 600 tokens
 * nothing needs to be cut further. Two precisions: fp32 throughout, or bf16 with fp32
 * scores, softmax and sums.
 *
 * The result of a query has the same bits whatever range of queries is asked for, and,
 * if causal, however many tokens follow it.
 */
#ifndef CORE_KERNELS_ATTENTION_H
#define CORE_KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/kernels/gemm.h"

struct attention_kernel;

/* The best kernel of these instruction sets (isa.h); precision is GEMM_FP32 or
 * GEMM_BF16. Never NULL. */
const struct attention_kernel *attention_kernel_find(unsigned features,
                                                     enum gemm_precision precision);

/* Bytes of scratch memory, 64-byte aligned, that one thread needs for heads of at most
 * this size. */
size_t attention_scratch_size(const struct attention_kernel *kernel, size_t tokens,
                              size_t head_dim);

struct attention_call {
    /* [tokens, head_dim] each, of the kernel's precision: this head's slice of the rows,
     * which are `stride` elements apart. head_dim is even. */
    const void *q, *k, *v;
    size_t stride;
    size_t tokens, head_dim;
    size_t query_begin, query_end; /* the queries to answer */
    float scale;                   /* 1 / sqrt(head_dim) */
    bool causal;                   /* a query sees itself and what is before it */
    /* [query_end - query_begin, head_dim], rows out_stride elements apart. GEMM_STORE_F32
     * or GEMM_STORE_BF16. */
    void *out;
    size_t out_stride;
    enum gemm_output output;
};

void attention_run(const struct attention_kernel *kernel, const struct attention_call *call,
                   void *scratch);

#endif
