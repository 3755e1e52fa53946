#include "core/towers/pooling.h"

#include <string.h>

void pooling_average(const struct pass *pass, size_t width, size_t from) {
    const struct sequences *sequences = &pass->lane->sequences;
    float *x = pass->lane->x;
    for (size_t i = 0; i < sequences->count; i++) {
        size_t first = sequences->start[i] + from, end = sequences->start[i + 1];
        float *mean = x + i * width;
        memmove(mean, x + first * width, width * sizeof(*mean));
        for (size_t row = first + 1; row < end; row++) {
            for (size_t j = 0; j < width; j++) mean[j] += x[row * width + j];
        }
        for (size_t j = 0; j < width; j++) mean[j] /= (float)(end - first);
    }
}

/* The first product of a projection that has two. */
static struct pass_rows run_hidden(const struct tower *tower, const struct pass *pass,
                                   size_t count) {
    struct lane *lane = pass->lane;
    size_t width = tower->shape.width, stride = workspace_wide_stride(tower->hidden.weight.n);
    struct pass_rows from = {.from = lane->x, .stride = width};
    struct pass_product product = {.linear = &tower->hidden,
                                   .call = {.a = lane->input,
                                            .m = count,
                                            .c = lane->wide,
                                            .c_stride = stride,
                                            .activation = GEMM_GELU_ERF}};
    pass_prepare(pass, &from, &tower->hidden, lane->input, count);
    pass_run(pass, &product);
    return (struct pass_rows){.from = lane->wide, .stride = stride};
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
    if (tower->hidden.blob) pooled = run_hidden(tower, pass, count);
    pass_prepare(pass, &pooled, &tower->projection, lane->input, count);
    pass_multiply(pass, &tower->projection, count, lane->wide, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->wide + i * dim, dim * sizeof(*lane->wide));
    }
}
