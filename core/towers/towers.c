#include "core/towers/towers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/towers/vit_stem.h"

static void place_block(struct walk *walk, const struct model_tower *shape,
                        struct model_layer layer, const uint8_t plan[PLAN_PRODUCTS],
                        struct block *out) {
    size_t width = shape->width, attention = (size_t)layer.heads * shape->head_width;
    size_t mlp_width = layer.mlp_width;
    if (layer.heads) {
        walk_norm(walk, width, &out->ln_1);
        if (shape->inner_norms) walk_norm(walk, attention, &out->ln_out);
        walk_linear(walk, plan[PLAN_QKV], 3 * attention, width, true, &out->qkv);
        walk_linear(walk, plan[PLAN_OUT], width, attention, true, &out->out);
    }
    bool looks = !layer.heads && shape->token_window;
    if (looks) {
        out->mix = out->look =
            (struct window){.side = shape->token_window, .stride = 1, .multiple = 1, .flat = true};
        window_place(&out->mix, walk, width);
        window_place(&out->look, walk, width);
    }
    if (mlp_width) {
        if (!looks) walk_norm(walk, width, &out->ln_2);
        if (shape->inner_norms) walk_norm(walk, mlp_width, &out->ln_proj);
        if (shape->gated) walk_linear(walk, plan[PLAN_FC], mlp_width, width, true, &out->gate);
        walk_linear(walk, plan[PLAN_FC], mlp_width, width, true, &out->fc);
        walk_linear(walk, plan[PLAN_PROJ], width, mlp_width, true, &out->proj);
    }
}

static void place_tower(struct walk *walk, uint32_t embed_dim, const struct plan *plan,
                        enum plan_tower which, struct tower *out) {
    const struct model_tower *shape = &out->shape;
    out->positions = walk_floats(walk, out->tokens_max * shape->width);
    for (uint32_t i = 0; i < shape->layers; i++) {
        place_block(walk, shape, model_tower_layer(shape, i), plan->layers[which][i],
                    &out->blocks[i]);
    }
    if (!shape->no_ln_end) walk_norm(walk, shape->pooled_width, &out->ln_end);
    if (shape->projection_hidden) {
        walk_linear(walk, plan->projection[which], shape->projection_hidden, shape->width, false,
                    &out->hidden);
    }
    if (!shape->projected) return;
    walk_linear(walk, plan->projection[which], embed_dim, shape->pooled_width,
                shape->projection_bias, &out->projection);
}

static void place_vit(struct walk *walk, const struct model_info *info, const struct plan *plan,
                      struct towers *out) {
    size_t width = info->vision.width, k = 3 * (size_t)info->patch_size * info->patch_size;
    if (!info->no_class_token) out->vit.class_embedding = walk_floats(walk, width);
    if (info->conv_stem)
        vit_stem_place(out->vit.stem, walk, plan->patch, width);
    else
        walk_linear(walk, plan->patch, width, k, info->patch_bias, &out->vit.patch);
    if (!info->no_ln_pre) walk_norm(walk, width, &out->vit.ln_pre);
    if (info->vision.rope_side) {
        out->vision.rope = walk_floats(walk, model_patches(info) * info->vision.head_width);
    }
    place_tower(walk, info->embed_dim, plan, PLAN_VISION, &out->vision);
    if (info->image_pooling == MODEL_IMAGE_ATTENTION) pooler_place(&out->pooler, walk, info);
}

static void place_resnet(struct walk *walk, const struct model_info *info, const struct plan *plan,
                         struct towers *out) {
    struct tower *tower = &out->vision;
    size_t width = info->vision.width;
    resnet_place(&out->resnet, walk, info, plan);
    tower->positions = walk_floats(walk, tower->tokens_max * width);
    walk_linear(walk, plan->projection[PLAN_VISION], info->embed_dim, width, true,
                &tower->projection);
}

static void place_convnext(struct walk *walk, const struct model_info *info,
                           const struct plan *plan, struct towers *out) {
    struct tower *tower = &out->vision;
    size_t k = info->convnext.hidden ? info->convnext.hidden : info->vision.width;
    convnext_place(&out->convnext, walk, info, plan);
    walk_norm(walk, info->vision.width, &tower->ln_end);
    if (!info->vision.projected) return;
    walk_linear(walk, plan->projection[PLAN_VISION], info->embed_dim, k, false, &tower->projection);
}

static void place_fastvit(struct walk *walk, const struct model_info *info, const struct plan *plan,
                          struct towers *out) {
    fastvit_place(&out->fastvit, walk, info, plan);
    walk_linear(walk, plan->projection[PLAN_VISION], info->embed_dim, info->vision.pooled_width,
                info->vision.projection_bias, &out->vision.projection);
}

static void place_vision(struct walk *walk, const struct model_info *info, const struct plan *plan,
                         struct towers *out) {
    switch (info->image_tower) {
    case MODEL_IMAGE_VIT: place_vit(walk, info, plan, out); return;
    case MODEL_IMAGE_RESNET: place_resnet(walk, info, plan, out); return;
    case MODEL_IMAGE_CONVNEXT: place_convnext(walk, info, plan, out); return;
    case MODEL_IMAGE_FASTVIT: place_fastvit(walk, info, plan, out); return;
    }
}

static void place_all(struct towers *out, const struct model_info *info, const struct plan *plan,
                      struct walk *walk) {
    if (info->vision.layers) place_vision(walk, info, plan, out);
    if (!info->text.layers) return;
    out->embedding = walk_floats(walk, (size_t)info->vocab_size * info->text.width);
    if (info->text_tower != MODEL_TEXT_CLIP) walk_norm(walk, info->text.width, &out->ln_embedding);
    if (info->text_class) out->class_embedding = walk_floats(walk, info->text.width);
    place_tower(walk, info->embed_dim, plan, PLAN_TEXT, &out->text);
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
    out->depthwise = depthwise_find(features);
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (out->blocks) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %u layers", shape->layers);
}

/* The attention of a ResNet and of a FastViT costs next to nothing and stays in fp32. */
static enum status create_vision(struct towers *out, const struct model_info *info,
                                 const struct plan *plan, unsigned features, struct error *err) {
    if (info->image_tower == MODEL_IMAGE_VIT || !info->vision.layers) {
        return create_tower(&out->vision, &info->vision, plan->layers[PLAN_VISION], features, err);
    }
    out->vision.shape = info->vision;
    out->vision.attention_precision = GEMM_FP32;
    out->vision.attention = attention_kernel_find(features, GEMM_FP32);
    if (info->image_tower == MODEL_IMAGE_CONVNEXT)
        return convnext_create(&out->convnext, info, features, err);
    if (info->image_tower == MODEL_IMAGE_FASTVIT)
        return fastvit_create(&out->fastvit, info, features, err);
    return resnet_create(&out->resnet, info, err);
}

enum status towers_create(struct towers *out, const struct model_info *info,
                          const struct plan *plan, unsigned features, struct error *err) {
    *out = (struct towers){.rows = row_kernels_find(features), .image_tower = info->image_tower};
    enum status status = create_vision(out, info, plan, features, err);
    if (!status) {
        status = create_tower(&out->text, &info->text, plan->layers[PLAN_TEXT], features, err);
    }
    if (status) {
        towers_free(out);
        return status;
    }
    out->vision.tokens_max = model_image_tokens(info);
    out->text.tokens_max = model_text_tokens(info);
    out->text.causal = !info->bidirectional;
    out->text.class_last = info->text_class;
    out->vision.pooling = info->image_pooling;
    out->vision.mean_from = 1;
    if (info->pooling == MODEL_POOL_MEAN) out->text.pooling = MODEL_IMAGE_PATCH_MEAN;
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
    if (plan[PLAN_OUT] != MODEL_INT8) {
        block->ln_out = other->ln_out;
        block->out = other->out;
    }
    if (plan[PLAN_FC] != MODEL_INT8) {
        block->ln_2 = other->ln_2;
        block->fc = other->fc;
        block->gate = other->gate;
    }
    if (plan[PLAN_PROJ] != MODEL_INT8) {
        block->ln_proj = other->ln_proj;
        block->proj = other->proj;
    }
}

/* `out` is a copy of the int8 tower, whose blocks are still its own. */
static enum status mix_tower(struct tower *out, const struct tower *other, const struct plan *plan,
                             enum plan_tower which, struct error *err) {
    uint32_t layers = out->shape.layers;
    const struct block *blocks = out->blocks;
    out->blocks = NULL;
    if (!layers) return STATUS_OK;
    if (blocks) out->blocks = calloc(layers, sizeof(*blocks));
    if (blocks && !out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for layers");
    for (uint32_t i = 0; blocks && i < layers; i++) {
        out->blocks[i] = blocks[i];
        mix_block(&out->blocks[i], &other->blocks[i], plan->layers[which][i]);
    }
    if (plan->projection[which] == MODEL_INT8) return STATUS_OK;
    out->ln_end = other->ln_end;
    out->hidden = other->hidden;
    out->projection = other->projection;
    return STATUS_OK;
}

enum status towers_mix(struct towers *out, const struct towers *int8, const struct towers *other,
                       const struct plan *plan, struct error *err) {
    *out = *int8;
    out->text.blocks = NULL;
    out->resnet.blocks = NULL;
    out->convnext.blocks = NULL;
    out->fastvit.layers = NULL;
    enum status status = mix_tower(&out->vision, &other->vision, plan, PLAN_VISION, err);
    if (!status && out->image_tower == MODEL_IMAGE_RESNET) {
        out->resnet.blocks = int8->resnet.blocks;
        status = resnet_mix(&out->resnet, &other->resnet, plan, err);
    }
    if (!status && out->image_tower == MODEL_IMAGE_CONVNEXT) {
        out->convnext.blocks = int8->convnext.blocks;
        status = convnext_mix(&out->convnext, &other->convnext, plan, err);
    }
    if (!status && out->image_tower == MODEL_IMAGE_FASTVIT) {
        out->fastvit.layers = int8->fastvit.layers;
        status = fastvit_mix(&out->fastvit, &other->fastvit, plan, err);
    }
    if (!status) {
        out->text.blocks = int8->text.blocks;
        status = mix_tower(&out->text, &other->text, plan, PLAN_TEXT, err);
    }
    if (plan->patch != MODEL_INT8) {
        out->vit.patch = other->vit.patch;
        memcpy(out->vit.stem, other->vit.stem, sizeof(out->vit.stem));
    }
    if (status) towers_free(out);
    return status;
}

void towers_free(struct towers *towers) {
    free(towers->vision.blocks);
    free(towers->text.blocks);
    resnet_free(&towers->resnet);
    convnext_free(&towers->convnext);
    fastvit_free(&towers->fastvit);
    *towers = (struct towers){0};
}
