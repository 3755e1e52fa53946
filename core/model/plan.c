#include "core/model/plan.h"

#include <stdio.h>
#include <string.h>

#include "core/kernels/isa.h"

void plan_fill(struct plan *plan, enum model_precision precision) {
    memset(plan, (int)precision, sizeof(*plan));
}

static const struct model_tower *shape_of(const struct model_info *info, enum plan_tower tower) {
    return tower == PLAN_VISION ? &info->vision : &info->text;
}

size_t plan_count(const struct model_info *info, enum plan_tower tower) {
    const struct model_tower *shape = shape_of(info, tower);
    if (!shape->layers) return 0;
    return (size_t)shape->layers * PLAN_PRODUCTS + (tower == PLAN_VISION) + shape->projected;
}

/* Where the products behind those of the layers stand. */
static bool is_patch(const struct model_info *info, enum plan_tower tower, size_t index) {
    return tower == PLAN_VISION && index == (size_t)info->vision.layers * PLAN_PRODUCTS;
}

uint8_t *plan_at(struct plan *plan, const struct model_info *info, enum plan_tower tower,
                 size_t index) {
    size_t layer = index / PLAN_PRODUCTS;
    if (layer < shape_of(info, tower)->layers) {
        return &plan->layers[tower][layer][index % PLAN_PRODUCTS];
    }
    return is_patch(info, tower, index) ? &plan->patch : &plan->projection[tower];
}

void plan_describe(char out[32], const struct model_info *info, enum plan_tower tower,
                   size_t index) {
    static const char *const names[] = {"qkv", "out", "fc", "proj"};
    size_t layer = index / PLAN_PRODUCTS;
    if (layer < shape_of(info, tower)->layers)
        snprintf(out, 32, "layer %zu %s", layer + 1, names[index % PLAN_PRODUCTS]);
    else
        snprintf(out, 32, "%s", is_patch(info, tower, index) ? "patch" : "projection");
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

void plan_default(struct plan *plan, enum model_precision precision, unsigned features) {
    plan_fill(plan, precision);
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
