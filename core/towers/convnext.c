#include "core/towers/convnext.h"

#include <stdlib.h>

uint32_t convnext_stage_of(const struct model_convnext *shape, uint32_t number, bool *begins) {
    uint32_t stage = 0;
    while (number >= shape->blocks[stage]) number -= shape->blocks[stage++];
    *begins = number == 0;
    return stage;
}

enum status convnext_create(struct convnext *out, const struct model_info *info, unsigned features,
                            struct error *err) {
    *out = (struct convnext){.count = info->vision.layers, .depthwise = depthwise_find(features)};
    out->blocks = calloc(out->count, sizeof(*out->blocks));
    if (out->blocks) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %u blocks", out->count);
}

static struct conv conv_of(uint32_t window) {
    return (struct conv){.window = window, .stride = window};
}

static void place_block(struct walk *walk, const struct model_convnext *shape, uint32_t number,
                        const uint8_t plan[PLAN_PRODUCTS], struct convnext_block *out) {
    bool begins;
    uint32_t stage = convnext_stage_of(shape, number, &begins);
    size_t width = shape->widths[stage], expanded = CONVNEXT_EXPANSION * width;
    if (begins && stage) {
        size_t before = shape->widths[stage - 1];
        walk_norm(walk, before, &out->halve_norm);
        out->halve = conv_of(2);
        walk_conv(walk, plan[CONVNEXT_HALVE], width, before, &out->halve);
    }
    out->window = walk_floats(walk, (size_t)CONVNEXT_WINDOW * CONVNEXT_WINDOW * width);
    out->window_bias = walk_floats(walk, width);
    walk_norm(walk, width, &out->norm);
    out->fc = out->proj = conv_of(1);
    walk_conv(walk, plan[CONVNEXT_FC], expanded, width, &out->fc);
    walk_conv(walk, plan[CONVNEXT_PROJ], width, expanded, &out->proj);
}

void convnext_place(struct convnext *out, struct walk *walk, const struct model_info *info,
                    const struct plan *plan) {
    const struct model_convnext *shape = &info->convnext;
    out->stem = conv_of(CONVNEXT_PATCH);
    walk_conv(walk, plan->patch, shape->widths[0], 3, &out->stem);
    walk_norm(walk, shape->widths[0], &out->stem_norm);
    for (uint32_t i = 0; i < out->count; i++) {
        place_block(walk, shape, i, plan->layers[PLAN_VISION][i], &out->blocks[i]);
    }
    if (!shape->hidden) return;
    walk_linear(walk, plan->projection[PLAN_VISION], shape->hidden, info->vision.width, true,
                &out->head);
}

static void mix_block(struct convnext_block *block, const struct convnext_block *other,
                      const uint8_t plan[PLAN_PRODUCTS]) {
    if (plan[CONVNEXT_HALVE] != MODEL_INT8) block->halve = other->halve;
    if (plan[CONVNEXT_FC] != MODEL_INT8) {
        block->norm = other->norm;
        block->fc = other->fc;
    }
    if (plan[CONVNEXT_PROJ] != MODEL_INT8) block->proj = other->proj;
}

enum status convnext_mix(struct convnext *out, const struct convnext *other,
                         const struct plan *plan, struct error *err) {
    const struct convnext_block *blocks = out->blocks;
    out->blocks = calloc(out->count, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for blocks");
    if (plan->patch != MODEL_INT8) out->stem = other->stem;
    for (uint32_t i = 0; i < out->count; i++) {
        out->blocks[i] = blocks[i];
        mix_block(&out->blocks[i], &other->blocks[i], plan->layers[PLAN_VISION][i]);
    }
    if (plan->projection[PLAN_VISION] != MODEL_INT8) out->head = other->head;
    return STATUS_OK;
}

void convnext_free(struct convnext *convnext) {
    free(convnext->blocks);
    *convnext = (struct convnext){.count = 0};
}
