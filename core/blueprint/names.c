#include "core/blueprint/names.h"

#include <stdio.h>
#include <string.h>

#include "core/checkpoint/families.h"

static const struct layer_names openai_layer = {
    .ln_1 = "ln_1",
    .ln_2 = "ln_2",
    .out = "attn.out_proj",
    .fc = "mlp.c_fc",
    .proj = "mlp.c_proj",
    .ls_1 = "ls_1.gamma",
    .ls_2 = "ls_2.gamma",
    .qkv_weight = "attn.in_proj_weight",
    .qkv_bias = "attn.in_proj_bias",
};

static const struct layer_names hf_layer = {
    .ln_1 = "layer_norm1",
    .ln_2 = "layer_norm2",
    .out = "self_attn.out_proj",
    .fc = "mlp.fc1",
    .proj = "mlp.fc2",
    .q = "self_attn.q_proj",
    .k = "self_attn.k_proj",
    .v = "self_attn.v_proj",
};

/* As timm calls the layers of ViTs. */
#define TIMM_LAYER .ln_1 = "norm1", .ln_2 = "norm2", .out = "attn.proj", .proj = "mlp.fc2"
#define TIMM_FUSED .qkv_weight = "attn.qkv.weight", .fc = "mlp.fc1"

static const struct layer_names timm_layer = {TIMM_LAYER, TIMM_FUSED, .qkv_bias = "attn.qkv.bias",
                                              .ls_1 = "ls1.gamma", .ls_2 = "ls2.gamma"};

static const struct layer_names apple_layer = {
    .ln_1 = "pre_norm_mha.0",
    .ln_2 = "pre_norm_ffn.0",
    .out = "pre_norm_mha.1.out_proj",
    .fc = "pre_norm_ffn.1",
    .proj = "pre_norm_ffn.4",
    .qkv_weight = "pre_norm_mha.1.qkv_proj.weight",
    .qkv_bias = "pre_norm_mha.1.qkv_proj.bias",
    .mixers = &fastvit_names_apple.branches,
};

static const struct layer_names bert_layer = {
    .ln_1 = "attention.output.LayerNorm",
    .ln_2 = "output.LayerNorm",
    .out = "attention.output.dense",
    .fc = "intermediate.dense",
    .proj = "output.dense",
    .q = "attention.self.query",
    .k = "attention.self.key",
    .v = "attention.self.value",
};

/* BERT below a prefix. */
#define BERT_TEXT(prefix)                                                                          \
    .variant = true, .is_bert = true, .sign = prefix "embeddings.word_embeddings.",                \
    .embedding = prefix "embeddings.word_embeddings.weight",                                       \
    .positions = prefix "embeddings.position_embeddings.weight",                                   \
    .kinds = prefix "embeddings.token_type_embeddings.weight",                                     \
    .ln_embedding = prefix "embeddings.LayerNorm", .block = prefix "encoder.layer.%u.",            \
    .layer = &bert_layer

static const struct layer_names eva_layer = {TIMM_LAYER, TIMM_FUSED, .q_bias = "attn.q_bias",
                                             .v_bias = "attn.v_bias"};

static const struct layer_names eva02_layer = {
    TIMM_LAYER,          .q = "attn.q_proj", .k = "attn.k_proj",
    .v = "attn.v_proj",  .no_k_bias = true,  .ln_out = "attn.norm",
    .gate = "mlp.fc1_g", .fc = "mlp.fc1_x",  .ln_proj = "mlp.norm",
};

/* What the ViTs of timm have in common, below open_clip's "visual.trunk.". */
#define TIMM_VISION                                                                                \
    .tower = MODEL_IMAGE_VIT, .class_embedding = "visual.trunk.cls_token",                         \
    .patch = "visual.trunk.patch_embed.proj.weight", .positions = "visual.trunk.pos_embed",        \
    .ln_post = "visual.trunk.norm", .proj = "visual.trunk.head",                                   \
    .block = "visual.trunk.blocks.%u."
#define TIMM_PATCH_BIAS "visual.trunk.patch_embed.proj.bias"

static const struct pooler_names hf_pooler = {
    .query = "vision_model.head.probe",
    .in_weight = "vision_model.head.attention.in_proj_weight",
    .in_bias = "vision_model.head.attention.in_proj_bias",
    .out = "vision_model.head.attention.out_proj",
    .ln = "vision_model.head.layernorm",
    .fc = "vision_model.head.mlp.fc1",
    .proj = "vision_model.head.mlp.fc2",
};

static const struct pooler_names timm_pooler = {
    .query = "visual.trunk.attn_pool.latent",
    .q = "visual.trunk.attn_pool.q.weight",
    .kv = "visual.trunk.attn_pool.kv.weight",
    .in_bias = "visual.trunk.attn_pool.q.bias",
    .more_bias = "visual.trunk.attn_pool.kv.bias",
    .out = "visual.trunk.attn_pool.proj",
    .ln = "visual.trunk.attn_pool.norm",
    .fc = "visual.trunk.attn_pool.mlp.fc1",
    .proj = "visual.trunk.attn_pool.mlp.fc2",
};

/* Of one tensor when the widths of rows and query are the same, else of three. */
static const struct pooler_names coca_pooler = {
    .query = "visual.attn_pool.query",
    .ln_q = "visual.attn_pool.ln_q",
    .in_weight = "visual.attn_pool.attn.in_proj_weight",
    .q = "visual.attn_pool.attn.q_proj_weight",
    .k = "visual.attn_pool.attn.k_proj_weight",
    .v = "visual.attn_pool.attn.v_proj_weight",
    .in_bias = "visual.attn_pool.attn.in_proj_bias",
    .out = "visual.attn_pool.attn.out_proj",
};

/* In the order in which they are looked for. The last one of each list is that of which
 * tensors are missed when none is found. */
static const struct vision_names vision_schemes[] = {
    {TIMM_VISION, .sign = "visual.trunk.blocks.0.attn.q_proj.", .patch_bias = TIMM_PATCH_BIAS,
     .layer = &eva02_layer, .rope_side = 16, .layer_norm_eps = 1e-6f},
    {TIMM_VISION, .sign = "visual.trunk.blocks.0.attn.q_bias", .patch_bias = TIMM_PATCH_BIAS,
     .layer = &eva_layer, .layer_norm_eps = 1e-6f},
    {TIMM_VISION, .sign = "visual.trunk.patch_embed.backbone.0.", .bare_class = true,
     .stem = "visual.trunk.patch_embed.backbone.", .stem_conv = "conv", .stem_norm = "bn",
     .layer = &timm_layer, .layer_norm_eps = 1e-6f},
    {.tower = MODEL_IMAGE_VIT, /* MobileCLIP-B as Apple has it */
     .sign = "image_encoder.model.patch_emb.",
     .class_embedding = "image_encoder.model.cls_token",
     .bare_class = true,
     .positions = "image_encoder.model.pos_embed.pos_embed.pos_embed",
     .stem = "image_encoder.model.patch_emb.",
     .stem_conv = "block.conv",
     .stem_norm = "block.norm",
     .ln_post = "image_encoder.model.post_transformer_norm",
     .proj = "image_encoder.model.classifier.proj",
     .block = "image_encoder.model.transformer.%u.",
     .layer = &apple_layer,
     .proj_transposed = true,
     .is_apple = true},
    {.tower = MODEL_IMAGE_FASTVIT,
     .sign = "image_encoder.model.",
     .fastvit = &fastvit_names_apple,
     .is_apple = true},
    {TIMM_VISION, .sign = "visual.trunk.norm_pre.", .ln_pre = "visual.trunk.norm_pre",
     .layer = &timm_layer},
    {.tower = MODEL_IMAGE_VIT,
     .sign = "vision_model.embeddings.class_embedding",
     .class_embedding = "vision_model.embeddings.class_embedding",
     .patch = "vision_model.embeddings.patch_embedding.weight",
     .positions = "vision_model.embeddings.position_embedding.weight",
     .ln_pre = "vision_model.pre_layrnorm", /* their spelling */
     .ln_post = "vision_model.post_layernorm",
     .proj = "visual_projection.weight",
     .block = "vision_model.encoder.layers.%u.",
     .layer = &hf_layer,
     .is_hf = true},
    {.tower = MODEL_IMAGE_VIT, /* SigLIP */
     .variant = true,
     .sign = "vision_model.head.probe",
     .patch = "vision_model.embeddings.patch_embedding.weight",
     .patch_bias = "vision_model.embeddings.patch_embedding.bias",
     .positions = "vision_model.embeddings.position_embedding.weight",
     .block = "vision_model.encoder.layers.%u.",
     .layer = &hf_layer,
     .pooler = &hf_pooler,
     .ln_k = "vision_model.post_layernorm",
     .is_hf = true,
     .layer_norm_eps = 1e-6f},
    {.tower = MODEL_IMAGE_VIT, /* SigLIP in open_clip */
     .variant = true,
     .sign = "visual.trunk.attn_pool.latent",
     .patch = "visual.trunk.patch_embed.proj.weight",
     .patch_bias = TIMM_PATCH_BIAS,
     .positions = "visual.trunk.pos_embed",
     .block = "visual.trunk.blocks.%u.",
     .layer = &timm_layer,
     .pooler = &timm_pooler,
     .ln_k = "visual.trunk.norm",
     .layer_norm_eps = 1e-6f},
    {.tower = MODEL_IMAGE_VIT, /* CoCa */
     .variant = true,
     .sign = "visual.attn_pool.query",
     .class_embedding = "visual.class_embedding",
     .patch = "visual.conv1.weight",
     .positions = "visual.positional_embedding",
     .ln_pre = "visual.ln_pre",
     .ln_post = "visual.ln_post",
     .proj = "visual.proj",
     .block = "visual.transformer.resblocks.%u.",
     .layer = &openai_layer,
     .pooler = &coca_pooler,
     .ln_k = "visual.attn_pool.ln_k",
     .proj_transposed = true},
    {.tower = MODEL_IMAGE_VIT,
     .sign = "visual.class_embedding",
     .class_embedding = "visual.class_embedding",
     .patch = "visual.conv1.weight",
     .positions = "visual.positional_embedding",
     .ln_pre = "visual.ln_pre",
     .ln_post = "visual.ln_post",
     .proj = "visual.proj",
     .block = "visual.transformer.resblocks.%u.",
     .layer = &openai_layer,
     .proj_transposed = true},
    {.tower = MODEL_IMAGE_FASTVIT,
     .sign = "visual.trunk.stages.0.blocks.0.token_mixer.",
     .fastvit = &fastvit_names_timm},
    {.tower = MODEL_IMAGE_CONVNEXT, .sign = "visual.trunk.stages.0.blocks.0.conv_dw."},
    {.tower = MODEL_IMAGE_RESNET,
     .sign = "visual.attnpool.",
     .positions = "visual.attnpool.positional_embedding"},
};

static const struct text_names text_schemes[] = {
    {BERT_TEXT("text_model."), /* Chinese-CLIP */
     .proj = "text_projection.weight", .pooling = MODEL_POOL_FIRST, .context_length = 52,
     .is_hf = true},
    {BERT_TEXT("bert."), /* Chinese-CLIP as it was trained */
     .proj = "text_projection", .pooling = MODEL_POOL_FIRST, .context_length = 52,
     .proj_transposed = true},
    {BERT_TEXT("text.transformer."), /* OpenCLIP's towers of transformers, linear projection */
     .proj = "text.proj", .hidden = "text.proj.0.weight", .after_hidden = "text.proj.2",
     .pooling = MODEL_POOL_MEAN},
    {.variant = true, /* SigLIP */
     .sign = "text_model.head.weight",
     .embedding = "text_model.embeddings.token_embedding.weight",
     .positions = "text_model.embeddings.position_embedding.weight",
     .ln_final = "text_model.final_layer_norm",
     .proj = "text_model.head",
     .block = "text_model.encoder.layers.%u.",
     .layer = &hf_layer,
     .is_hf = true},
    {.sign = "text_model.embeddings.token_embedding.weight",
     .embedding = "text_model.embeddings.token_embedding.weight",
     .positions = "text_model.embeddings.position_embedding.weight",
     .ln_final = "text_model.final_layer_norm",
     .proj = "text_projection.weight",
     .block = "text_model.encoder.layers.%u.",
     .layer = &hf_layer,
     .is_hf = true},
    {.sign = "text_encoder.", /* MobileCLIP as Apple has it */
     .embedding = "text_encoder.embedding_layer.weight",
     .positions = "text_encoder.positional_embedding.pos_embed.pos_embed",
     .ln_final = "text_encoder.final_layer_norm",
     .proj = "text_encoder.projection_layer",
     .block = "text_encoder.transformer.%u.",
     .layer = &apple_layer,
     .proj_transposed = true,
     .is_apple = true},
    /* open_clip's CustomTextCLIP: the text half moves below "text.". */
    {.variant = true, /* CoCa */
     .sign = "text.cls_emb",
     .embedding = "text.token_embedding.weight",
     .positions = "text.positional_embedding",
     .ln_final = "text.ln_final",
     .proj = "text.text_projection",
     .class_embedding = "text.cls_emb",
     .block = "text.transformer.resblocks.%u.",
     .layer = &openai_layer,
     .proj_transposed = true},
    {.sign = "text.token_embedding.weight",
     .embedding = "text.token_embedding.weight",
     .positions = "text.positional_embedding",
     .ln_final = "text.ln_final",
     .proj = "text.text_projection",
     .block = "text.transformer.resblocks.%u.",
     .layer = &openai_layer,
     .proj_transposed = true},
    {.sign = "token_embedding.weight",
     .embedding = "token_embedding.weight",
     .positions = "positional_embedding",
     .ln_final = "ln_final",
     .proj = "text_projection",
     .block = "transformer.resblocks.%u.",
     .layer = &openai_layer,
     .proj_transposed = true},
};

enum {
    VISION_SCHEMES = sizeof(vision_schemes) / sizeof(vision_schemes[0]),
    TEXT_SCHEMES = sizeof(text_schemes) / sizeof(text_schemes[0]),
};

/* A half that is not there goes by the scheme of the other. */
static void complete(struct names *out) {
    for (size_t i = 0; !out->has_vision && i < VISION_SCHEMES; i++) {
        out->vision = &vision_schemes[i];
        bool same =
            out->vision->is_hf == out->text->is_hf && out->vision->is_apple == out->text->is_apple;
        if (same && !out->vision->variant) return;
    }
    for (size_t i = 0; !out->has_text && i < TEXT_SCHEMES; i++) {
        out->text = &text_schemes[i];
        bool same =
            out->text->is_hf == out->vision->is_hf && out->text->is_apple == out->vision->is_apple;
        if (same && !out->text->variant) return;
    }
}

enum status names_recognise(struct names *out, const struct tensors *tensors, struct error *err) {
    enum status status = families_check(tensors, err);
    if (status) return status;
    *out = (struct names){.has_vision = false};
    for (size_t i = 0; !out->has_vision && i < VISION_SCHEMES; i++) {
        out->vision = &vision_schemes[i];
        out->has_vision = tensors_any_with_prefix(tensors, out->vision->sign);
    }
    for (size_t i = 0; !out->has_text && i < TEXT_SCHEMES; i++) {
        out->text = &text_schemes[i];
        out->has_text = tensors_any_with_prefix(tensors, out->text->sign);
    }
    if (!out->has_vision && tensors_any_with_prefix(tensors, "visual.trunk.")) {
        return families_refuse(err, "tensors visual.trunk.*", "this image tower of timm");
    }
    if (!out->has_vision && !out->has_text) {
        char where[64] = "no tensors";
        if (tensors->count)
            snprintf(where, sizeof(where), "tensors such as %.40s", tensors->list[0].name);
        return families_refuse(err, where, "a model without CLIP's class or token embedding");
    }
    complete(out);
    return STATUS_OK;
}

bool names_ignorable(const char *name) {
    static const char *const ignorable[] = {
        "attn_mask",
        "text.attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
        "text_model.embeddings.position_ids",
        "text.transformer.embeddings.position_ids",
        "bert.embeddings.position_ids",
        "vision_model.embeddings.position_ids",
    };
    for (size_t i = 0; i < sizeof(ignorable) / sizeof(ignorable[0]); i++) {
        if (!strcmp(ignorable[i], name)) return true;
    }
    /* What BERT was trained with, not what its rows become embeddings by. */
    static const char *const poolers[] = {"bert.pooler.", "text_model.pooler.",
                                          "text.transformer.pooler."};
    for (size_t i = 0; i < sizeof(poolers) / sizeof(poolers[0]); i++) {
        if (!strncmp(poolers[i], name, strlen(poolers[i]))) return true;
    }
    /* A BatchNorm's count of its training steps. */
    static const char counter[] = ".num_batches_tracked";
    size_t size = strlen(name), end = sizeof(counter) - 1;
    return size >= end && !strcmp(name + size - end, counter);
}

bool names_in_tower(const char *name) {
    static const char *const towers[] = {
        "visual.",         "visual_projection", "vision_model.",    "text_model.", "text.",
        "text_projection", "transformer.",      "token_embedding.", "positional",  "ln_final.",
        "bert.",           "image_encoder.",    "text_encoder.",
    };
    for (size_t i = 0; i < sizeof(towers) / sizeof(towers[0]); i++) {
        if (!strncmp(towers[i], name, strlen(towers[i]))) return true;
    }
    return false;
}
