#include "core/towers/walk.h"

#include "core/base/bytes.h"
#include "core/checkpoint/info.h"

static const void *step(struct walk *walk, size_t count, size_t size) {
    size_t bytes;
    size_t begin = walk->at;
    if (!size_multiply(&bytes, count, size) || bytes > SIZE_MAX - GEMM_ALIGNMENT ||
        begin > SIZE_MAX - GEMM_ALIGNMENT - bytes) {
        walk->at = SIZE_MAX;
        return NULL;
    }
    bytes = (bytes + GEMM_ALIGNMENT - 1) / GEMM_ALIGNMENT * GEMM_ALIGNMENT;
    walk->at = begin + bytes;
    return walk->block ? walk->block + begin : NULL;
}

const float *walk_floats(struct walk *walk, size_t count) {
    return step(walk, count, sizeof(float));
}

void walk_norm(struct walk *walk, size_t width, struct norm *out) {
    out->gain = walk_floats(walk, width);
    out->bias = walk_floats(walk, width);
}

/* In the order of enum model_precision, which plans hold. */
static enum gemm_precision gemm_precision_of(uint8_t precision) {
    static const enum gemm_precision by_model[] = {
        [MODEL_FP32] = GEMM_FP32, [MODEL_BF16] = GEMM_BF16, [MODEL_INT8] = GEMM_INT8};
    return by_model[precision];
}

void walk_linear(struct walk *walk, uint8_t precision, size_t n, size_t k, bool has_bias,
                 struct linear *out) {
    const struct gemm_kernel *kernel =
        gemm_kernel_find(walk->features, gemm_precision_of(precision));
    size_t size = gemm_packed_size(kernel, n, k);
    if (!size) walk->at = SIZE_MAX;
    out->blob = step(walk, size, 1);
    if (out->blob) out->weight = gemm_weight_of(out->blob, kernel, n, k);
    out->bias = has_bias ? walk_floats(walk, n) : NULL;
}

void walk_conv(struct walk *walk, uint8_t precision, size_t n, size_t channels, struct conv *out) {
    walk_linear(walk, precision, n, (size_t)out->window * out->window * channels, true,
                &out->product);
}
