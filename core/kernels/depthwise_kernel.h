/* depthwise_kernel.h - what the instruction sets of depthwise.h share. Internal. */
#ifndef CORE_KERNELS_DEPTHWISE_KERNEL_H
#define CORE_KERNELS_DEPTHWISE_KERNEL_H

#include "core/kernels/depthwise.h"

/* The part of a window that lies in the map. */
struct depthwise_view {
    const float *in, *weights; /* of its first pixel */
    size_t lines, columns;
    size_t channels;               /* floats between pixels, and between weights */
    size_t line_step, weight_step; /* floats between lines */
    const float *bias;
    float *out;
};

/* Of a pixel of the result. */
static inline struct depthwise_view depthwise_view_of(const struct depthwise_call *call,
                                                      size_t line, size_t column) {
    size_t half = call->window / 2, y = line * call->stride, x = column * call->stride;
    size_t above = call->flat ? 0 : half; /* lines */
    size_t top = y < above ? above - y : 0, left = x < half ? half - x : 0;
    size_t bottom = y + above < call->height ? 0 : y + above + 1 - call->height;
    size_t right = x + half < call->width ? 0 : x + half + 1 - call->width;
    struct depthwise_view view = {.lines = 2 * above + 1 - top - bottom,
                                  .columns = call->window - left - right,
                                  .channels = call->channels,
                                  .line_step = call->width * call->channels,
                                  .weight_step = call->window * call->channels,
                                  .bias = call->bias};
    view.in = call->in + ((y + top - above) * call->width + x + left - half) * call->channels;
    view.weights = call->weights + (top * call->window + left) * call->channels;
    view.out =
        call->out + (line * depthwise_side(call->width, call->stride) + column) * call->out_stride;
    return view;
}

depthwise_fn depthwise_generic, depthwise_avx2, depthwise_avx512;

#endif
