/* depthwise_avx512.c - as depthwise_avx2.c, 64 channels at a time. */
#include "core/kernels/depthwise_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/math_avx512.h"

enum { VECTORS = 4, BLOCK = 16 * VECTORS /* channels */ };

/* VECTORS full vectors from `channel` on. */
static inline void sum_block(const struct depthwise_view *view, size_t channel) {
    __m512 sum[VECTORS];
    for (size_t k = 0; k < VECTORS; k++) sum[k] = _mm512_loadu_ps(view->bias + channel + 16 * k);
    for (size_t i = 0; i < view->lines; i++) {
        const float *in = view->in + i * view->line_step + channel;
        const float *weights = view->weights + i * view->weight_step + channel;
        for (size_t j = 0; j < view->columns; j++) {
#pragma GCC unroll 4
            for (size_t k = 0; k < VECTORS; k++) {
                sum[k] = _mm512_fmadd_ps(_mm512_loadu_ps(in + 16 * k),
                                         _mm512_loadu_ps(weights + 16 * k), sum[k]);
            }
            in += view->channels;
            weights += view->channels;
        }
    }
    for (size_t k = 0; k < VECTORS; k++) _mm512_storeu_ps(view->out + channel + 16 * k, sum[k]);
}

/* One vector, of which some lanes count. */
static inline void sum_vector(const struct depthwise_view *view, size_t channel, __mmask16 lanes) {
    __m512 sum = _mm512_maskz_loadu_ps(lanes, view->bias + channel);
    for (size_t i = 0; i < view->lines; i++) {
        const float *in = view->in + i * view->line_step + channel;
        const float *weights = view->weights + i * view->weight_step + channel;
        for (size_t j = 0; j < view->columns; j++) {
            sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, in + j * view->channels),
                                  _mm512_maskz_loadu_ps(lanes, weights + j * view->channels), sum);
        }
    }
    _mm512_mask_storeu_ps(view->out + channel, lanes, sum);
}

void depthwise_avx512(const struct depthwise_call *call, size_t begin, size_t end) {
    size_t width = depthwise_side(call->width, call->stride);
    for (size_t y = begin; y < end; y++) {
        for (size_t x = 0; x < width; x++) {
            struct depthwise_view view = depthwise_view_of(call, y, x);
            size_t c = 0;
            for (; c + BLOCK <= call->channels; c += BLOCK) sum_block(&view, c);
            for (; c < call->channels; c += 16) {
                sum_vector(&view, c, math512_lanes(call->channels - c));
            }
        }
    }
}
#endif
