/* depthwise_generic.c - the convolution of channels in portable C. */
#include "core/kernels/depthwise_kernel.h"
#include "core/kernels/isa.h"

static void sum_channel(const struct depthwise_view *view, size_t channel) {
    float sum = view->bias[channel];
    for (size_t i = 0; i < view->lines; i++) {
        const float *in = view->in + i * view->line_step + channel;
        const float *weights = view->weights + i * view->weight_step + channel;
        for (size_t j = 0; j < view->columns; j++) {
            sum += in[j * view->channels] * weights[j * view->channels];
        }
    }
    view->out[channel] = sum;
}

void depthwise_generic(const struct depthwise_call *call, size_t begin, size_t end) {
    size_t width = depthwise_side(call->width, call->stride);
    for (size_t y = begin; y < end; y++) {
        for (size_t x = 0; x < width; x++) {
            struct depthwise_view view = depthwise_view_of(call, y, x);
            for (size_t c = 0; c < call->channels; c++) sum_channel(&view, c);
        }
    }
}

depthwise_fn *depthwise_find(unsigned features) {
#if defined(__x86_64__)
    if (features & ISA_AVX512) return depthwise_avx512;
    if (features & ISA_AVX2) return depthwise_avx2;
#else
    (void)features;
#endif
    return depthwise_generic;
}
