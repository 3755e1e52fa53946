/* depthwise_avx2.c - the convolution of channels, 32 at a time: as many sums as it takes to
 * hide the latency of the additions. */
#include "core/kernels/depthwise_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/math_avx2.h"

enum { VECTORS = 4, BLOCK = 8 * VECTORS /* channels */ };

/* VECTORS full vectors from `channel` on. */
static inline void sum_block(const struct depthwise_view *view, size_t channel) {
    __m256 sum[VECTORS];
    for (size_t k = 0; k < VECTORS; k++) sum[k] = _mm256_loadu_ps(view->bias + channel + 8 * k);
    for (size_t i = 0; i < view->lines; i++) {
        const float *in = view->in + i * view->line_step + channel;
        const float *weights = view->weights + i * view->weight_step + channel;
        for (size_t j = 0; j < view->columns; j++) {
#pragma GCC unroll 4
            for (size_t k = 0; k < VECTORS; k++) {
                sum[k] = _mm256_fmadd_ps(_mm256_loadu_ps(in + 8 * k),
                                         _mm256_loadu_ps(weights + 8 * k), sum[k]);
            }
            in += view->channels;
            weights += view->channels;
        }
    }
    for (size_t k = 0; k < VECTORS; k++) _mm256_storeu_ps(view->out + channel + 8 * k, sum[k]);
}

/* One vector, of which `count` lanes count. */
static inline void sum_vector(const struct depthwise_view *view, size_t channel, size_t count) {
    const __m256i lanes = math256_lanes(count);
    __m256 sum = _mm256_maskload_ps(view->bias + channel, lanes);
    for (size_t i = 0; i < view->lines; i++) {
        const float *in = view->in + i * view->line_step + channel;
        const float *weights = view->weights + i * view->weight_step + channel;
        for (size_t j = 0; j < view->columns; j++) {
            sum = _mm256_fmadd_ps(_mm256_maskload_ps(in + j * view->channels, lanes),
                                  _mm256_maskload_ps(weights + j * view->channels, lanes), sum);
        }
    }
    math256_store(view->out + channel, count, sum);
}

void depthwise_avx2(const struct depthwise_call *call, size_t begin, size_t end) {
    size_t width = depthwise_side(call->width, call->stride);
    for (size_t y = begin; y < end; y++) {
        for (size_t x = 0; x < width; x++) {
            struct depthwise_view view = depthwise_view_of(call, y, x);
            size_t c = 0;
            for (; c + BLOCK <= call->channels; c += BLOCK) sum_block(&view, c);
            for (; c < call->channels; c += 8) sum_vector(&view, c, call->channels - c);
        }
    }
}
#endif
