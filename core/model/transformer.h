/* transformer.h - the pre-norm transformer that both towers are made of (SPEC 1.1).
 *
 * Rows of several sequences lie one behind the other without padding; only
 * attention looks at where one ends and the next begins. */
#ifndef CORE_MODEL_TRANSFORMER_H
#define CORE_MODEL_TRANSFORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/model.h"

struct kernels;

struct layer_norm {
    const float *gain, *bias; /* [width] */
};

struct linear {
    const float *weight; /* [n, k] */
    const float *bias;   /* [n] or NULL */
    size_t n, k;
};

struct block {
    struct layer_norm ln_1, ln_2;
    struct linear q, k, v; /* [width, width] each, also where the checkpoint fuses them */
    struct linear out;     /* [width, width] */
    struct linear fc;      /* [mlp_width, width] */
    struct linear proj;    /* [width, mlp_width] */
};

struct transformer {
    struct model_tower shape;
    bool causal;
    struct block *blocks; /* [shape.layers] */
};

/* Sequence i has the rows start[i] .. start[i + 1] - 1. */
struct sequences {
    size_t count;
    size_t *start; /* [count + 1], start[0] = 0 */
};

/* What a forward pass writes to; sized for `rows_max` rows. */
struct activations {
    float *x;      /* [rows, width]: the residual stream, in and out */
    float *normed; /* [rows, width] */
    float *qkv;    /* [rows, 3 * width] */
    float *mixed;  /* [rows, width]: attention's result */
    float *hidden; /* [rows, mlp_width] */
    float *scores; /* [length_max, length_max]: one head of one sequence */
};

/* out[rows, n] = in[rows, k] * weight^T, without the bias. */
void linear_multiply(const struct linear *linear, const struct kernels *k, float *out,
                     size_t out_stride, const float *in, size_t rows);

/* out[rows, n] = in[rows, k] * weight^T + bias. One product per sequence: BLAS may add
 * in another order for another number of rows, and the result for a sequence must
 * not depend on its neighbours. */
void linear_apply(const struct linear *linear, const struct kernels *k, float *out,
                  size_t out_stride, const float *in, const struct sequences *sequences);

/* Runs all blocks over activations->x, in place. */
void transformer_forward(const struct transformer *transformer, const struct kernels *k,
                         const struct activations *activations, const struct sequences *sequences);

/* The end of both towers: one row through the last LayerNorm and the projection.
 * `scratch` is [width]. */
void transformer_pool(const struct transformer *transformer, const struct kernels *k,
                      const float *row, const struct layer_norm *norm, const struct linear *proj,
                      float *scratch, float *embedding);

#endif
