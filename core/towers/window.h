/* window.h - the weights of a convolution of every channel by itself, as FastViTs and
 * MobileCLIP-S0's texts have (SPEC 4.6): where they lie in the block of a model. */
#ifndef CORE_TOWERS_WINDOW_H
#define CORE_TOWERS_WINDOW_H

#include "core/towers/walk.h"

struct window {
    const float *weights;            /* [multiple, window_area(), channels] */
    const float *bias;               /* [multiple, channels] */
    size_t channels;                 /* that go in; multiple times as many come out */
    uint32_t side, stride, multiple; /* side 0: there is no such convolution */
    bool flat;                       /* one line high: over tokens */
};

/* Pixels that it sees. */
size_t window_area(const struct window *window);

/* With everything set but `channels` and the places. */
void window_place(struct window *out, struct walk *walk, size_t channels);

#endif
