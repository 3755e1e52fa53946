/* conv_fold.h - convolutions side by side, each with a BatchNorm behind it, as one convolution
 * (SPEC 4.6). Sums are in double precision. */
#ifndef CORE_PACK_CONV_FOLD_H
#define CORE_PACK_CONV_FOLD_H

#include "core/blueprint/blueprint.h"

/* What a BatchNorm does to each of n channels: scale * x + shift. Both are [n]. Without one the
 * scale is 1, and the shift the bias. */
enum status conv_fold_norm(double *scale, double *shift, const struct blueprint_conv *from,
                           size_t n, struct error *err);

struct conv_folded {
    float *rows;   /* [n, channels * window^2], in the order channel, y, x */
    float *biases; /* [n] */
};

struct conv_fold_shape {
    size_t n, channels; /* channels that one result sees: 1 where each is by itself */
    size_t window;
    bool flat; /* one line high, and so are all branches */
};

/* The caller frees both parts, also after an error. */
enum status conv_fold(struct conv_folded *out, const struct blueprint_branches *from,
                      const struct conv_fold_shape *shape, struct error *err);

#endif
