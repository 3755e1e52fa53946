#include "core/blueprint/invent_maps.h"

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

void invent_stem(struct blueprint_vit *out, size_t width, uint64_t *seed) {
    size_t channels = 3;
    for (size_t i = 0; i < MODEL_VIT_STEM; i++) {
        size_t n = i + 1 < MODEL_VIT_STEM ? width / 4 : width;
        out->stem[i] = make_plain_conv(seed, n, channels, i ? 2 : 4);
        channels = n;
    }
}

/* ---- FastViT, with branches that are one already ---- */

static struct blueprint_branches make_single(uint64_t *seed, size_t n, size_t channels,
                                             size_t window) {
    struct blueprint_branches branches = {.count = 1};
    branches.list[0].window = (uint32_t)window;
    branches.list[0].conv = make_plain_conv(seed, n, channels, window);
    return branches;
}

/* What moves the stream keeps most of it. */
static struct blueprint_branches make_moving(uint64_t *seed, size_t width, size_t window) {
    struct blueprint_branches branches = make_single(seed, width, 1, window);
    branches.list[0].conv.weight.scale *= 0.3f;
    branches.passes = true;
    return branches;
}

static struct blueprint_squeeze make_squeeze(uint64_t *seed, size_t width, size_t squeezed) {
    if (!squeezed) return (struct blueprint_squeeze){.fc = {.parts = 0}};
    return (struct blueprint_squeeze){.fc = make_linear(seed, squeezed, width),
                                      .proj = make_linear(seed, width, squeezed)};
}

static void make_fastvit_layer(uint64_t *seed, const struct model_fastvit *shape, uint32_t number,
                               struct blueprint_fastvit_layer *out) {
    struct fastvit_place place = fastvit_place_of(shape, number);
    size_t width = place.width, expanded = shape->expansion * width;
    if (place.kind == FASTVIT_HALVE) {
        out->first = make_single(seed, width, 1, FASTVIT_LARGE_WINDOW);
        out->squeeze = make_squeeze(seed, width, shape->squeezed[place.stage]);
        out->entry = make_single(seed, width, width, 1);
        out->positions = make_moving(seed, width, FASTVIT_LARGE_WINDOW);
        return;
    }
    if (place.kind == FASTVIT_ATTEND) {
        struct blueprint_norm norm = make_norm(seed, width);
        out->norm = (struct blueprint_conv){.gain = norm.gain, .bias = norm.bias};
        out->norm.mean = make(seed, 1, width, 0.1);
        out->norm.variance = norm.gain;
        out->qkv = make_linear(seed, 3 * width, width);
        if (!shape->layer_norm) out->qkv.biases[0].kind = SOURCE_NONE;
        out->out = make_linear(seed, width, width);
        out->out.weights[0].scale *= 0.3f;
    } else {
        out->first = make_moving(seed, width, FASTVIT_WINDOW);
    }
    out->window = make_single(seed, width, 1, FASTVIT_LARGE_WINDOW);
    out->fc = make_linear(seed, expanded, width);
    out->proj = make_linear(seed, width, expanded);
    out->proj.weights[0].scale *= 0.3f;
}

void invent_mixer(struct blueprint_block *out, const struct model_tower *shape, uint64_t *seed) {
    size_t width = shape->width, window = shape->token_window;
    struct blueprint_branches *const windows[] = {&out->mix, &out->look};
    for (size_t i = 0; i < 2; i++) {
        struct blueprint_branch branch = {
            .window = (uint32_t)window,
            .conv = {.weight = make(seed, width, window, 1 / sqrt((double)window)),
                     .bias = make(seed, 1, width, 0.01)}};
        *windows[i] = (struct blueprint_branches){.list = {branch}, .count = 1};
    }
    out->mix.list[0].conv.weight.scale *= 0.3f;
    out->mix.passes = true;
    out->fc = make_linear(seed, shape->mlp_width, width);
    out->proj = make_linear(seed, width, shape->mlp_width);
    out->proj.weights[0].scale *= 0.3f;
}

enum status invent_fastvit(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                           struct error *err) {
    struct blueprint_fastvit *fastvit = &out->fastvit;
    const struct model_fastvit *shape = &info->fastvit;
    size_t width = shape->width, pooled = info->vision.pooled_width;
    fastvit->layers = calloc(info->vision.layers, sizeof(*fastvit->layers));
    if (!fastvit->layers) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    fastvit->stem = make_single(seed, width, 3, FASTVIT_WINDOW);
    fastvit->stem_window = make_single(seed, width, 1, FASTVIT_WINDOW);
    fastvit->stem_mix = make_single(seed, width, width, 1);
    for (uint32_t i = 0; i < info->vision.layers; i++) {
        make_fastvit_layer(seed, shape, i, &fastvit->layers[i]);
    }
    fastvit->end = make_single(seed, pooled, 1, FASTVIT_WINDOW);
    fastvit->end_squeeze = make_squeeze(seed, pooled, shape->end_squeezed);
    out->vision.projection = make_linear(seed, info->embed_dim, pooled);
    return STATUS_OK;
}
