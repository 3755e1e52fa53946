#include "core/towers/window.h"

size_t window_area(const struct window *window) {
    return window->flat ? window->side : (size_t)window->side * window->side;
}

void window_place(struct window *out, struct walk *walk, size_t channels) {
    out->channels = channels;
    out->weights = walk_floats(walk, out->multiple * window_area(out) * channels);
    out->bias = walk_floats(walk, out->multiple * channels);
}
