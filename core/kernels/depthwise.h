/* depthwise.h - convolutions of each channel by itself: what stands in ConvNeXt and FastViT
 * between the products.
 *
 * A sum is over the window's pixels that lie in the map, line by line, in one accumulator,
 * so its bits depend on nothing but them. Nothing here fails or allocates. */
#ifndef CORE_KERNELS_DEPTHWISE_H
#define CORE_KERNELS_DEPTHWISE_H

#include <stdbool.h>
#include <stddef.h>

struct depthwise_call {
    const float *in; /* [height, width, channels] */
    size_t height, width, channels;
    const float *weights; /* [window, window, channels], or flat: [window, channels] */
    const float *bias;    /* [channels] */
    size_t window;        /* odd; half of it is padded on every side */
    bool flat;            /* it is one line high: what stands in texts, whose lines are texts */
    size_t stride;        /* pixels between the middles of windows, the first is on pixel 0 */
    float *out;           /* [depthwise_side() of height and width, channels], pixels
                             out_stride floats apart */
    size_t out_stride;
};

static inline size_t depthwise_side(size_t side, size_t stride) {
    return (side + stride - 1) / stride;
}

/* The lines [begin, end) of the result. */
typedef void depthwise_fn(const struct depthwise_call *call, size_t begin, size_t end);

/* The best of these instruction sets (isa.h). */
depthwise_fn *depthwise_find(unsigned features);

#endif
