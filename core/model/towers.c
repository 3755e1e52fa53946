#include "core/model/towers.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/kernels/isa.h"

/* The walk through the block. Sizes stick at SIZE_MAX once one does not fit. */
struct walk {
    const uint8_t *block; /* NULL: only measuring */
    size_t at;
    unsigned features;
};

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

static const float *floats(struct walk *walk, size_t count) {
    return step(walk, count, sizeof(float));
}

static void place_norm(struct walk *walk, size_t width, struct norm *out) {
    out->gain = floats(walk, width);
    out->bias = floats(walk, width);
}

/* In the order of enum model_precision, which plans hold. */
static enum gemm_precision gemm_precision_of(uint8_t precision) {
    static const enum gemm_precision by_model[] = {
        [MODEL_FP32] = GEMM_FP32, [MODEL_BF16] = GEMM_BF16, [MODEL_INT8] = GEMM_INT8};
    return by_model[precision];
}

static void place_linear(struct walk *walk, uint8_t precision, size_t n, size_t k, bool has_bias,
                         struct linear *out) {
    const struct gemm_kernel *kernel =
        gemm_kernel_find(walk->features, gemm_precision_of(precision));
    size_t size = gemm_packed_size(kernel, n, k);
    if (!size) walk->at = SIZE_MAX;
    out->blob = step(walk, size, 1);
    if (out->blob) out->weight = gemm_weight_of(out->blob, kernel, n, k);
    out->bias = has_bias ? floats(walk, n) : NULL;
}

static void place_block(struct walk *walk, const struct model_tower *shape,
                        const uint8_t plan[PLAN_PRODUCTS], struct block *out) {
    size_t width = shape->width, mlp_width = shape->mlp_width;
    place_norm(walk, width, &out->ln_1);
    place_linear(walk, plan[PLAN_QKV], 3 * width, width, true, &out->qkv);
    place_linear(walk, plan[PLAN_OUT], width, width, true, &out->out);
    place_norm(walk, width, &out->ln_2);
    place_linear(walk, plan[PLAN_FC], mlp_width, width, true, &out->fc);
    place_linear(walk, plan[PLAN_PROJ], width, mlp_width, true, &out->proj);
}

static void place_tower(struct walk *walk, uint32_t embed_dim, const struct plan *plan,
                        enum plan_tower which, struct tower *out) {
    const struct model_tower *shape = &out->shape;
    out->positions = floats(walk, out->tokens_max * shape->width);
    for (uint32_t i = 0; i < shape->layers; i++) {
        place_block(walk, shape, plan->layers[which][i], &out->blocks[i]);
    }
    place_norm(walk, shape->width, &out->ln_end);
    if (!shape->projected) return;
    place_linear(walk, plan->projection[which], embed_dim, shape->width, shape->projection_bias,
                 &out->projection);
}

static void place_all(struct towers *out, const struct model_info *info, const struct plan *plan,
                      struct walk *walk) {
    if (info->vision.layers) {
        size_t k = 3 * (size_t)info->patch_size * info->patch_size;
        out->class_embedding = floats(walk, info->vision.width);
        place_linear(walk, plan->patch, info->vision.width, k, false, &out->patch);
        if (!info->no_ln_pre) place_norm(walk, info->vision.width, &out->ln_pre);
        place_tower(walk, info->embed_dim, plan, PLAN_VISION, &out->vision);
    }
    if (info->text.layers) {
        out->embedding = floats(walk, (size_t)info->vocab_size * info->text.width);
        place_tower(walk, info->embed_dim, plan, PLAN_TEXT, &out->text);
    }
}

/* int8 products leave attention to bf16 where the CPU has it, else to fp32. */
static void choose_attention(struct tower *tower, const uint8_t plan[PLAN_PRODUCTS],
                             unsigned features) {
    bool half = plan[PLAN_QKV] != MODEL_FP32 && (features & ISA_AVX512_BF16);
    tower->attention_precision = half ? GEMM_BF16 : GEMM_FP32;
    tower->attention = attention_kernel_find(features, tower->attention_precision);
}

static enum status create_tower(struct tower *out, const struct model_tower *shape,
                                const uint8_t plan[][PLAN_PRODUCTS], unsigned features,
                                struct error *err) {
    out->shape = *shape;
    if (!shape->layers) return STATUS_OK;
    assert(shape->layers <= PLAN_LAYERS_MAX);
    choose_attention(out, plan[0], features);
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (out->blocks) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %u layers", shape->layers);
}

enum status towers_create(struct towers *out, const struct model_info *info,
                          const struct plan *plan, unsigned features, struct error *err) {
    *out = (struct towers){.rows = row_kernels_find(features)};
    enum status status =
        create_tower(&out->vision, &info->vision, plan->layers[PLAN_VISION], features, err);
    if (!status) {
        status = create_tower(&out->text, &info->text, plan->layers[PLAN_TEXT], features, err);
    }
    if (status) {
        towers_free(out);
        return status;
    }
    out->vision.tokens_max = 1 + model_patches(info);
    out->text.tokens_max = info->context_length;
    out->text.causal = !info->bidirectional;
    out->vision.mean = info->patch_mean;
    struct walk walk = {.features = features};
    place_all(out, info, plan, &walk);
    out->bytes = walk.at;
    if (walk.at != SIZE_MAX) return STATUS_OK;
    towers_free(out);
    return error_set(err, STATUS_TOO_LARGE, "the packed weights would not fit the address space");
}

void towers_place(struct towers *out, const struct model_info *info, const struct plan *plan,
                  unsigned features, const uint8_t *block) {
    struct walk walk = {.block = block, .features = features};
    place_all(out, info, plan, &walk);
    assert(walk.at == out->bytes);
}

static void mix_block(struct block *block, const struct block *other,
                      const uint8_t plan[PLAN_PRODUCTS]) {
    if (plan[PLAN_QKV] != MODEL_INT8) {
        block->ln_1 = other->ln_1;
        block->qkv = other->qkv;
    }
    if (plan[PLAN_OUT] != MODEL_INT8) block->out = other->out;
    if (plan[PLAN_FC] != MODEL_INT8) {
        block->ln_2 = other->ln_2;
        block->fc = other->fc;
    }
    if (plan[PLAN_PROJ] != MODEL_INT8) block->proj = other->proj;
}

/* `out` is a copy of the int8 tower, whose blocks are still its own. */
static enum status mix_tower(struct tower *out, const struct tower *other, const struct plan *plan,
                             enum plan_tower which, struct error *err) {
    uint32_t layers = out->shape.layers;
    const struct block *blocks = out->blocks;
    out->blocks = NULL;
    if (!layers) return STATUS_OK;
    out->blocks = calloc(layers, sizeof(*blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for layers");
    for (uint32_t i = 0; i < layers; i++) {
        out->blocks[i] = blocks[i];
        mix_block(&out->blocks[i], &other->blocks[i], plan->layers[which][i]);
    }
    if (plan->projection[which] == MODEL_INT8) return STATUS_OK;
    out->ln_end = other->ln_end;
    out->projection = other->projection;
    return STATUS_OK;
}

enum status towers_mix(struct towers *out, const struct towers *int8, const struct towers *other,
                       const struct plan *plan, struct error *err) {
    *out = *int8;
    out->text.blocks = NULL;
    enum status status = mix_tower(&out->vision, &other->vision, plan, PLAN_VISION, err);
    if (!status) {
        out->text.blocks = int8->text.blocks;
        status = mix_tower(&out->text, &other->text, plan, PLAN_TEXT, err);
    }
    if (plan->patch != MODEL_INT8) out->patch = other->patch;
    if (status) towers_free(out);
    return status;
}

void towers_free(struct towers *towers) {
    free(towers->vision.blocks);
    free(towers->text.blocks);
    *towers = (struct towers){0};
}
