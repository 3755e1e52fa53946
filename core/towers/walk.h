/* walk.h - the walk through a block of packed bytes: where each weight lies.
 *
 * The block holds every weight in a fixed order, each 64-byte aligned, and nothing
 * else: no pointers, no names. The same walk measures a block, lays a new one out and finds
 * the weights in one that was mapped from a file. */
#ifndef CORE_TOWERS_WALK_H
#define CORE_TOWERS_WALK_H

#include "core/kernels/gemm.h"

struct norm {
    const float *gain, *bias; /* [width] */
};

struct linear {
    const void *blob; /* NULL: there is no such product */
    struct gemm_weight weight;
    const float *bias; /* [n] or NULL */
};

/* A product of what windows see, see conv.h. */
struct conv {
    struct linear product; /* [n, window^2 * channels], in the order y, x, channel */
    uint32_t window;       /* pixels a side; 0: there is no such convolution */
    uint32_t stride, padding;
    bool halves; /* with a window of 1: it sees the mean of 2 x 2 pixels */
};

/* `at` sticks at SIZE_MAX once something does not fit. */
struct walk {
    const uint8_t *block; /* NULL: only measuring */
    size_t at;
    unsigned features;
};

const float *walk_floats(struct walk *walk, size_t count);
void walk_norm(struct walk *walk, size_t width, struct norm *out);
/* `precision` is an enum model_precision, as plans hold it. */
void walk_linear(struct walk *walk, uint8_t precision, size_t n, size_t k, bool has_bias,
                 struct linear *out);
/* With a window that is set. */
void walk_conv(struct walk *walk, uint8_t precision, size_t n, size_t channels, struct conv *out);

#endif
