#include "core/model/names.h"

#include <string.h>

/* Table rows that two schemes share. */
#define OPENAI_VISION                                                                              \
    {                                                                                              \
        .class_embedding = "visual.class_embedding", .patch = "visual.conv1.weight",               \
        .positions = "visual.positional_embedding", .ln_pre = "visual.ln_pre",                     \
        .ln_post = "visual.ln_post", .proj = "visual.proj",                                        \
        .block = "visual.transformer.resblocks.%u.",                                               \
    }
#define OPENAI_LAYER                                                                               \
    {                                                                                              \
        .ln_1 = "ln_1", .ln_2 = "ln_2", .out = "attn.out_proj", .fc = "mlp.c_fc",                  \
        .proj = "mlp.c_proj", .ls_1 = "ls_1.gamma", .ls_2 = "ls_2.gamma",                          \
        .qkv_weight = "attn.in_proj_weight", .qkv_bias = "attn.in_proj_bias",                      \
    }

static const struct names openai = {
    .vision = OPENAI_VISION,
    .text = {.embedding = "token_embedding.weight",
             .positions = "positional_embedding",
             .ln_final = "ln_final",
             .proj = "text_projection",
             .block = "transformer.resblocks.%u."},
    .layer = OPENAI_LAYER,
    .proj_transposed = true,
};

/* open_clip's CustomTextCLIP: the text half moves below "text.". */
static const struct names custom_text = {
    .vision = OPENAI_VISION,
    .text = {.embedding = "text.token_embedding.weight",
             .positions = "text.positional_embedding",
             .ln_final = "text.ln_final",
             .proj = "text.text_projection",
             .block = "text.transformer.resblocks.%u."},
    .layer = OPENAI_LAYER,
    .proj_transposed = true,
};

static const struct names hugging_face = {
    .vision = {.class_embedding = "vision_model.embeddings.class_embedding",
               .patch = "vision_model.embeddings.patch_embedding.weight",
               .positions = "vision_model.embeddings.position_embedding.weight",
               .ln_pre = "vision_model.pre_layrnorm", /* their spelling */
               .ln_post = "vision_model.post_layernorm",
               .proj = "visual_projection.weight",
               .block = "vision_model.encoder.layers.%u."},
    .text = {.embedding = "text_model.embeddings.token_embedding.weight",
             .positions = "text_model.embeddings.position_embedding.weight",
             .ln_final = "text_model.final_layer_norm",
             .proj = "text_projection.weight",
             .block = "text_model.encoder.layers.%u."},
    .layer = {.ln_1 = "layer_norm1",
              .ln_2 = "layer_norm2",
              .out = "self_attn.out_proj",
              .fc = "mlp.fc1",
              .proj = "mlp.fc2",
              .q = "self_attn.q_proj",
              .k = "self_attn.k_proj",
              .v = "self_attn.v_proj"},
};

/* In the order in which SPEC 7.3 tells them apart. */
static const struct {
    const char *prefix, *family;
} unsupported[] = {
    {"vision_model.head.", "SigLIP"},
    {"text_model.encoder.layer.", "Chinese-CLIP"},
    {"visual.attnpool.", "a CLIP with a ModifiedResNet image tower"},
    {"visual.attn_pool.", "CoCa"},
    {"visual.trunk.", "a CLIP with a timm image tower (SigLIP, EVA02, ConvNeXt, MobileCLIP)"},
    {"text.transformer.embeddings.", "a CLIP with a transformers text tower"},
    {"text.cls_emb", "CoCa"},
    {"bert.", "Chinese-CLIP"},
    {"_image_encoder.", "TinyCLIP in its training form"},
    {"image_encoder.model.", "MobileCLIP in Apple's form"},
};

enum status names_recognise(const struct names **out, bool *is_hf, const struct tensors *tensors,
                            struct error *err) {
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
        if (!tensors_any_with_prefix(tensors, unsupported[i].prefix)) continue;
        return error_set(err, STATUS_UNSUPPORTED,
                         "this is %s (tensors %s...), which is not supported; supported is CLIP "
                         "with a ViT image tower in the names of OpenAI, OpenCLIP or Hugging Face",
                         unsupported[i].family, unsupported[i].prefix);
    }
    *is_hf = tensors_find(tensors, hugging_face.vision.class_embedding) ||
             tensors_find(tensors, hugging_face.text.embedding);
    *out = NULL;
    if (*is_hf)
        *out = &hugging_face;
    else if (tensors_find(tensors, custom_text.text.embedding))
        *out = &custom_text;
    else if (tensors_find(tensors, openai.vision.class_embedding) ||
             tensors_find(tensors, openai.text.embedding))
        *out = &openai;
    if (*out) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "not a CLIP checkpoint: among its %zu tensors there is no class embedding and "
                     "no token embedding in the names of OpenAI, OpenCLIP or Hugging Face",
                     tensors->count);
}

bool names_ignorable(const char *name) {
    static const char *const ignorable[] = {
        "attn_mask",
        "text.attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
        "text_model.embeddings.position_ids",
        "vision_model.embeddings.position_ids",
    };
    for (size_t i = 0; i < sizeof(ignorable) / sizeof(ignorable[0]); i++) {
        if (!strcmp(ignorable[i], name)) return true;
    }
    return false;
}

bool names_in_tower(const char *name) {
    static const char *const towers[] = {
        "visual.",         "visual_projection", "vision_model.",    "text_model.", "text.",
        "text_projection", "transformer.",      "token_embedding.", "positional",  "ln_final.",
    };
    for (size_t i = 0; i < sizeof(towers) / sizeof(towers[0]); i++) {
        if (!strncmp(towers[i], name, strlen(towers[i]))) return true;
    }
    return false;
}
