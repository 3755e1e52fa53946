#include "core/towers/resnet.h"

#include <stdlib.h>
#include <string.h>

enum { EXPANSION = 4, WINDOW = 3 };

/* ---- the shape ---- */

struct resnet_channels resnet_stem_channels(const struct model_resnet *shape, uint32_t index) {
    size_t half = shape->width / 2;
    return (struct resnet_channels){.in = index ? half : 3,
                                    .out = index + 1 < RESNET_STEM ? half : shape->width};
}

struct resnet_block resnet_block_at(const struct model_resnet *shape, uint32_t number) {
    struct resnet_block block = {.index = number};
    while (block.index >= shape->blocks[block.stage]) block.index -= shape->blocks[block.stage++];
    block.planes = (size_t)shape->width << block.stage;
    block.in = EXPANSION * block.planes;
    if (block.index == 0) block.in = block.stage ? block.in / 2 : shape->width;
    block.halves = block.index == 0 && block.stage > 0;
    block.has_shortcut = block.index == 0;
    return block;
}

struct resnet_channels resnet_block_channels(const struct resnet_block *block,
                                             enum resnet_conv conv) {
    size_t planes = block->planes;
    switch (conv) {
    case RESNET_REDUCE: return (struct resnet_channels){block->in, planes};
    case RESNET_SPATIAL: return (struct resnet_channels){planes, planes};
    case RESNET_EXPAND: return (struct resnet_channels){planes, EXPANSION * planes};
    case RESNET_SHORTCUT: break;
    }
    return (struct resnet_channels){block->in, EXPANSION * planes};
}

/* ---- the block of memory ---- */

/* The mean before the first stage is the stem's, those before the others stand behind the
 * 3 x 3 convolution; the shortcut has one of its own. */
static void place_block(struct walk *walk, const struct resnet_block *block,
                        const uint8_t plan[PLAN_PRODUCTS], struct bottleneck *out) {
    bool first = block->stage == 0 && block->index == 0;
    for (uint32_t i = 0; i < RESNET_CONVS; i++) {
        struct conv *conv = &out->convs[i];
        if (i == RESNET_SHORTCUT && !block->has_shortcut) continue;
        conv->stride = conv->window = 1;
        if (i == RESNET_REDUCE) conv->halves = first;
        if (i == RESNET_EXPAND) conv->halves = block->halves;
        if (i == RESNET_SHORTCUT) conv->halves = first || block->halves;
        if (i == RESNET_SPATIAL) {
            conv->window = WINDOW;
            conv->padding = 1;
        }
        struct resnet_channels channels = resnet_block_channels(block, (enum resnet_conv)i);
        walk_conv(walk, plan[i], channels.out, channels.in, conv);
    }
}

void resnet_place(struct resnet *out, struct walk *walk, const struct model_info *info,
                  const struct plan *plan) {
    const struct model_resnet *shape = &info->resnet;
    for (uint32_t i = 0; i < RESNET_STEM; i++) {
        struct conv *conv = &out->stem[i];
        conv->window = WINDOW;
        conv->padding = 1;
        conv->stride = i ? 1 : 2;
        struct resnet_channels channels = resnet_stem_channels(shape, i);
        walk_conv(walk, plan->patch, channels.out, channels.in, conv);
    }
    for (uint32_t i = 0; i < out->count; i++) {
        struct resnet_block block = resnet_block_at(shape, i);
        place_block(walk, &block, plan->layers[PLAN_VISION][i], &out->blocks[i]);
    }
    uint8_t pool = plan->layers[PLAN_VISION][out->count][PLAN_QKV];
    size_t width = info->vision.width;
    walk_linear(walk, pool, width, width, true, &out->query);
    walk_linear(walk, pool, 2 * width, width, true, &out->key_value);
}

enum status resnet_create(struct resnet *out, const struct model_info *info, struct error *err) {
    *out = (struct resnet){.count = info->vision.layers - 1};
    out->blocks = calloc(out->count, sizeof(*out->blocks));
    if (out->blocks) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %u blocks", out->count);
}

static void mix_block(struct bottleneck *block, const struct bottleneck *other,
                      const uint8_t plan[PLAN_PRODUCTS]) {
    for (uint32_t i = 0; i < RESNET_CONVS; i++) {
        if (plan[i] != MODEL_INT8) block->convs[i] = other->convs[i];
    }
}

enum status resnet_mix(struct resnet *out, const struct resnet *other, const struct plan *plan,
                       struct error *err) {
    const struct bottleneck *blocks = out->blocks;
    out->blocks = calloc(out->count, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for blocks");
    if (plan->patch != MODEL_INT8) memcpy(out->stem, other->stem, sizeof(out->stem));
    for (uint32_t i = 0; i < out->count; i++) {
        out->blocks[i] = blocks[i];
        mix_block(&out->blocks[i], &other->blocks[i], plan->layers[PLAN_VISION][i]);
    }
    if (plan->layers[PLAN_VISION][out->count][PLAN_QKV] == MODEL_INT8) return STATUS_OK;
    out->query = other->query;
    out->key_value = other->key_value;
    return STATUS_OK;
}

void resnet_free(struct resnet *resnet) {
    free(resnet->blocks);
    *resnet = (struct resnet){.count = 0};
}
