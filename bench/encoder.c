#include "bench/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/kernels/attention.h"
#include "core/kernels/rows.h"

enum {
    LAYERS_MAX = 24,
    WIDTH_MAX = 1024,
    WEIGHTS_MAX = 4 * LAYERS_MAX + 2,
    PAD = 16, /* elements between rows of C, so that they fall on different cache sets */
};

const struct encoder_shape encoder_b32 = {"ViT-B/32", 768, 12, 12, 512, 50, 3072};
const struct encoder_shape encoder_b16 = {"ViT-B/16", 768, 12, 12, 512, 197, 768};
const struct encoder_shape encoder_l14 = {"ViT-L/14", 1024, 24, 16, 768, 257, 588};

struct layer {
    struct gemm_weight qkv, out, up, down;
};

struct encoder {
    const struct encoder_shape *shape;
    size_t hidden, head_dim, qkv_stride;
    enum gemm_precision precision;
    const struct row_kernels *rows;
    const struct attention_kernel *attention;
    bool attention_bf16;
    struct gemm_weight patch, projection;
    struct layer layers[LAYERS_MAX];
    float *bias; /* [HIDDEN], zeros */
    float *gain; /* [WIDTH], ones */
    void *blobs[WEIGHTS_MAX];
    size_t blob_count;
};

struct encoder_space {
    size_t batch;
    float *pixels; /* [batch * PATCHES, PATCH_SIZE] */
    float *x;      /* [batch * TOKENS, WIDTH], the residual stream */
    float *wide;   /* [batch * TOKENS, HIDDEN + PAD], before it is quantised */
    void *input;   /* [batch * TOKENS, HIDDEN]: A of the next product */
    struct row_scale *scales;
    void *qkv;
    void *scratch;
};

/* Zeros, in huge pages where the system has them. */
static void *memory(size_t size) {
    size_t page = (size_t)2 << 20;
    void *data = aligned_alloc(page, (size + page - 1) / page * page);
    if (!data) {
        perror("aligned_alloc");
        exit(1);
    }
    madvise(data, size, MADV_HUGEPAGE);
    memset(data, 0, size);
    return data;
}

static void fill(float *values, size_t count, float scale) {
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = ((float)(state >> 8) / 8388608.0f - 1.0f) * scale;
    }
}

static struct gemm_weight weight(struct encoder *encoder, const struct gemm_kernel *kernel,
                                 const float *source, size_t n, size_t k) {
    void *blob = memory(gemm_packed_size(kernel, n, k));
    encoder->blobs[encoder->blob_count++] = blob;
    gemm_pack(blob, kernel, &(struct gemm_rows){source, k, n}, 1, k);
    return gemm_weight_of(blob, kernel, n, k);
}

struct encoder *encoder_create(const struct encoder_shape *shape, unsigned features,
                               enum gemm_precision precision) {
    struct encoder *encoder = memory(sizeof(*encoder));
    size_t width = shape->width, hidden = 4 * width;
    encoder->shape = shape;
    encoder->hidden = hidden;
    encoder->head_dim = width / shape->heads;
    encoder->qkv_stride = 3 * width + (size_t)2 * PAD;
    const struct gemm_kernel *kernel = gemm_kernel_find(features, precision);
    encoder->precision = precision;
    encoder->rows = row_kernels_find(features);
    /* int8 takes the bf16 attention where the CPU has a kernel for it. */
    const struct gemm_kernel *half = gemm_kernel_find(features, GEMM_BF16);
    encoder->attention_bf16 =
        precision != GEMM_FP32 && strcmp(gemm_kernel_name(half), "generic") != 0;
    encoder->attention =
        attention_kernel_find(features, encoder->attention_bf16 ? GEMM_BF16 : GEMM_FP32);
    size_t count = hidden * (hidden + shape->layers);
    float *source = memory(count * sizeof(*source));
    fill(source, count, 0.04f);
    encoder->bias = memory(sizeof(float) * hidden);
    encoder->gain = memory(sizeof(float) * width);
    for (size_t i = 0; i < width; i++) encoder->gain[i] = 1;
    encoder->patch = weight(encoder, kernel, source, width, shape->patch_values);
    encoder->projection = weight(encoder, kernel, source, shape->embed_dim, width);
    for (size_t i = 0; i < shape->layers; i++) {
        const float *own = source + i * hidden;
        encoder->layers[i].qkv = weight(encoder, kernel, own, 3 * width, width);
        encoder->layers[i].out = weight(encoder, kernel, own, width, width);
        encoder->layers[i].up = weight(encoder, kernel, own, hidden, width);
        encoder->layers[i].down = weight(encoder, kernel, own, width, hidden);
    }
    free(source);
    return encoder;
}

void encoder_destroy(struct encoder *encoder) {
    for (size_t i = 0; i < encoder->blob_count; i++) free(encoder->blobs[i]);
    free(encoder->bias);
    free(encoder->gain);
    free(encoder);
}

struct encoder_space *encoder_space_create(const struct encoder *encoder, size_t batch) {
    struct encoder_space *space = memory(sizeof(*space));
    const struct encoder_shape *shape = encoder->shape;
    size_t rows = batch * shape->tokens, pixels = rows * shape->patch_values;
    size_t widest = encoder->hidden > shape->patch_values ? encoder->hidden : shape->patch_values;
    space->batch = batch;
    space->pixels = memory(sizeof(float) * pixels);
    fill(space->pixels, pixels, 1.0f);
    space->x = memory(sizeof(float) * rows * shape->width);
    space->wide = memory(sizeof(float) * rows * (widest + (size_t)2 * PAD));
    space->input = memory(sizeof(float) * rows * (widest + (size_t)2 * PAD));
    space->scales = memory(sizeof(*space->scales) * rows);
    space->qkv = memory(sizeof(float) * rows * encoder->qkv_stride);
    space->scratch =
        memory(attention_scratch_size(encoder->attention, shape->tokens, encoder->head_dim));
    return space;
}

void encoder_space_destroy(struct encoder_space *space) {
    free(space->pixels);
    free(space->x);
    free(space->wide);
    free(space->input);
    free(space->scales);
    free(space->qkv);
    free(space->scratch);
    free(space);
}

static size_t stride_of(const struct encoder *encoder, size_t k) {
    return gemm_row_stride(encoder->patch.kernel, k);
}

/* One fp32 row as a row of A in the encoder's precision. */
static void put(const struct encoder *encoder, struct encoder_space *space, size_t row,
                const float *values, size_t k) {
    size_t at = row * stride_of(encoder, k);
    switch (encoder->precision) {
    case GEMM_FP32: memcpy((float *)space->input + at, values, k * sizeof(float)); break;
    case GEMM_BF16: encoder->rows->to_bf16((uint16_t *)space->input + at, values, k); break;
    case GEMM_INT8:
        space->scales[row] = encoder->rows->quantize((uint8_t *)space->input + at, values, k);
        break;
    }
}

static void norm(const struct encoder *encoder, struct encoder_space *space, size_t rows) {
    size_t width = encoder->shape->width;
    for (size_t i = 0; i < rows; i++) {
        float normed[WIDTH_MAX];
        encoder->rows->layer_norm(normed, space->x + i * width, encoder->gain, encoder->bias, width,
                                  1e-5f);
        put(encoder, space, i, normed, width);
    }
}

static void multiply(const struct encoder *encoder, const struct gemm_weight *weight,
                     struct gemm_call *call) {
    call->a_stride = stride_of(encoder, weight->k);
    call->bias = encoder->bias;
    gemm_multiply(weight, call, 0, gemm_panels(weight->kernel, weight->n));
}

static void attend(const struct encoder *encoder, struct encoder_space *space, bool last) {
    size_t size = encoder->attention_bf16 ? 2 : 4, width = encoder->shape->width;
    size_t tokens = encoder->shape->tokens, heads = encoder->shape->heads, dim = encoder->head_dim;
    bool direct = encoder->precision != GEMM_INT8; /* straight into A of the next product */
    size_t out_stride = direct ? stride_of(encoder, width) : width;
    size_t out_size = encoder->precision == GEMM_BF16 ? 2 : 4;
    struct attention_call call = {.stride = encoder->qkv_stride, .tokens = tokens, .head_dim = dim};
    call.query_end = last ? 1 : tokens;
    call.scale = 1 / sqrtf((float)dim);
    call.out_stride = out_stride;
    call.output = out_size == 2 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
    for (size_t i = 0; i < space->batch * heads; i++) {
        size_t image = i / heads, head = i % heads;
        const char *q = (const char *)space->qkv + image * tokens * encoder->qkv_stride * size;
        call.q = q + head * dim * size;
        call.k = q + (width + head * dim) * size;
        call.v = q + (2 * width + head * dim) * size;
        /* In the last layer the pooled rows stand one behind the other. */
        size_t row = last ? image : image * tokens;
        char *out = direct ? (char *)space->input : (char *)space->wide;
        call.out = out + (row * out_stride + head * dim) * out_size;
        attention_run(encoder->attention, &call, space->scratch);
    }
}

static void run_layer(const struct encoder *encoder, struct encoder_space *space, size_t index) {
    size_t width = encoder->shape->width, hidden = encoder->hidden, tokens = encoder->shape->tokens;
    const struct layer *layer = encoder->layers + index;
    bool last = index + 1 == encoder->shape->layers, int8 = encoder->precision == GEMM_INT8;
    size_t rows = space->batch * tokens;
    norm(encoder, space, rows);
    struct gemm_call call = {.a = space->input, .a_scales = space->scales, .m = rows};
    call.c = space->qkv;
    call.c_stride = encoder->qkv_stride;
    call.output = encoder->attention_bf16 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
    multiply(encoder, &layer->qkv, &call);
    attend(encoder, space, last);
    if (last) {
        rows = space->batch;
        for (size_t i = 0; i < rows; i++) {
            memmove(space->x + i * width, space->x + i * tokens * width, width * sizeof(float));
        }
    }
    for (size_t i = 0; int8 && i < rows; i++) {
        put(encoder, space, i, space->wide + i * width, width);
    }
    struct gemm_call add = {.a = space->input, .a_scales = space->scales, .m = rows};
    add.c = space->x;
    add.c_stride = width;
    add.output = GEMM_ADD_F32;
    multiply(encoder, &layer->out, &add);
    norm(encoder, space, rows);
    call.m = rows;
    call.c = space->wide;
    call.c_stride = int8 ? hidden + PAD : stride_of(encoder, hidden);
    call.activation = GEMM_QUICK_GELU;
    call.output = encoder->precision == GEMM_BF16 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
    multiply(encoder, &layer->up, &call);
    for (size_t i = 0; int8 && i < rows; i++) {
        put(encoder, space, i, space->wide + i * (hidden + PAD), hidden);
    }
    if (!int8) add.a = space->wide;
    multiply(encoder, &layer->down, &add);
}

void encoder_run(const struct encoder *encoder, struct encoder_space *space) {
    size_t width = encoder->shape->width, values = encoder->shape->patch_values;
    size_t patches = space->batch * (encoder->shape->tokens - 1);
    for (size_t i = 0; i < patches; i++) {
        put(encoder, space, i, space->pixels + i * values, values);
    }
    struct gemm_call call = {.a = space->input, .a_scales = space->scales, .m = patches};
    call.c = space->x;
    call.c_stride = width;
    multiply(encoder, &encoder->patch, &call);
    for (size_t i = 0; i < encoder->shape->layers; i++) run_layer(encoder, space, i);
    norm(encoder, space, space->batch);
    call.m = space->batch;
    call.c = space->wide;
    multiply(encoder, &encoder->projection, &call);
}

double encoder_operations(const struct encoder_shape *shape) {
    double width = (double)shape->width, tokens = (double)shape->tokens;
    double layer = tokens * width * 12 * width + 2 * tokens * tokens * width;
    double patch = (tokens - 1) * (double)shape->patch_values * width;
    return 2 * ((double)shape->layers * layer + patch + width * (double)shape->embed_dim);
}
