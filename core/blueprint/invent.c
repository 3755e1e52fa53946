#include "core/blueprint/invent.h"

#include <math.h>
#include <stdlib.h>

#include "core/blueprint/blueprint_vit.h"
#include "core/blueprint/invent_maps.h"

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
    bool before = shape->norm_order == MODEL_NORM_BEFORE; /* what follows can undo gains */
    out->ln_1 = make_norm(maker, width, before);
    out->qkv = make_linear(maker, 3 * width, width, narrow, &out->ln_1);
    out->out = make_linear(maker, width, width, deep, NULL);
    out->ln_2 = make_norm(maker, width, before);
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
    if (shape->projection_hidden)
        out->hidden = make_linear(maker, shape->projection_hidden, shape->width, narrow, NULL);
    out->projection = make_linear(maker, info->embed_dim, shape->pooled_width, narrow, NULL);
    return STATUS_OK;
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
    if (info->conv_stem) invent_stem(&out->vit, width, &maker->count);
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

enum status invent_model(struct blueprint *out, const struct model_info *info, bool outliers,
                         struct error *err) {
    struct maker maker = {.outliers = outliers};
    *out = (struct blueprint){.computed = {NULL}};
    enum status status = invent_vision(out, info, &maker, err);
    if (status) return status;
    out->embedding = make(&maker, info->vocab_size, info->text.width, 1);
    if (info->text_class) out->class_embedding = make(&maker, 1, info->text.width, 1);
    if (info->text_tower != MODEL_TEXT_CLIP)
        out->ln_embedding = make_norm(&maker, info->text.width, false);
    return make_tower(&maker, info, &info->text, 0.01, &out->text, err);
}
