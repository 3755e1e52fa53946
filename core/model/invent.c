#include "core/model/invent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/model/blueprint_vit.h"
#include "core/model/invent_maps.h"

enum { CONTEXT_LENGTH = 77, VOCAB_SIZE = 49408 };

/* Numbers the weights, so that each has a seed of its own. */
struct maker {
    uint64_t count;
    bool outliers;
};

static struct source make(struct maker *maker, size_t rows, size_t columns, double scale) {
    return (struct source){.kind = SOURCE_RANDOM,
                           .rows = rows,
                           .columns = columns,
                           .seed = ++maker->count,
                           .scale = (float)scale};
}

static struct blueprint_norm make_norm(struct maker *maker, size_t width, bool outliers) {
    struct blueprint_norm norm = {
        .gain = {.kind = SOURCE_GAIN, .rows = 1, .columns = width},
        .bias = make(maker, 1, width, 0.01),
    };
    if (outliers && maker->outliers) norm.gain.gain_seed = ++maker->count;
    return norm;
}

/* `norm` is what the product follows and undoes the gains of, or NULL. */
static struct blueprint_linear make_linear(struct maker *maker, size_t n, size_t k, double scale,
                                           const struct blueprint_norm *norm) {
    struct blueprint_linear linear = {.parts = 1};
    linear.weights[0] = make(maker, n, k, scale);
    linear.biases[0] = make(maker, 1, n, 0.01);
    if (norm) linear.weights[0].gain_seed = norm->gain.gain_seed;
    return linear;
}

static void make_block(struct maker *maker, const struct model_tower *shape,
                       struct blueprint_block *out) {
    size_t width = shape->width, mlp_width = shape->mlp_width;
    double narrow = 1 / sqrt((double)width), deep = narrow / sqrt(2.0 * shape->layers);
    out->ln_1 = make_norm(maker, width, true);
    out->qkv = make_linear(maker, 3 * width, width, narrow, &out->ln_1);
    out->out = make_linear(maker, width, width, deep, NULL);
    out->ln_2 = make_norm(maker, width, true);
    if (shape->inner_norms) {
        out->ln_out = make_norm(maker, width, false);
        out->ln_proj = make_norm(maker, mlp_width, false);
    }
    if (shape->gated) {
        out->gate = make_linear(maker, mlp_width, width, 1 / sqrt((double)width), &out->ln_2);
    }
    out->fc = make_linear(maker, mlp_width, width, 1 / sqrt(2.0 * (double)width), &out->ln_2);
    out->proj = make_linear(maker, width, mlp_width, deep, NULL);
}

/* `positions` is the size of their embeddings. */
static enum status make_tower(struct maker *maker, const struct model_info *info,
                              const struct model_tower *shape, double positions,
                              struct blueprint_tower *out, struct error *err) {
    size_t tokens = shape == &info->text ? model_text_tokens(info) : model_image_tokens(info);
    double narrow = 1 / sqrt((double)shape->width);
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    out->positions = make(maker, tokens, shape->width, positions);
    for (uint32_t i = 0; i < shape->layers; i++) {
        if (model_tower_layer(shape, i).heads)
            make_block(maker, shape, &out->blocks[i]);
        else
            invent_mixer(&out->blocks[i], shape, &maker->count);
    }
    out->ln_end = make_norm(maker, shape->pooled_width, false);
    out->projection = make_linear(maker, info->embed_dim, shape->pooled_width, narrow, NULL);
    return STATUS_OK;
}

static void set_style(struct model_info *info, enum architecture_style style) {
    struct model_tower *tower = &info->vision;
    if (style == ARCHITECTURE_PLAIN) return;
    info->no_ln_pre = info->patch_bias = tower->projection_bias = true;
    tower->layer_norm_eps = 1e-6f;
    tower->activation = info->text.activation = MODEL_GELU_ERF;
    if (style == ARCHITECTURE_EVA_RESULT) tower->norm_order = MODEL_NORM_RESULT;
    if (style != ARCHITECTURE_EVA02) return;
    tower->gated = tower->inner_norms = true;
    tower->rope_side = 16;
}

/* What differs from a plain ViT and its text tower. */
static void set_attention(struct model_info *info, const struct architecture *a) {
    enum { COCA_HEADS = 8 };
    struct architecture_attention attention;
    if (!architecture_attention(&attention, a)) return;
    info->image_pooling = MODEL_IMAGE_ATTENTION;
    info->context_length = attention.context_length;
    info->vocab_size = attention.vocab_size;
    info->text.mlp_width = attention.text_mlp;
    info->text_class = !attention.siglip;
    info->pooler.heads = attention.siglip ? info->vision.heads : COCA_HEADS;
    if (!attention.siglip) {
        info->vision.pooled_width = info->embed_dim;
        return;
    }
    info->pooler.mlp_width = info->vision.mlp_width;
    info->no_ln_pre = info->no_class_token = info->patch_bias = true;
    info->bidirectional = info->sigmoid = true;
    info->pooling = MODEL_POOL_LAST;
    info->vision.no_ln_end = true;
    info->vision.projected = false;
    info->text.projection_bias = true;
    info->vision.layer_norm_eps = info->text.layer_norm_eps = 1e-6f;
    info->vision.activation = info->text.activation =
        attention.gelu_tanh ? MODEL_GELU_TANH : MODEL_GELU_ERF;
    info->logit_bias = -10;
}

/* The first and the last layer have no heads. */
static void set_mixers(struct model_tower *text, uint32_t window) {
    text->token_window = window;
    text->pruned = window != 0;
    for (uint32_t i = 0; i < text->layers && window; i++) {
        bool looks = i == 0 || i + 1 == text->layers;
        text->pruned_layers[i] =
            (struct model_layer){.heads = looks ? 0 : text->heads, .mlp_width = text->mlp_width};
    }
}

static void set_info(struct model_info *info, const struct architecture *a) {
    *info = (struct model_info){
        .naming = MODEL_NAMES_OPEN_CLIP,
        .embed_dim = a->embed_dim,
        .image_size = a->image_size,
        .image_width = a->image_size,
        .patch_size = a->patch_size,
        .context_length = CONTEXT_LENGTH,
        .vocab_size = VOCAB_SIZE,
        .vision = {.width = a->vision_width,
                   .layers = a->vision_layers,
                   .heads = a->vision_heads,
                   .head_width = a->vision_heads ? a->vision_width / a->vision_heads : 0,
                   .pooled_width = a->vision_width,
                   .mlp_width = a->vision_mlp,
                   .projected = true,
                   .layer_norm_eps = 1e-5f},
        .text = {.width = a->text_width,
                 .layers = a->text_layers,
                 .heads = a->text_heads,
                 .head_width = a->text_width / a->text_heads,
                 .pooled_width = a->text_width,
                 .mlp_width = 4 * a->text_width,
                 .projected = true,
                 .layer_norm_eps = 1e-5f},
        .pooling = MODEL_POOL_ARGMAX,
        .logit_scale = 100,
        .preprocess = {.filter = 3,
                       .mean = {0.5f, 0.5f, 0.5f},
                       .std = {0.25f, 0.25f, 0.25f},
                       .rescale = 1 / 255.0f},
    };
    set_style(info, architecture_style(a));
    const struct model_resnet *resnet = architecture_resnet(a);
    if (resnet) {
        info->image_tower = MODEL_IMAGE_RESNET;
        info->resnet = *resnet;
        info->vision.projection_bias = true;
    }
    const struct model_convnext *convnext = architecture_convnext(a);
    if (convnext) {
        info->image_tower = MODEL_IMAGE_CONVNEXT;
        info->convnext = *convnext;
        info->vision.layer_norm_eps = 1e-6f;
    }
    const struct model_fastvit *fastvit = architecture_fastvit(a);
    if (fastvit) {
        struct model_tower *vision = &info->vision;
        info->image_tower = MODEL_IMAGE_FASTVIT;
        info->fastvit = *fastvit;
        vision->pooled_width = 2 * vision->width;
        vision->no_ln_end = vision->projection_bias = info->bidirectional = true;
        vision->activation = info->text.activation = MODEL_GELU_ERF;
    }
    set_mixers(&info->text, architecture_token_window(a));
    set_attention(info, a);
    snprintf(info->architecture, sizeof(info->architecture), "%s", a->name);
    snprintf(info->sha256, sizeof(info->sha256), "random");
}

static struct blueprint_rows make_rows(struct maker *maker, size_t rows, size_t columns) {
    return (struct blueprint_rows){.weight = make(maker, rows, columns, 1 / sqrt((double)columns))};
}

static void make_pooler(struct maker *maker, const struct model_info *info,
                        struct blueprint_pooler *out) {
    size_t from = info->vision.width, width = info->vision.pooled_width,
           mlp_width = info->pooler.mlp_width;
    double narrow = 1 / sqrt((double)width);
    *out = (struct blueprint_pooler){.query = make(maker, 1, width, 1)};
    out->q = make_rows(maker, width, width);
    out->k = make_rows(maker, width, from);
    out->v = make_rows(maker, width, from);
    out->biases[0] = make(maker, 1, 3 * width, 0.01);
    if (!mlp_width) out->ln_q = make_norm(maker, width, false);
    out->ln_k = make_norm(maker, from, false);
    out->out = make_linear(maker, width, width, narrow, NULL);
    if (!mlp_width) return;
    out->ln = make_norm(maker, width, false);
    out->fc = make_linear(maker, mlp_width, width, narrow, NULL);
    out->proj = make_linear(maker, width, mlp_width, narrow, NULL);
}

static enum status invent_vit(struct blueprint *out, const struct model_info *info,
                              struct maker *maker, struct error *err) {
    size_t width = info->vision.width, k = 3 * (size_t)info->patch_size * info->patch_size;
    out->vit.class_embedding = make(maker, 1, width, 1 / sqrt((double)width));
    out->vit.patch = make_linear(maker, width, k, 1 / sqrt((double)k), NULL);
    out->vit.ln_pre = make_norm(maker, width, false);
    if (info->image_pooling == MODEL_IMAGE_ATTENTION) make_pooler(maker, info, &out->pooler);
    enum status status = STATUS_OK;
    if (info->vision.rope_side) status = blueprint_vit_draw_rope(out, info, err);
    if (status) return status;
    return make_tower(maker, info, &info->vision, 1 / sqrt((double)width), &out->vision, err);
}

static enum status invent_vision(struct blueprint *out, const struct model_info *info,
                                 struct maker *maker, struct error *err) {
    switch (info->image_tower) {
    case MODEL_IMAGE_VIT: break;
    case MODEL_IMAGE_RESNET: return invent_resnet(out, info, &maker->count, err);
    case MODEL_IMAGE_CONVNEXT: return invent_convnext(out, info, &maker->count, err);
    case MODEL_IMAGE_FASTVIT: return invent_fastvit(out, info, &maker->count, err);
    }
    return invent_vit(out, info, maker, err);
}

enum status invent_model(struct blueprint *out, struct model_info *info,
                         const struct architecture *architecture, bool outliers,
                         struct error *err) {
    struct maker maker = {.outliers = outliers};
    *out = (struct blueprint){.computed = {NULL}};
    set_info(info, architecture);
    enum status status = invent_vision(out, info, &maker, err);
    if (status) return status;
    out->embedding = make(&maker, info->vocab_size, info->text.width, 1);
    if (info->text_class) out->class_embedding = make(&maker, 1, info->text.width, 1);
    return make_tower(&maker, info, &info->text, 0.01, &out->text, err);
}
