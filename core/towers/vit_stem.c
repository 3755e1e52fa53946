#include "core/towers/vit_stem.h"

#include <string.h>

#include "core/base/bytes.h"

void vit_stem_place(struct conv stem[MODEL_VIT_STEM], struct walk *walk, uint8_t precision,
                    size_t width) {
    size_t channels = 3;
    for (size_t i = 0; i < MODEL_VIT_STEM; i++) {
        size_t n = i + 1 < MODEL_VIT_STEM ? width / 4 : width;
        stem[i].window = stem[i].stride = i ? 2 : 4;
        walk_conv(walk, precision, n, channels, &stem[i]);
        channels = n;
    }
}

bool vit_stem_measure(struct map_sizes *out, const struct conv stem[MODEL_VIT_STEM], size_t height,
                      size_t width) {
    size_t side[2] = {height, width}, next[2] = {0, 0}, pixels;
    *out = (struct map_sizes){0};
    if (!size_multiply(&pixels, height, width)) return false;
    if (!size_multiply(&out->stream, pixels, 3 * sizeof(float))) return false;
    for (size_t i = 0; i < MODEL_VIT_STEM; i++) {
        if (!maps_follow(out, i ? &out->stream : &out->hidden, &stem[i], side, next)) return false;
        memcpy(side, next, sizeof(side));
    }
    return true;
}

void vit_stem_run(const struct pass *pass, const struct conv stem[MODEL_VIT_STEM],
                  const struct map_image *image, size_t row) {
    struct lane *lane = pass->lane;
    size_t stride = workspace_wide_stride(stem[MODEL_VIT_STEM - 1].product.weight.n);
    float *const to[MODEL_VIT_STEM] = {lane->hidden, lane->x, lane->wide + row * stride};
    struct map in = {.data = lane->x,
                     .height = image->info->image_size,
                     .width = image->info->image_width,
                     .channels = 3,
                     .stride = 3};
    maps_enter(pass, image, in.data);
    for (size_t i = 0; i < MODEL_VIT_STEM; i++) {
        bool last = i + 1 == MODEL_VIT_STEM;
        size_t channels = stem[i].product.weight.n;
        struct map out = {.data = to[i],
                          .height = conv_side(&stem[i], in.height),
                          .width = conv_side(&stem[i], in.width),
                          .channels = channels,
                          .stride = last ? stride : channels};
        conv_run(pass, &stem[i], &in, &out, last ? GEMM_LINEAR : GEMM_GELU_ERF, GEMM_STORE_F32);
        in = out;
    }
}
