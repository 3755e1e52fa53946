#include "core/towers/fastvit.h"

#include <stdlib.h>

size_t fastvit_width(const struct model_fastvit *shape, uint32_t stage) {
    return (size_t)shape->width << stage;
}

struct fastvit_place fastvit_place_of(const struct model_fastvit *shape, uint32_t layer) {
    struct fastvit_place place = {.kind = FASTVIT_HALVE};
    while (layer >= shape->blocks[place.stage] + (place.stage > 0)) {
        layer -= shape->blocks[place.stage] + (place.stage > 0);
        place.stage++;
    }
    place.width = fastvit_width(shape, place.stage);
    if (place.stage && layer-- == 0) return place;
    place.index = layer;
    place.kind = place.stage < shape->attending ? FASTVIT_MIX : FASTVIT_ATTEND;
    return place;
}

enum status fastvit_create(struct fastvit *out, const struct model_info *info, unsigned features,
                           struct error *err) {
    *out = (struct fastvit){.count = info->vision.layers, .depthwise = depthwise_find(features)};
    out->layers = calloc(out->count, sizeof(*out->layers));
    if (out->layers) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %u layers", out->count);
}

/* ---- the block of memory ---- */

static void place_squeeze(struct walk *walk, size_t channels, size_t squeezed,
                          struct fastvit_squeeze *out) {
    if (!squeezed) return;
    walk_linear(walk, MODEL_FP32, squeezed, channels, true, &out->fc);
    walk_linear(walk, MODEL_FP32, channels, squeezed, true, &out->proj);
}

static void place_product(struct walk *walk, uint8_t precision, size_t n, size_t k,
                          struct conv *out) {
    *out = (struct conv){.window = 1, .stride = 1};
    walk_conv(walk, precision, n, k, out);
}

static void place_halving(struct walk *walk, const struct model_fastvit *shape, uint32_t stage,
                          const uint8_t plan[PLAN_PRODUCTS], struct fastvit_layer *out) {
    size_t width = fastvit_width(shape, stage);
    out->first = (struct window){.side = FASTVIT_LARGE_WINDOW, .stride = 2, .multiple = 2};
    window_place(&out->first, walk, width / 2);
    place_squeeze(walk, width, shape->squeezed[stage], &out->squeeze);
    place_product(walk, plan[PLAN_QKV], width, width, &out->entry);
    if (stage < shape->attending) return;
    out->positions = (struct window){.side = FASTVIT_LARGE_WINDOW, .stride = 1, .multiple = 1};
    window_place(&out->positions, walk, width);
}

static void place_layer(struct walk *walk, const struct model_fastvit *shape, uint32_t number,
                        const uint8_t plan[PLAN_PRODUCTS], struct fastvit_layer *out) {
    struct fastvit_place place = fastvit_place_of(shape, number);
    size_t width = place.width, expanded = shape->expansion * width;
    out->kind = place.kind;
    if (place.kind == FASTVIT_HALVE) {
        place_halving(walk, shape, place.stage, plan, out);
        return;
    }
    if (place.kind == FASTVIT_ATTEND) {
        if (shape->layer_norm) walk_norm(walk, width, &out->norm);
        place_product(walk, plan[PLAN_QKV], 3 * width, width, &out->qkv);
        place_product(walk, plan[PLAN_OUT], width, width, &out->out);
    } else {
        out->first = (struct window){.side = FASTVIT_WINDOW, .stride = 1, .multiple = 1};
        window_place(&out->first, walk, width);
    }
    out->window = (struct window){.side = FASTVIT_LARGE_WINDOW, .stride = 1, .multiple = 1};
    window_place(&out->window, walk, width);
    place_product(walk, plan[PLAN_FC], expanded, width, &out->fc);
    place_product(walk, plan[PLAN_PROJ], width, expanded, &out->proj);
}

void fastvit_place(struct fastvit *out, struct walk *walk, const struct model_info *info,
                   const struct plan *plan) {
    const struct model_fastvit *shape = &info->fastvit;
    size_t width = shape->width;
    out->stem = (struct conv){.window = FASTVIT_WINDOW, .stride = 2, .padding = 1};
    walk_conv(walk, plan->patch, width, 3, &out->stem);
    out->stem_window = (struct window){.side = FASTVIT_WINDOW, .stride = 2, .multiple = 1};
    window_place(&out->stem_window, walk, width);
    place_product(walk, plan->patch, width, width, &out->stem_mix);
    for (uint32_t i = 0; i < out->count; i++) {
        place_layer(walk, shape, i, plan->layers[PLAN_VISION][i], &out->layers[i]);
    }
    out->end = (struct window){.side = FASTVIT_WINDOW, .stride = 1, .multiple = 2};
    window_place(&out->end, walk, info->vision.width);
    place_squeeze(walk, info->vision.pooled_width, shape->end_squeezed, &out->end_squeeze);
}

static void mix_layer(struct fastvit_layer *layer, const struct fastvit_layer *other,
                      const uint8_t plan[PLAN_PRODUCTS]) {
    if (plan[PLAN_QKV] != MODEL_INT8) {
        layer->entry = other->entry;
        layer->norm = other->norm;
        layer->qkv = other->qkv;
    }
    if (plan[PLAN_OUT] != MODEL_INT8) layer->out = other->out;
    if (plan[PLAN_FC] != MODEL_INT8) layer->fc = other->fc;
    if (plan[PLAN_PROJ] != MODEL_INT8) layer->proj = other->proj;
}

enum status fastvit_mix(struct fastvit *out, const struct fastvit *other, const struct plan *plan,
                        struct error *err) {
    const struct fastvit_layer *layers = out->layers;
    out->layers = calloc(out->count, sizeof(*out->layers));
    if (!out->layers) return error_set(err, STATUS_NO_MEMORY, "out of memory for layers");
    if (plan->patch != MODEL_INT8) {
        out->stem = other->stem;
        out->stem_mix = other->stem_mix;
    }
    for (uint32_t i = 0; i < out->count; i++) {
        out->layers[i] = layers[i];
        mix_layer(&out->layers[i], &other->layers[i], plan->layers[PLAN_VISION][i]);
    }
    return STATUS_OK;
}

void fastvit_free(struct fastvit *fastvit) {
    free(fastvit->layers);
    *fastvit = (struct fastvit){.count = 0};
}
