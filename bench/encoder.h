/* encoder.h - an image tower on random weights, made of nothing but kernels.
 *
 * It shows what the kernels allow before the model around them exists: the same
 * products, norms and attention, the last layer for the pooled token only. It is a
 * bench, not a model: no position embedding, no pixels.
 */
#ifndef BENCH_ENCODER_H
#define BENCH_ENCODER_H

#include <stddef.h>

#include "core/kernels/gemm.h"

struct encoder;
struct encoder_space;

struct encoder_shape {
    const char *name; /* "ViT-B/32" */
    size_t width, layers, heads, embed_dim;
    size_t tokens;       /* patches and one more */
    size_t patch_values; /* of a patch: 3 * 32 * 32 */
};

extern const struct encoder_shape encoder_b32, encoder_b16, encoder_l14;

/* Packs random weights. `shape` must outlive it. Exits when memory runs out. */
struct encoder *encoder_create(const struct encoder_shape *shape, unsigned features,
                               enum gemm_precision precision);
void encoder_destroy(struct encoder *encoder);

/* Buffers of one thread for batches of `batch` images. */
struct encoder_space *encoder_space_create(const struct encoder *encoder, size_t batch);
void encoder_space_destroy(struct encoder_space *space);

/* One forward pass over the space's batch. */
void encoder_run(const struct encoder *encoder, struct encoder_space *space);

/* Multiplications and additions that the full model needs per image, without savings. */
double encoder_operations(const struct encoder_shape *shape);

#endif
