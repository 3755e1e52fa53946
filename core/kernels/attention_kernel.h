/* attention_kernel.h - what an instruction set brings to attention.c. Internal. */
#ifndef CORE_KERNELS_ATTENTION_KERNEL_H
#define CORE_KERNELS_ATTENTION_KERNEL_H

#include "core/kernels/attention.h"
#include "core/kernels/gemm_kernel.h"

/* A matrix of 32-bit words (one float or two bfloat16) somewhere in memory. */
struct attention_matrix {
    const void *data;
    size_t stride; /* bytes between rows */
    size_t rows;
};

struct attention_kernel {
    /* Its tile multiplies queries with keys and weights with values. */
    const struct gemm_kernel *gemm;
    /* Keys to panels: columns are tokens, each `words` long; columns beyond the last
     * token are filled with zeros. */
    void (*pack_keys)(uint32_t *panels, const struct attention_matrix *keys, size_t words);
    /* Values to panels: columns are elements; a word holds this element of one token
     * or of two neighbours. What lies beyond the last element or token is zero. */
    void (*pack_values)(uint32_t *panels, const struct attention_matrix *values, size_t head_dim);
    /* The first `seen` scores of a row become weights exp(scale * (score - largest)), in
     * the kernel's precision and in place; weights from there to `padded` become zero.
     * Returns 1 / the sum of the weights. */
    float (*soften)(float *row, size_t seen, size_t padded, float scale);
    /* count <= columns elements of a result row, times factor. */
    void (*store)(void *out, const float *sums, size_t count, float factor,
                  enum gemm_output output);
};

extern const struct attention_kernel attention_generic_fp32, attention_generic_bf16;
extern const struct attention_kernel attention_avx2_fp32;
extern const struct attention_kernel attention_avx512_fp32, attention_avx512_bf16;

#endif
