#include "core/checkpoint/config_hf.h"

#include <stdio.h>
#include <string.h>

#include "core/checkpoint/config_apple.h"
#include "core/checkpoint/config_tower.h"
#include "core/checkpoint/families.h"

static enum status read_activation(const struct json_place *tower, enum model_activation *out,
                                   struct error *err) {
    static const struct {
        const char *name;
        enum model_activation activation;
    } known[] = {
        {"quick_gelu", MODEL_QUICK_GELU},
        {"gelu", MODEL_GELU_ERF},
        {"gelu_pytorch_tanh", MODEL_GELU_TANH},
        {"gelu_new", MODEL_GELU_TANH},
    };
    const char *name = NULL;
    enum status status = json_read_string(tower, "hidden_act", &name, err);
    if (status || !name) return status; /* what it is by default is there already */
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        *out = known[i].activation;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.hidden_act is \"%.24s\", supported are quick_gelu, "
                     "gelu, gelu_pytorch_tanh and gelu_new",
                     tower->path, name);
}

static enum status read_hf_tower(struct config_tower *out, const struct json_place *tower,
                                 struct error *err) {
    enum status status = json_read_u32(tower, "hidden_size", 1, CONFIG_SIZE_MAX, &out->width, err);
    if (!status) {
        status =
            json_read_u32(tower, "intermediate_size", 1, CONFIG_SIZE_MAX, &out->mlp_width, err);
    }
    if (!status) {
        status = json_read_u32(tower, "num_hidden_layers", 1, CONFIG_LAYERS_MAX, &out->layers, err);
    }
    if (!status) {
        status = json_read_u32(tower, "num_attention_heads", 1, CONFIG_SIZE_MAX, &out->heads, err);
    }
    if (!status) status = config_tower_read_eps(out, tower, "layer_norm_eps", err);
    return status ? status : read_activation(tower, &out->activation, err);
}

static enum status read_hf_vision(struct model_config *out, const struct json_place *tower,
                                  bool siglip, struct error *err) {
    out->vision = (struct config_tower){.present = true,
                                        .width = 768,
                                        .layers = 12,
                                        .heads = 12,
                                        .mlp_width = 3072,
                                        .activation = MODEL_QUICK_GELU,
                                        .layer_norm_eps = 1e-5f};
    out->image_size = 224;
    out->patch_size = 32;
    if (siglip) {
        out->vision.activation = MODEL_GELU_TANH;
        out->vision.layer_norm_eps = 1e-6f;
        out->patch_size = 16;
    }
    enum status status = read_hf_tower(&out->vision, tower, err);
    if (!status) {
        status = json_read_u32(tower, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
    }
    if (!status) {
        status = json_read_u32(tower, "patch_size", 1, CONFIG_SIZE_MAX, &out->patch_size, err);
    }
    return status;
}

static enum status read_hf_text(struct model_config *out, const struct json_place *tower,
                                struct error *err) {
    out->text = (struct config_tower){.present = true,
                                      .width = 512,
                                      .layers = 12,
                                      .heads = 8,
                                      .mlp_width = 2048,
                                      .activation = MODEL_QUICK_GELU,
                                      .layer_norm_eps = 1e-5f};
    out->context_length = 77;
    out->vocab_size = 49408;
    out->end_token = 49407;
    enum status status = read_hf_tower(&out->text, tower, err);
    if (!status) {
        status = json_read_u32(tower, "max_position_embeddings", 2, CONFIG_SIZE_MAX,
                               &out->context_length, err);
    }
    if (!status) {
        status = json_read_u32(tower, "vocab_size", 2, CONFIG_VOCAB_MAX, &out->vocab_size, err);
    }
    if (!status) {
        status = json_read_u32(tower, "eos_token_id", 0, CONFIG_VOCAB_MAX, &out->end_token, err);
    }
    /* 2 was simply wrong in old files and means argmax to transformers; an end token
     * that the vocabulary does not have cannot be looked for either. */
    bool legacy = out->end_token == 2 || out->end_token >= out->vocab_size;
    out->pooling = legacy ? MODEL_POOL_ARGMAX : MODEL_POOL_EOS;
    return status;
}

/* Every token sees every other, and the last one of the context, mostly padding, becomes the
 * embedding. */
static enum status read_siglip_text(struct model_config *out, const struct json_place *tower,
                                    struct error *err) {
    out->text = (struct config_tower){.present = true,
                                      .width = 768,
                                      .layers = 12,
                                      .heads = 12,
                                      .mlp_width = 3072,
                                      .activation = MODEL_GELU_TANH,
                                      .layer_norm_eps = 1e-6f};
    out->context_length = 64;
    out->vocab_size = 32000;
    out->pad_token = 1;
    out->pooling = MODEL_POOL_LAST;
    out->bidirectional = true;
    enum status status = read_hf_tower(&out->text, tower, err);
    if (!status) {
        status = json_read_u32(tower, "max_position_embeddings", 2, CONFIG_SIZE_MAX,
                               &out->context_length, err);
    }
    if (!status) {
        status = json_read_u32(tower, "vocab_size", 2, CONFIG_VOCAB_MAX, &out->vocab_size, err);
    }
    if (status) return status;
    status = json_read_u32(tower, "pad_token_id", 0, CONFIG_VOCAB_MAX, &out->pad_token, err);
    if (out->pad_token >= out->vocab_size) out->pad_token = 0;
    return status;
}

/* Chinese-CLIP's BERT, whose texts are cut long before its positions end (SPEC 4.9). */
static enum status read_bert(struct model_config *out, const struct json_place *tower,
                             struct error *err) {
    uint32_t positions = 512;
    out->text = (struct config_tower){.present = true,
                                      .width = 768,
                                      .layers = 12,
                                      .heads = 12,
                                      .mlp_width = 3072,
                                      .activation = MODEL_GELU_ERF,
                                      .layer_norm_eps = 1e-12f};
    out->vocab_size = 30522;
    out->pooling = MODEL_POOL_FIRST;
    enum status status = read_hf_tower(&out->text, tower, err);
    if (!status) {
        status =
            json_read_u32(tower, "max_position_embeddings", 2, CONFIG_SIZE_MAX, &positions, err);
    }
    if (!status) {
        status = json_read_u32(tower, "vocab_size", 2, CONFIG_VOCAB_MAX, &out->vocab_size, err);
    }
    out->context_length = positions < 52 ? positions : 52;
    if (status || out->text.activation == MODEL_GELU_ERF) return status;
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.hidden_act: a BERT with another activation than "
                     "\"gelu\" is not supported",
                     tower->path);
}

static void set_siglip(struct model_config *out) {
    out->sigmoid = true;
    out->preprocess.resize = MODEL_RESIZE_SQUASH;
    for (int i = 0; i < 3; i++) out->preprocess.mean[i] = out->preprocess.std[i] = 0.5f;
}

/* Where a tower's numbers stand. When text_config_dict exists, transformers lets it
 * and the class defaults overrule all of text_config. */
static enum status enter_tower(struct json_place *out, const struct json_place *top,
                               const char *key, struct error *err) {
    char dict[32];
    snprintf(dict, sizeof(dict), "%s_dict", key);
    enum status status = json_enter(out, top, dict, err);
    if (status || out->object) return status;
    return json_enter(out, top, key, err);
}

enum status config_hf_parse(struct model_config *out, struct bytes json, struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "config.json"), vision, text;
    const char *type = "clip";
    out->found = true;
    out->naming = MODEL_NAMES_HF;
    out->preprocess.convert_first = true;
    status = json_read_string(&top, "model_type", &type, err);
    bool metaclip_2 = !strcmp(type, "metaclip_2");
    if (status) {
        ;
    } else if (config_apple_is(&top)) {
        status = config_apple_read(out, &top, err);
    } else if (!strcmp(type, "clip") || metaclip_2) {
        status = json_read_u32(&top, "projection_dim", 1, CONFIG_SIZE_MAX, &out->embed_dim, err);
        if (!status) status = enter_tower(&vision, &top, "vision_config", err);
        if (!status) status = enter_tower(&text, &top, "text_config", err);
        if (!status) status = read_hf_vision(out, &vision, false, err);
        if (!status) status = read_hf_text(out, &text, err);
        /* Trained after the mistake of old files: what it says is what it means. */
        bool exact = metaclip_2 && out->end_token < out->vocab_size;
        if (exact) out->pooling = MODEL_POOL_EOS;
    } else if (!strcmp(type, "chinese_clip")) {
        status = json_read_u32(&top, "projection_dim", 1, CONFIG_SIZE_MAX, &out->embed_dim, err);
        if (!status) status = enter_tower(&vision, &top, "vision_config", err);
        if (!status) status = enter_tower(&text, &top, "text_config", err);
        if (!status) status = read_hf_vision(out, &vision, false, err);
        if (!status) status = read_bert(out, &text, err);
        out->preprocess.resize = MODEL_RESIZE_SQUASH;
    } else if (!strcmp(type, "siglip")) {
        set_siglip(out);
        status = json_enter(&vision, &top, "vision_config", err);
        if (!status) status = json_enter(&text, &top, "text_config", err);
        if (!status) status = read_hf_vision(out, &vision, true, err);
        if (!status) status = read_siglip_text(out, &text, err);
    } else if (!strcmp(type, "siglip_text_model")) {
        status = read_siglip_text(out, &top, err);
    } else if (!strcmp(type, "siglip_vision_model")) {
        set_siglip(out);
        status = read_hf_vision(out, &top, true, err);
    } else if (!strcmp(type, "clip_text_model")) {
        status = read_hf_text(out, &top, err);
    } else if (!strcmp(type, "clip_vision_model")) {
        status = read_hf_vision(out, &top, false, err);
    } else {
        char what[64];
        snprintf(what, sizeof(what), "model_type \"%.32s\"", type);
        status = families_refuse(err, "config.json", what);
    }
    json_decref(root);
    return status;
}
