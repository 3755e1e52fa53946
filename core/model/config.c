#include "core/model/config.h"

#include <stdio.h>
#include <string.h>

#include "core/model/json.h"

/* Far above every known model, far below what could overflow. */
enum { SIZE_MAX_STATED = 1 << 16, LAYERS_MAX_STATED = 512, VOCAB_MAX_STATED = 1 << 22 };

void model_config_init(struct model_config *out) {
    *out = (struct model_config){
        .pooling = MODEL_POOL_ARGMAX,
        .vision = {.layer_norm_eps = 1e-5f},
        .text = {.layer_norm_eps = 1e-5f},
        .preprocess = {.filter = 3,
                       .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                       .std = {0.26862954f, 0.26130258f, 0.27577711f},
                       .rescale = 1 / 255.0f},
    };
}

/* ---- open_clip ---- */

static enum status read_eps(struct config_tower *out, const struct json_place *place,
                            const char *key, struct error *err) {
    enum status status = json_read_float(place, key, &out->layer_norm_eps, err);
    if (status || out->layer_norm_eps > 0) return status;
    return error_set(err, STATUS_UNPROCESSABLE, "%s.%s is not above 0", place->path, key);
}

struct refusal {
    const char *key, *meaning;
};

static enum status refuse(const struct json_place *place, const struct refusal *refusals,
                          size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!json_is_set(place, refusals[i].key)) continue;
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.%s: %s is not supported; supported are ViT towers and text towers of "
                         "the same blocks",
                         place->path, refusals[i].key, refusals[i].meaning);
    }
    return STATUS_OK;
}

static enum status refuse_vision(const struct json_place *vision, struct error *err) {
    static const struct refusal refusals[] = {
        {"timm_model_name", "a timm image tower"},
        {"attentional_pool", "attention pooling (CoCa)"},
        {"qk_norm", "normalised queries and keys"},
        {"scaled_cosine_attn", "cosine attention"},
        {"scale_heads", "scaled heads"},
        {"scale_attn_inner", "scaled attention"},
        {"scale_attn", "scaled attention"},
        {"scale_fc", "scaled MLP"},
        {"input_patchnorm", "normalised patches"},
    };
    const json_t *layers = vision->object ? json_object_get(vision->object, "layers") : NULL;
    if (json_is_array(layers)) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.layers is a list: a ModifiedResNet image tower is not supported; "
                         "supported are plain ViT towers",
                         vision->path);
    }
    return refuse(vision, refusals, sizeof(refusals) / sizeof(refusals[0]), err);
}

static enum status refuse_text(const struct json_place *text, struct error *err) {
    static const struct refusal refusals[] = {
        {"hf_model_name", "a transformers text tower"},
        {"embed_cls", "an appended class token (CoCa)"},
        {"text_arch", "another text architecture"},
        {"attention_mode", "another form of attention"},
        {"qk_norm", "normalised queries and keys"},
    };
    return refuse(text, refusals, sizeof(refusals) / sizeof(refusals[0]), err);
}

/* act_kwargs.approximate = "tanh" selects the tanh form of GELU; norm_kwargs has eps. Where
 * LayerScale starts from is of no interest, but that it is there. */
static enum status read_kwargs(struct config_tower *out, const struct json_place *tower,
                               struct error *err) {
    struct json_place act, norm;
    const char *approximate = "none";
    enum status status = json_enter(&act, tower, "act_kwargs", err);
    if (!status) status = json_read_string(&act, "approximate", &approximate, err);
    if (!status) status = json_enter(&norm, tower, "norm_kwargs", err);
    if (!status) status = read_eps(out, &norm, "eps", err);
    if (!status && !strcmp(approximate, "tanh")) out->activation = MODEL_GELU_TANH;
    out->layer_scale = json_is_set(tower, "ls_init_value");
    return status;
}

/* The class token through the last LayerNorm, or the mean of the patches. That of
 * normalised patches nobody has trained. */
static enum status read_vision_pooling(struct model_config *out, const struct json_place *vision,
                                       struct error *err) {
    const char *pool = "tok";
    bool norm_last = false;
    enum status status = json_read_string(vision, "pool_type", &pool, err);
    if (!status) status = json_read_bool(vision, "final_ln_after_pool", &norm_last, err);
    if (!status) status = json_read_bool(vision, "no_ln_pre", &out->no_ln_pre, err);
    if (status) return status;
    out->patch_mean = !strcmp(pool, "avg") && norm_last;
    if (out->patch_mean || !strcmp(pool, "tok")) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.pool_type is \"%.16s\", supported are \"tok\", and \"avg\" with "
                     "final_ln_after_pool",
                     vision->path, pool);
}

static enum status read_open_clip_vision(struct model_config *out, const struct json_place *model,
                                         struct error *err) {
    struct json_place vision;
    struct config_tower *tower = &out->vision;
    uint32_t head_width = 64;
    tower->width = 768;
    tower->layers = 12;
    out->patch_size = 16;
    out->image_size = 224;
    enum status status = json_enter(&vision, model, "vision_cfg", err);
    if (!status) status = refuse_vision(&vision, err);
    if (!status) status = json_read_u32(&vision, "width", 1, SIZE_MAX_STATED, &tower->width, err);
    if (!status) {
        status = json_read_u32(&vision, "layers", 1, LAYERS_MAX_STATED, &tower->layers, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "head_width", 1, SIZE_MAX_STATED, &head_width, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "patch_size", 1, SIZE_MAX_STATED, &out->patch_size, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "image_size", 1, SIZE_MAX_STATED, &out->image_size, err);
    }
    if (!status) status = read_kwargs(tower, &vision, err);
    if (!status) status = read_vision_pooling(out, &vision, err);
    if (status) return status;
    tower->heads = tower->width / head_width;
    if (tower->width % head_width == 0) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "%s: a width of %u is no multiple of head_width %u",
                     vision.path, tower->width, head_width);
}

static enum status read_text_pooling(struct model_config *out, const struct json_place *text,
                                     struct error *err) {
    static const char *const names[] = {"argmax", "eos", "first", "last"};
    const char *pool = names[MODEL_POOL_ARGMAX];
    enum status status = json_read_string(text, "pool_type", &pool, err);
    if (!status) status = json_read_bool(text, "no_causal_mask", &out->bidirectional, err);
    if (!status) {
        status = json_read_u32(text, "pad_id", 0, out->vocab_size - 1, &out->pad_token, err);
    }
    if (status) return status;
    size_t i = 0, count = sizeof(names) / sizeof(names[0]);
    while (i < count && strcmp(names[i], pool) != 0) i++;
    if (i == count) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.pool_type is \"%.16s\", supported are \"argmax\", \"eos\", \"first\" "
                         "and \"last\"",
                         text->path, pool);
    }
    out->pooling = (enum model_pooling)i;
    if (out->pooling != MODEL_POOL_EOS) return STATUS_OK;
    out->end_token = 2; /* open_clip's own default */
    return json_read_u32(text, "eos_id", 0, out->vocab_size - 1, &out->end_token, err);
}

static enum status read_clean(struct model_config *out, const struct json_place *text,
                              struct error *err) {
    struct json_place kwargs;
    const char *clean = "lower";
    enum status status = json_enter(&kwargs, text, "tokenizer_kwargs", err);
    if (!status) status = json_read_string(&kwargs, "clean", &clean, err);
    if (status) return status;
    out->tokenizer.canonicalize = !strcmp(clean, "canonicalize");
    out->tokenizer.keep_case = !strcmp(clean, "whitespace");
    if (out->tokenizer.canonicalize || out->tokenizer.keep_case || !strcmp(clean, "lower")) {
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.clean is \"%.24s\", supported are \"lower\", "
                     "\"whitespace\" and \"canonicalize\"",
                     kwargs.path, clean);
}

static enum status read_open_clip_text(struct model_config *out, const struct json_place *model,
                                       struct error *err) {
    struct json_place text;
    struct config_tower *tower = &out->text;
    tower->width = 512;
    tower->layers = 12;
    tower->heads = 8;
    out->context_length = 77;
    out->vocab_size = 49408;
    enum status status = json_enter(&text, model, "text_cfg", err);
    if (!status) status = refuse_text(&text, err);
    if (!status) status = json_read_u32(&text, "width", 1, SIZE_MAX_STATED, &tower->width, err);
    if (!status) status = json_read_u32(&text, "heads", 1, SIZE_MAX_STATED, &tower->heads, err);
    if (!status) status = json_read_u32(&text, "layers", 1, LAYERS_MAX_STATED, &tower->layers, err);
    if (!status) {
        status =
            json_read_u32(&text, "context_length", 2, SIZE_MAX_STATED, &out->context_length, err);
    }
    if (!status) {
        status = json_read_u32(&text, "vocab_size", 2, VOCAB_MAX_STATED, &out->vocab_size, err);
    }
    if (!status) status = read_kwargs(tower, &text, err);
    if (!status) status = read_text_pooling(out, &text, err);
    return status ? status : read_clean(out, &text, err);
}

static enum status read_open_clip_preprocess(struct model_config *out, const struct json_place *top,
                                             struct error *err) {
    struct json_place place;
    struct model_preprocess *preprocess = &out->preprocess;
    const char *interpolation = "bicubic", *resize = "shortest";
    uint32_t fill = 0;
    enum status status = json_enter(&place, top, "preprocess_cfg", err);
    if (!status) status = json_read_floats3(&place, "mean", preprocess->mean, err);
    if (!status) status = json_read_floats3(&place, "std", preprocess->std, err);
    if (!status) status = json_read_string(&place, "interpolation", &interpolation, err);
    if (!status) status = json_read_string(&place, "resize_mode", &resize, err);
    if (!status) status = json_read_u32(&place, "fill_color", 0, 255, &fill, err);
    if (status) return status;
    memset(preprocess->fill, (int)fill, sizeof(preprocess->fill));
    if (!strcmp(interpolation, "bilinear")) {
        preprocess->filter = 2;
    } else if (strcmp(interpolation, "bicubic") != 0 && strcmp(interpolation, "random") != 0) {
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s.interpolation is \"%.16s\", supported are \"bicubic\", \"bilinear\" and "
            "\"random\", which means bicubic",
            place.path, interpolation);
    }
    if (!strcmp(resize, "squash"))
        preprocess->resize = MODEL_RESIZE_SQUASH;
    else if (!strcmp(resize, "longest"))
        preprocess->resize = MODEL_RESIZE_LONGEST;
    else if (strcmp(resize, "shortest") != 0) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.resize_mode is \"%.16s\", supported are "
                         "\"shortest\", \"squash\" and \"longest\"",
                         place.path, resize);
    }
    return STATUS_OK;
}

enum status model_config_parse_open_clip(struct model_config *out, struct bytes json,
                                         struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "open_clip_config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "open_clip_config.json"), model;
    bool quick_gelu = false;
    out->found = true;
    out->naming = MODEL_NAMES_OPEN_CLIP;
    status = json_enter(&model, &top, "model_cfg", err);
    if (!status && !model.object) {
        status = error_set(err, STATUS_UNPROCESSABLE, "open_clip_config.json has no model_cfg");
    }
    if (!status) {
        status = json_read_u32(&model, "embed_dim", 1, SIZE_MAX_STATED, &out->embed_dim, err);
    }
    if (!status) status = json_read_bool(&model, "quick_gelu", &quick_gelu, err);
    out->vision.activation = out->text.activation = quick_gelu ? MODEL_QUICK_GELU : MODEL_GELU_ERF;
    if (!status) status = read_open_clip_vision(out, &model, err);
    if (!status) status = read_open_clip_text(out, &model, err);
    if (!status) status = read_open_clip_preprocess(out, &top, err);
    json_decref(root);
    return status;
}

/* ---- transformers ---- */

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
    const char *name = "quick_gelu";
    enum status status = json_read_string(tower, "hidden_act", &name, err);
    if (status) return status;
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
    enum status status = json_read_u32(tower, "hidden_size", 1, SIZE_MAX_STATED, &out->width, err);
    if (!status) {
        status =
            json_read_u32(tower, "intermediate_size", 1, SIZE_MAX_STATED, &out->mlp_width, err);
    }
    if (!status) {
        status = json_read_u32(tower, "num_hidden_layers", 1, LAYERS_MAX_STATED, &out->layers, err);
    }
    if (!status) {
        status = json_read_u32(tower, "num_attention_heads", 1, SIZE_MAX_STATED, &out->heads, err);
    }
    if (!status) status = read_eps(out, tower, "layer_norm_eps", err);
    return status ? status : read_activation(tower, &out->activation, err);
}

static enum status read_hf_vision(struct model_config *out, const struct json_place *tower,
                                  struct error *err) {
    out->vision = (struct config_tower){
        .width = 768, .layers = 12, .heads = 12, .mlp_width = 3072, .layer_norm_eps = 1e-5f};
    out->image_size = 224;
    out->patch_size = 32;
    enum status status = read_hf_tower(&out->vision, tower, err);
    if (!status) {
        status = json_read_u32(tower, "image_size", 1, SIZE_MAX_STATED, &out->image_size, err);
    }
    if (!status) {
        status = json_read_u32(tower, "patch_size", 1, SIZE_MAX_STATED, &out->patch_size, err);
    }
    return status;
}

static enum status read_hf_text(struct model_config *out, const struct json_place *tower,
                                struct error *err) {
    out->text = (struct config_tower){
        .width = 512, .layers = 12, .heads = 8, .mlp_width = 2048, .layer_norm_eps = 1e-5f};
    out->context_length = 77;
    out->vocab_size = 49408;
    out->end_token = 49407;
    enum status status = read_hf_tower(&out->text, tower, err);
    if (!status) {
        status = json_read_u32(tower, "max_position_embeddings", 2, SIZE_MAX_STATED,
                               &out->context_length, err);
    }
    if (!status) {
        status = json_read_u32(tower, "vocab_size", 2, VOCAB_MAX_STATED, &out->vocab_size, err);
    }
    if (!status) {
        status = json_read_u32(tower, "eos_token_id", 0, VOCAB_MAX_STATED, &out->end_token, err);
    }
    /* 2 was simply wrong in old files and means argmax to transformers; an end token
     * that the vocabulary does not have cannot be looked for either. */
    bool legacy = out->end_token == 2 || out->end_token >= out->vocab_size;
    out->pooling = legacy ? MODEL_POOL_ARGMAX : MODEL_POOL_EOS;
    return status;
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

enum status model_config_parse_hf(struct model_config *out, struct bytes json, struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "config.json"), vision, text;
    const char *type = "clip";
    out->found = true;
    out->naming = MODEL_NAMES_HF;
    out->preprocess.convert_first = true;
    status = json_read_string(&top, "model_type", &type, err);
    if (status) {
        ;
    } else if (!strcmp(type, "clip")) {
        status = json_read_u32(&top, "projection_dim", 1, SIZE_MAX_STATED, &out->embed_dim, err);
        if (!status) status = enter_tower(&vision, &top, "vision_config", err);
        if (!status) status = enter_tower(&text, &top, "text_config", err);
        if (!status) status = read_hf_vision(out, &vision, err);
        if (!status) status = read_hf_text(out, &text, err);
    } else if (!strcmp(type, "clip_text_model")) {
        status = read_hf_text(out, &top, err);
    } else if (!strcmp(type, "clip_vision_model")) {
        status = read_hf_vision(out, &top, err);
    } else {
        status =
            error_set(err, STATUS_UNSUPPORTED,
                      "config.json: model_type \"%.32s\" is not supported; supported are clip, "
                      "clip_text_model and clip_vision_model",
                      type);
    }
    json_decref(root);
    return status;
}

/* ---- preprocessor_config.json ---- */

/* A side as old and new files write it: 224, {"height": 224, "width": 224} or
 * {"shortest_edge": 224}. */
static enum status read_side(const struct json_place *top, const char *key, uint32_t *side,
                             bool *shortest, struct error *err) {
    const json_t *value = json_object_get(top->object, key);
    *shortest = true;
    if (!value || json_is_null(value)) return STATUS_OK;
    if (json_is_integer(value)) return json_read_u32(top, key, 1, SIZE_MAX_STATED, side, err);
    struct json_place place;
    uint32_t height = 0, width = 0, edge = 0;
    enum status status = json_enter(&place, top, key, err);
    if (!status) status = json_read_u32(&place, "shortest_edge", 1, SIZE_MAX_STATED, &edge, err);
    if (!status) status = json_read_u32(&place, "height", 1, SIZE_MAX_STATED, &height, err);
    if (!status) status = json_read_u32(&place, "width", 1, SIZE_MAX_STATED, &width, err);
    if (status) return status;
    *shortest = edge != 0;
    *side = edge ? edge : height;
    if (edge || (height && height == width)) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s is neither a shortest_edge nor a square height and width", place.path);
}

enum status model_config_parse_preprocessor(struct model_config *out, struct bytes json,
                                            struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "preprocessor_config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "preprocessor_config.json");
    struct model_preprocess *preprocess = &out->preprocess;
    bool resize = true, crop = true, rescale = true, normalize = true, shortest, square;
    uint32_t side = 0, crop_side = 0;
    status = json_read_bool(&top, "do_resize", &resize, err);
    if (!status) status = json_read_bool(&top, "do_center_crop", &crop, err);
    if (!status) status = json_read_bool(&top, "do_rescale", &rescale, err);
    if (!status) status = json_read_bool(&top, "do_normalize", &normalize, err);
    if (!status) status = json_read_u32(&top, "resample", 0, 5, &preprocess->filter, err);
    if (!status) status = json_read_float(&top, "rescale_factor", &preprocess->rescale, err);
    if (!status) status = json_read_floats3(&top, "image_mean", preprocess->mean, err);
    if (!status) status = json_read_floats3(&top, "image_std", preprocess->std, err);
    if (!status) status = read_side(&top, "size", &side, &shortest, err);
    if (!status) status = read_side(&top, "crop_size", &crop_side, &square, err);
    if (!status && resize && shortest && !crop) {
        status = error_set(err, STATUS_UNSUPPORTED,
                           "preprocessor_config.json resizes the short side without a crop");
    }
    if (!status) {
        if (!rescale) preprocess->rescale = 1;
        if (!normalize) {
            for (int i = 0; i < 3; i++) preprocess->mean[i] = 0, preprocess->std[i] = 1;
        }
        preprocess->resize = !resize    ? MODEL_RESIZE_NONE
                             : shortest ? MODEL_RESIZE_SHORTEST
                                        : MODEL_RESIZE_SQUASH;
        preprocess->resize_to = side;
        out->crop_size = crop && crop_side ? crop_side : side;
    }
    json_decref(root);
    return status;
}
