#include "core/model/pooling.h"

#include <string.h>

void pooling_average(const struct pass *pass, size_t width) {
    const struct sequences *sequences = &pass->lane->sequences;
    float *x = pass->lane->x;
    for (size_t i = 0; i < sequences->count; i++) {
        size_t first = sequences->start[i] + 1, end = sequences->start[i + 1];
        float *mean = x + i * width;
        memset(mean, 0, width * sizeof(*mean));
        for (size_t row = first; row < end; row++) {
            for (size_t j = 0; j < width; j++) mean[j] += x[row * width + j];
        }
        for (size_t j = 0; j < width; j++) mean[j] /= (float)(end - first);
    }
}

void pooling_project(const struct tower *tower, const struct pass *pass, float *const *embeddings) {
    const struct model_tower *shape = &tower->shape;
    struct lane *lane = pass->lane;
    size_t count = lane->sequences.count, width = shape->pooled_width;
    const struct norm *norm = shape->no_ln_end ? NULL : &tower->ln_end;
    if (!shape->projected) {
        for (size_t i = 0; i < count; i++) {
            const float *row = lane->x + i * width;
            if (norm)
                pass->rows->layer_norm(embeddings[i], row, norm->gain, norm->bias, width,
                                       shape->layer_norm_eps);
            else
                memcpy(embeddings[i], row, width * sizeof(*row));
        }
        return;
    }
    size_t dim = tower->projection.weight.n;
    struct pass_rows pooled = {norm, shape->layer_norm_eps, lane->x, width};
    pass_prepare(pass, &pooled, &tower->projection, lane->input, count);
    pass_multiply(pass, &tower->projection, count, lane->wide, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->wide + i * dim, dim * sizeof(*lane->wide));
    }
}
