/* conv.h - convolutions over maps of pixels, as products of gemm.h.
 *
 * A map is [height, width, channels]. What a window sees, in the order y, x, channel, is a
 * row of A, so a window of one pixel needs no rearranging at all. Larger ones are gathered
 * for some lines of the result at a time, a strip, which stays in the cache while all
 * panels of the weight are multiplied with it.
 *
 * A strip's rows and, in int8, the scale that the lines under it share depend on the sizes
 * of the convolution alone. So the result has the same bits however strips and panels are
 * split among a team. */
#ifndef CORE_TOWERS_CONV_H
#define CORE_TOWERS_CONV_H

#include "core/towers/pass.h"

struct map {
    float *data;
    size_t height, width, channels;
    size_t stride; /* floats between pixels; `channels` where windows are larger than 1 */
};

/* Where windows of one pixel read it: odd counts of cache lines hit every set. */
size_t map_padded_stride(size_t channels);

/* Sides of what follows a window of that many pixels. */
size_t conv_side(const struct conv *conv, size_t side);

/* Bytes of scratch memory for each of the two parts that one thread needs. `width` is that
 * of the input; false when they do not fit a size_t. */
struct conv_scratch {
    size_t strip, lines, rows; /* the last counts scales */
};
bool conv_scratch_size(struct conv_scratch *out, const struct conv *conv, size_t height,
                       size_t width);

/* out = activation(in * W + bias), stored as the call of gemm.h says. `out` has the sides of
 * conv_side() and another memory than `in`. */
void conv_run(const struct pass *pass, const struct conv *conv, const struct map *in,
              const struct map *out, enum gemm_activation activation, enum gemm_output output);

#endif
