#include "core/model/transformer.h"

#include <math.h>

#include "core/kernels/kernels.h"

static size_t rows_of(const struct sequences *sequences) {
    return sequences->start[sequences->count];
}

void linear_multiply(const struct linear *linear, const struct kernels *k, float *out,
                     size_t out_stride, const float *in, size_t rows) {
    k->multiply_nt(&(struct product){
        .out = out,
        .out_stride = out_stride,
        .a = in,
        .a_stride = linear->k,
        .b = linear->weight,
        .b_stride = linear->k,
        .m = rows,
        .n = linear->n,
        .k = linear->k,
    });
}

void linear_apply(const struct linear *linear, const struct kernels *k, float *out,
                  size_t out_stride, const float *in, const struct sequences *sequences) {
    for (size_t i = 0; i < sequences->count; i++) {
        size_t first = sequences->start[i], rows = sequences->start[i + 1] - first;
        linear_multiply(linear, k, out + first * out_stride, out_stride, in + first * linear->k,
                        rows);
    }
    if (!linear->bias) return;
    for (size_t i = 0; i < rows_of(sequences); i++) {
        k->add(out + i * out_stride, linear->bias, linear->n);
    }
}

static void normalize_rows(const struct layer_norm *norm, const struct kernels *k, float *out,
                           const float *in, size_t rows, const struct model_tower *shape) {
    size_t width = shape->width;
    for (size_t i = 0; i < rows; i++) {
        k->layer_norm(out + i * width, in + i * width, norm->gain, norm->bias, width,
                      shape->layer_norm_eps);
    }
}

/* One head of one sequence of `length` rows. q, k and v are columns of qkv. */
static void attend_head(const struct transformer *transformer, const struct kernels *k,
                        const struct activations *a, size_t first, size_t length, size_t head) {
    size_t width = transformer->shape.width, depth = width / transformer->shape.heads;
    const float *q = a->qkv + first * 3 * width + head * depth;
    float scale = 1 / sqrtf((float)depth);
    struct product scores = {
        .out = a->scores,
        .out_stride = length,
        .a = q,
        .a_stride = 3 * width,
        .b = q + width,
        .b_stride = 3 * width,
        .m = length,
        .n = length,
        .k = depth,
    };
    k->multiply_nt(&scores);
    for (size_t i = 0; i < length; i++) {
        float *row = a->scores + i * length;
        size_t visible = transformer->causal ? i + 1 : length;
        k->softmax(row, visible, scale);
        for (size_t j = visible; j < length; j++) row[j] = 0;
    }
    struct product mixed = {
        .out = a->mixed + first * width + head * depth,
        .out_stride = width,
        .a = a->scores,
        .a_stride = length,
        .b = q + 2 * width,
        .b_stride = 3 * width,
        .m = length,
        .n = depth,
        .k = length,
    };
    k->multiply_nn(&mixed);
}

static void attend(const struct transformer *transformer, const struct block *block,
                   const struct kernels *k, const struct activations *a,
                   const struct sequences *sequences) {
    size_t width = transformer->shape.width;
    linear_apply(&block->q, k, a->qkv, 3 * width, a->normed, sequences);
    linear_apply(&block->k, k, a->qkv + width, 3 * width, a->normed, sequences);
    linear_apply(&block->v, k, a->qkv + 2 * width, 3 * width, a->normed, sequences);
    for (size_t i = 0; i < sequences->count; i++) {
        size_t first = sequences->start[i], length = sequences->start[i + 1] - first;
        for (size_t head = 0; head < transformer->shape.heads; head++) {
            attend_head(transformer, k, a, first, length, head);
        }
    }
    linear_apply(&block->out, k, a->normed, width, a->mixed, sequences);
}

static void activate(enum model_activation activation, const struct kernels *k, float *row,
                     size_t n) {
    switch (activation) {
    case MODEL_QUICK_GELU: k->quick_gelu(row, n); return;
    case MODEL_GELU_ERF: k->gelu_erf(row, n); return;
    case MODEL_GELU_TANH: k->gelu_tanh(row, n); return;
    }
}

void transformer_forward(const struct transformer *transformer, const struct kernels *k,
                         const struct activations *a, const struct sequences *sequences) {
    const struct model_tower *shape = &transformer->shape;
    size_t rows = rows_of(sequences);
    for (uint32_t i = 0; i < shape->layers; i++) {
        const struct block *block = &transformer->blocks[i];
        normalize_rows(&block->ln_1, k, a->normed, a->x, rows, shape);
        attend(transformer, block, k, a, sequences);
        k->add(a->x, a->normed, rows * shape->width);
        normalize_rows(&block->ln_2, k, a->normed, a->x, rows, shape);
        linear_apply(&block->fc, k, a->hidden, shape->mlp_width, a->normed, sequences);
        activate(shape->activation, k, a->hidden, rows * shape->mlp_width);
        linear_apply(&block->proj, k, a->normed, shape->width, a->hidden, sequences);
        k->add(a->x, a->normed, rows * shape->width);
    }
}

void transformer_pool(const struct transformer *transformer, const struct kernels *k,
                      const float *row, const struct layer_norm *norm, const struct linear *proj,
                      float *scratch, float *embedding) {
    const struct model_tower *shape = &transformer->shape;
    float *normed = proj->weight ? scratch : embedding;
    k->layer_norm(normed, row, norm->gain, norm->bias, shape->width, shape->layer_norm_eps);
    if (!proj->weight) return;
    linear_multiply(proj, k, embedding, proj->n, normed, 1);
}
