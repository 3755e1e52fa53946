#include "core/model/invent_maps.h"

#include <math.h>
#include <stdlib.h>

static struct source make(uint64_t *seed, size_t rows, size_t columns, double scale) {
    return (struct source){.kind = SOURCE_RANDOM,
                           .rows = rows,
                           .columns = columns,
                           .seed = (*seed)++,
                           .scale = (float)scale};
}

/* Behind a ReLU half of the inputs are gone, so weights of this size keep that of their
 * results (He et al. 2015). Those that are added to the stream are smaller by `share`. */
static struct blueprint_conv make_conv(uint64_t *seed, struct resnet_channels channels,
                                       size_t window, double share) {
    size_t k = window * window * channels.in;
    struct source ones = {.kind = SOURCE_GAIN, .rows = 1, .columns = channels.out};
    struct blueprint_conv conv = {.gain = ones, .variance = ones};
    conv.weight = make(seed, channels.out, k, share * sqrt(2 / (double)k));
    conv.bias = make(seed, 1, channels.out, 0.1);
    conv.mean = make(seed, 1, channels.out, 0.1);
    return conv;
}

static struct blueprint_linear make_linear(uint64_t *seed, size_t n, size_t k) {
    struct blueprint_linear linear = {.parts = 1};
    linear.weights[0] = make(seed, n, k, 1 / sqrt((double)k));
    linear.biases[0] = make(seed, 1, n, 0.01);
    return linear;
}

enum status invent_resnet(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                          struct error *err) {
    struct blueprint_resnet *resnet = &out->resnet;
    const double shares[RESNET_CONVS] = {
        [RESNET_REDUCE] = 1, [RESNET_SPATIAL] = 1, [RESNET_EXPAND] = 0.3, [RESNET_SHORTCUT] = 0.7};
    uint32_t count = info->vision.layers - 1;
    size_t width = info->vision.width, tokens = model_image_tokens(info);
    resnet->blocks = calloc(count, sizeof(*resnet->blocks));
    if (!resnet->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the blocks");
    for (uint32_t i = 0; i < RESNET_STEM; i++) {
        resnet->stem[i] = make_conv(seed, resnet_stem_channels(&info->resnet, i), 3, 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct resnet_block block = resnet_block_at(&info->resnet, i);
        for (uint32_t j = 0; j < RESNET_CONVS; j++) {
            resnet->blocks[i].convs[j] =
                make_conv(seed, resnet_block_channels(&block, (enum resnet_conv)j),
                          j == RESNET_SPATIAL ? 3 : 1, shares[j]);
        }
    }
    out->vision.positions = make(seed, tokens, width, 1 / sqrt((double)width));
    resnet->query = make_linear(seed, width, width);
    resnet->key_value = make_linear(seed, 2 * width, width);
    out->vision.projection = make_linear(seed, info->embed_dim, width);
    return STATUS_OK;
}

static struct blueprint_norm make_norm(uint64_t *seed, size_t width) {
    return (struct blueprint_norm){.gain = {.kind = SOURCE_GAIN, .rows = 1, .columns = width},
                                   .bias = make(seed, 1, width, 0.01)};
}

/* Without a BatchNorm. */
static struct blueprint_conv make_plain_conv(uint64_t *seed, size_t n, size_t channels,
                                             size_t window) {
    size_t k = window * window * channels;
    return (struct blueprint_conv){.weight = make(seed, n, k, 1 / sqrt((double)k)),
                                   .bias = make(seed, 1, n, 0.01)};
}

/* LayerScale, which is small in trained models, has become a part of `proj`. */
static void make_convnext_block(uint64_t *seed, const struct model_convnext *shape, uint32_t number,
                                struct blueprint_convnext_block *out) {
    const size_t area = (size_t)CONVNEXT_WINDOW * CONVNEXT_WINDOW;
    bool begins;
    uint32_t stage = convnext_stage_of(shape, number, &begins);
    size_t width = shape->widths[stage], expanded = CONVNEXT_EXPANSION * width;
    if (begins && stage) {
        size_t before = shape->widths[stage - 1];
        out->halve_norm = make_norm(seed, before);
        out->halve = make_plain_conv(seed, width, before, 2);
    }
    out->window = make(seed, width, area, 1 / sqrt((double)area));
    out->window_bias = make(seed, 1, width, 0.01);
    out->norm = make_norm(seed, width);
    out->fc = make_linear(seed, expanded, width);
    out->proj = make_linear(seed, width, expanded);
    out->proj.weights[0].scale *= 0.3f;
}

enum status invent_convnext(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                            struct error *err) {
    struct blueprint_convnext *convnext = &out->convnext;
    const struct model_convnext *shape = &info->convnext;
    size_t width = info->vision.width, last = shape->hidden ? shape->hidden : width;
    convnext->blocks = calloc(info->vision.layers, sizeof(*convnext->blocks));
    if (!convnext->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the blocks");
    convnext->stem = make_plain_conv(seed, shape->widths[0], 3, CONVNEXT_PATCH);
    convnext->stem_norm = make_norm(seed, shape->widths[0]);
    for (uint32_t i = 0; i < info->vision.layers; i++) {
        make_convnext_block(seed, shape, i, &convnext->blocks[i]);
    }
    out->vision.ln_end = make_norm(seed, width);
    if (shape->hidden) convnext->head = make_linear(seed, shape->hidden, width);
    out->vision.projection = make_linear(seed, info->embed_dim, last);
    return STATUS_OK;
}
