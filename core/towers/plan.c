#include "core/towers/plan.h"

#include <string.h>

#include "core/kernels/isa.h"
#include "core/towers/convnext.h"
#include "core/towers/fastvit.h"
#include "core/towers/resnet.h"

void plan_fill(struct plan *plan, enum model_precision precision) {
    memset(plan, (int)precision, sizeof(*plan));
}

static const struct model_tower *shape_of(const struct model_info *info, enum plan_tower tower) {
    return tower == PLAN_VISION ? &info->vision : &info->text;
}

/* Bits: the products that a layer has. A transformer's has all of them, but for those that look
 * at tokens instead of attending. Of a ResNet's blocks
 * those that begin a stage have four, and the attention behind the last one. */
static unsigned products_of(const struct model_info *info, enum plan_tower tower, uint32_t layer) {
    const unsigned all = (1u << PLAN_PRODUCTS) - 1;
    const struct model_tower *text = &info->text;
    bool begins;
    if (tower != PLAN_VISION) {
        bool looks = text->token_window && !model_tower_layer(text, layer).heads;
        return looks ? 1u << PLAN_FC | 1u << PLAN_PROJ : all;
    }
    switch (info->image_tower) {
    case MODEL_IMAGE_VIT: break;
    case MODEL_IMAGE_RESNET:
        if (layer + 1 == info->vision.layers) return 1u << PLAN_QKV;
        return resnet_block_at(&info->resnet, layer).has_shortcut ? all
                                                                  : all & ~(1u << RESNET_SHORTCUT);
    case MODEL_IMAGE_CONVNEXT:
        return convnext_stage_of(&info->convnext, layer, &begins) && begins
                   ? 1u << CONVNEXT_FC | 1u << CONVNEXT_PROJ | 1u << CONVNEXT_HALVE
                   : 1u << CONVNEXT_FC | 1u << CONVNEXT_PROJ;
    case MODEL_IMAGE_FASTVIT:
        switch (fastvit_place_of(&info->fastvit, layer).kind) {
        case FASTVIT_HALVE: return 1u << PLAN_QKV;
        case FASTVIT_MIX: return 1u << PLAN_FC | 1u << PLAN_PROJ;
        case FASTVIT_ATTEND: break;
        }
        break;
    }
    return all;
}

static uint32_t count_bits(unsigned bits) {
    uint32_t count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
}

/* Where a number leads. */
struct place {
    uint32_t layer, product; /* layer == layers: behind them */
    bool is_patch;
};

static struct place place_of(const struct model_info *info, enum plan_tower tower, size_t index) {
    struct place place = {.layer = 0};
    const struct model_tower *shape = shape_of(info, tower);
    for (; place.layer < shape->layers; place.layer++) {
        unsigned products = products_of(info, tower, place.layer);
        for (place.product = 0; place.product < PLAN_PRODUCTS; place.product++) {
            if (products >> place.product & 1 && index-- == 0) return place;
        }
    }
    place.is_patch = tower == PLAN_VISION && index == 0;
    return place;
}

size_t plan_count(const struct model_info *info, enum plan_tower tower) {
    const struct model_tower *shape = shape_of(info, tower);
    size_t count = 0;
    if (!shape->layers) return 0;
    for (uint32_t i = 0; i < shape->layers; i++) count += count_bits(products_of(info, tower, i));
    return count + (tower == PLAN_VISION) + shape->projected;
}

uint8_t *plan_at(struct plan *plan, const struct model_info *info, enum plan_tower tower,
                 size_t index) {
    struct place place = place_of(info, tower, index);
    if (place.layer < shape_of(info, tower)->layers)
        return &plan->layers[tower][place.layer][place.product];
    return place.is_patch ? &plan->patch : &plan->projection[tower];
}

uint32_t plan_exceptions(struct plan *plan, const struct model_info *info) {
    uint32_t count = 0;
    for (int tower = 0; tower < PLAN_TOWERS; tower++) {
        size_t products = plan_count(info, (enum plan_tower)tower);
        for (size_t i = 0; i < products; i++) {
            count += *plan_at(plan, info, (enum plan_tower)tower, i) != MODEL_INT8;
        }
    }
    return count;
}

enum model_precision plan_fallback(unsigned features) {
    return features & ISA_AVX512_BF16 ? MODEL_BF16 : MODEL_FP32;
}

void plan_default(struct plan *plan, const struct model_info *info, enum model_precision precision,
                  unsigned features) {
    plan_fill(plan, precision);
    if (precision == MODEL_BF16 && info->no_class_token) plan->patch = MODEL_FP32;
    if (precision != MODEL_INT8) return;
    uint8_t fallback = (uint8_t)plan_fallback(features);
    memset(plan->projection, fallback, sizeof(plan->projection));
    plan->layers[PLAN_TEXT][0][PLAN_QKV] = fallback;
}

void plan_fit(struct plan *plan, unsigned features) {
    uint8_t *bytes = (uint8_t *)plan;
    for (size_t i = 0; i < sizeof(*plan); i++) {
        if (bytes[i] == MODEL_BF16) bytes[i] = (uint8_t)plan_fallback(features);
    }
}
