#include "core/model/blueprint_fastvit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/model/draft_conv.h"

enum {
    STRIDE = 32,         /* pixels a side that images are multiples of */
    SIDE_MAX = 1 << 14,  /* pixels */
    WIDTH_MAX = 1 << 10, /* channels of the first stage */
    EXPANSION_MAX = 16,
};

#define TRUNK "visual.trunk."

/* ---- branches ---- */

static bool has(const struct draft *draft, const char *prefix, const char *name) {
    char whole[DRAFT_NAME_SIZE];
    snprintf(whole, sizeof(whole), "%s%s", prefix, name);
    return tensors_any_with_prefix(draft->tensors, whole);
}

/* A convolution "<prefix><layer>.conv" with its BatchNorm "<prefix><layer>.bn". */
static enum status take_branch(struct draft *draft, const char *prefix, const char *layer,
                               const size_t dims[4], struct blueprint_branches *out,
                               struct error *err) {
    char conv[48], norm[48];
    size_t wanted[4] = {dims[0], dims[1], dims[2], dims[3]};
    struct blueprint_branch *branch = &out->list[out->count++];
    snprintf(conv, sizeof(conv), "%s.conv", layer);
    snprintf(norm, sizeof(norm), "%s.bn", layer);
    branch->window = (uint32_t)dims[2];
    return draft_take_conv(draft, prefix, conv, norm, wanted, &branch->conv, err);
}

/* A BatchNorm alone: the way around. */
static enum status take_identity(struct draft *draft, const char *prefix, const char *layer,
                                 size_t n, bool subtracted, struct blueprint_branches *out,
                                 struct error *err) {
    struct blueprint_branch *branch = &out->list[out->count++];
    branch->subtracted = subtracted;
    return draft_take_batch_norm(draft, prefix, layer, n, &branch->conv, err);
}

/* What is one convolution with a bias. */
static enum status take_single(struct draft *draft, const char *prefix, const char *layer,
                               const size_t dims[4], struct blueprint_branches *out,
                               struct error *err) {
    size_t wanted[4] = {dims[0], dims[1], dims[2], dims[3]};
    struct blueprint_branch *branch = &out->list[out->count++];
    branch->window = (uint32_t)dims[2];
    return draft_take_conv(draft, prefix, layer, NULL, wanted, &branch->conv, err);
}

/* A MobileOne block: a window, what scales, and the way around, as far as they are there. */
static enum status take_block(struct draft *draft, const char *prefix, const size_t dims[4],
                              struct blueprint_branches *out, struct error *err) {
    const size_t scale[4] = {dims[0], dims[1], 1, 1};
    if (has(draft, prefix, "reparam_conv."))
        return take_single(draft, prefix, "reparam_conv", dims, out, err);
    enum status status = take_branch(draft, prefix, "conv_kxk.0", dims, out, err);
    if (!status && has(draft, prefix, "conv_scale."))
        status = take_branch(draft, prefix, "conv_scale", scale, out, err);
    if (!status && has(draft, prefix, "identity."))
        status = take_identity(draft, prefix, "identity", dims[0], false, out, err);
    return status;
}

/* LayerScale, [n, 1, 1], as a row. */
static enum status take_gamma(struct draft *draft, const char *prefix, const char *layer, size_t n,
                              struct source *out, struct error *err) {
    char name[DRAFT_NAME_SIZE];
    size_t dims[3] = {n, 1, 1};
    snprintf(name, sizeof(name), "%s%s.gamma", prefix, layer);
    enum status status = source_take(out, draft->tensors, name, dims, 3, err);
    if (status) return status;
    out->rows = 1;
    out->columns = n;
    draft->info->parameters += n;
    return STATUS_OK;
}

/* x + gamma * (block(x) - norm(x)). */
static enum status take_mixer(struct draft *draft, const char *prefix, size_t width,
                              struct blueprint_branches *out, struct error *err) {
    const size_t dims[4] = {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW};
    char mixer[DRAFT_NAME_SIZE];
    if (has(draft, prefix, "reparam_conv."))
        return take_single(draft, prefix, "reparam_conv", dims, out, err);
    snprintf(mixer, sizeof(mixer), "%smixer.", prefix);
    out->passes = true;
    enum status status = take_block(draft, mixer, dims, out, err);
    if (!status) status = take_identity(draft, prefix, "norm.identity", width, true, out, err);
    return status ? status : take_gamma(draft, prefix, "layer_scale", width, &out->scale, err);
}

/* ---- layers ---- */

/* [*n, k, 1, 1]; *n 0: as found. */
static enum status take_product(struct draft *draft, const char *prefix, const char *layer,
                                size_t *n, size_t k, struct blueprint_linear *out,
                                struct error *err) {
    size_t dims[4] = {*n, k, 1, 1};
    struct blueprint_conv conv = {.weight = {.kind = SOURCE_NONE}};
    enum status status = draft_take_conv(draft, prefix, layer, NULL, dims, &conv, err);
    out->weights[0] = conv.weight;
    out->biases[0] = conv.bias;
    out->parts = 1;
    *n = dims[0];
    return status;
}

static enum status take_squeeze(struct draft *draft, const char *prefix, size_t width,
                                uint32_t *squeezed, struct blueprint_squeeze *out,
                                struct error *err) {
    size_t n = 0;
    if (!has(draft, prefix, "se.")) return STATUS_OK;
    enum status status = take_product(draft, prefix, "se.fc1", &n, width, &out->fc, err);
    if (status) return status;
    *squeezed = (uint32_t)n;
    return take_product(draft, prefix, "se.fc2", &width, n, &out->proj, err);
}

static enum status take_halving(struct draft *draft, uint32_t stage,
                                struct blueprint_fastvit_layer *out, struct error *err) {
    struct model_fastvit *shape = &draft->info->fastvit;
    size_t width = fastvit_width(shape, stage);
    const size_t large[4] = {width, 1, FASTVIT_LARGE_WINDOW, FASTVIT_LARGE_WINDOW},
                 small[4] = {width, 1, 3, 3}, entry[4] = {width, width, 1, 1};
    char window[64], product[64], positions[64];
    snprintf(window, sizeof(window), TRUNK "stages.%u.downsample.proj.0.", stage);
    snprintf(product, sizeof(product), TRUNK "stages.%u.downsample.proj.1.", stage);
    snprintf(positions, sizeof(positions), TRUNK "stages.%u.pos_emb.", stage);
    enum status status = STATUS_OK;
    if (has(draft, window, "reparam_conv.")) {
        status = take_single(draft, window, "reparam_conv", large, &out->first, err);
    } else {
        status = take_branch(draft, window, "large_conv", large, &out->first, err);
        if (!status) status = take_branch(draft, window, "small_conv", small, &out->first, err);
    }
    if (!status)
        status = take_squeeze(draft, window, width, &shape->squeezed[stage], &out->squeeze, err);
    if (!status) status = take_block(draft, product, entry, &out->entry, err);
    if (status || stage < shape->attending) return status;
    if (has(draft, positions, "reparam_conv."))
        return take_single(draft, positions, "reparam_conv", large, &out->positions, err);
    out->positions.passes = true;
    return take_single(draft, positions, "pos_enc", large, &out->positions, err);
}

static enum status take_attention(struct draft *draft, const char *prefix, size_t width,
                                  struct blueprint_fastvit_layer *out, struct error *err) {
    size_t rows = 3 * width;
    enum status status;
    if (draft->info->fastvit.layer_norm) {
        struct blueprint_norm norm = {.gain = {.kind = SOURCE_NONE}};
        status = draft_take_norm(draft, prefix, "norm", width, &norm, err);
        out->norm = (struct blueprint_conv){.gain = norm.gain, .bias = norm.bias};
    } else {
        status = draft_take_batch_norm(draft, prefix, "norm", width, &out->norm, err);
    }
    if (!status)
        status = draft_take_product(draft, prefix, "token_mixer.qkv", &rows, width, &out->qkv, err);
    if (!status)
        status =
            draft_take_linear(draft, prefix, "token_mixer.proj", &width, width, &out->out, err);
    return status ? status
                  : take_gamma(draft, prefix, "layer_scale_1", width, &out->out.scale, err);
}

static enum status take_layer(struct draft *draft, uint32_t number,
                              struct blueprint_fastvit_layer *out, struct error *err) {
    const struct model_fastvit *shape = &draft->info->fastvit;
    struct fastvit_place place = fastvit_place_of(shape, number);
    size_t width = place.width, expanded = shape->expansion * width;
    const size_t large[4] = {width, 1, FASTVIT_LARGE_WINDOW, FASTVIT_LARGE_WINDOW};
    bool attends = place.kind == FASTVIT_ATTEND;
    char prefix[48], mixer[64];
    if (place.kind == FASTVIT_HALVE) return take_halving(draft, place.stage, out, err);
    snprintf(prefix, sizeof(prefix), TRUNK "stages.%u.blocks.%u.", place.stage, place.index);
    snprintf(mixer, sizeof(mixer), "%stoken_mixer.", prefix);
    enum status status = attends ? take_attention(draft, prefix, width, out, err)
                                 : take_mixer(draft, mixer, width, &out->first, err);
    if (!status) status = take_branch(draft, prefix, "mlp.conv", large, &out->window, err);
    if (!status) status = take_product(draft, prefix, "mlp.fc1", &expanded, width, &out->fc, err);
    if (!status) status = take_product(draft, prefix, "mlp.fc2", &width, expanded, &out->proj, err);
    if (status) return status;
    return take_gamma(draft, prefix, attends ? "layer_scale_2" : "layer_scale", width,
                      &out->proj.scale, err);
}

static enum status take_stem(struct draft *draft, struct blueprint_fastvit *out,
                             struct error *err) {
    size_t width = draft->info->fastvit.width;
    const size_t first[4] = {width, 3, FASTVIT_WINDOW, FASTVIT_WINDOW},
                 window[4] = {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW},
                 mix[4] = {width, width, 1, 1};
    enum status status = take_block(draft, TRUNK "stem.0.", first, &out->stem, err);
    if (!status) status = take_block(draft, TRUNK "stem.1.", window, &out->stem_window, err);
    return status ? status : take_block(draft, TRUNK "stem.2.", mix, &out->stem_mix, err);
}

static enum status take_end(struct draft *draft, struct blueprint *out, struct error *err) {
    struct model_info *info = draft->info;
    size_t width = info->vision.pooled_width, dim = draft->config->embed_dim;
    const size_t window[4] = {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW};
    enum status status = take_block(draft, TRUNK "final_conv.", window, &out->fastvit.end, err);
    if (!status) {
        status = take_squeeze(draft, TRUNK "final_conv.", width, &info->fastvit.end_squeezed,
                              &out->fastvit.end_squeeze, err);
    }
    if (!status) {
        status =
            draft_take_linear(draft, TRUNK, "head.fc", &dim, width, &out->vision.projection, err);
    }
    info->embed_dim = (uint32_t)dim;
    return status;
}

/* ---- the shape ---- */

static uint32_t count_blocks(const struct draft *draft, uint32_t stage) {
    char prefix[48];
    snprintf(prefix, sizeof(prefix), TRUNK "stages.%u.blocks.", stage);
    return draft_count(draft, prefix, PLAN_LAYERS_MAX);
}

/* A stage attends as its first block does; none before another that does not. */
static enum status count_stages(struct draft *draft, struct error *err) {
    struct model_fastvit *shape = &draft->info->fastvit;
    uint32_t total = 0;
    *shape = (struct model_fastvit){.stages = 0};
    for (; shape->stages < MODEL_FASTVIT_STAGES; shape->stages++) {
        char first[48];
        uint32_t stage = shape->stages;
        shape->blocks[stage] = count_blocks(draft, stage);
        if (!shape->blocks[stage]) break;
        snprintf(first, sizeof(first), TRUNK "stages.%u.blocks.0.", stage);
        if (shape->attending == stage && !has(draft, first, "token_mixer.qkv.")) shape->attending++;
        if (shape->attending == stage) shape->layer_norm = !has(draft, first, "norm.running_mean");
        total += shape->blocks[stage] + (stage > 0);
    }
    draft->info->vision.layers = total;
    if (total > PLAN_LAYERS_MAX)
        return error_set(err, STATUS_TOO_LARGE, "a FastViT of %u layers, at most %d", total,
                         PLAN_LAYERS_MAX);
    if (shape->attending > 0) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "a FastViT whose first stage attends: supported are those of MobileCLIP");
}

/* Channels of the first stage, and what its MLPs make of them; all others follow. */
static enum status find_widths(struct draft *draft, struct error *err) {
    struct model_fastvit *shape = &draft->info->fastvit;
    struct source weight;
    size_t dims[4] = {0, 0, 1, 1};
    enum status status = source_take(&weight, draft->tensors,
                                     TRUNK "stages.0.blocks.0.mlp.fc1.weight", dims, 4, err);
    if (status) return status;
    size_t width = dims[1], expansion = dims[0] / width;
    if (dims[0] % width || expansion < 1 || expansion > EXPANSION_MAX || width > WIDTH_MAX) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "a FastViT of %zu channels whose MLPs have %zu: at most %d are supported, "
                         "and MLPs of 1 to %d times as many",
                         width, dims[0], WIDTH_MAX, EXPANSION_MAX);
    }
    shape->width = (uint32_t)width;
    shape->expansion = (uint32_t)expansion;
    if (shape->attending == shape->stages) return STATUS_OK;
    width = fastvit_width(shape, shape->attending);
    if (width % FASTVIT_HEAD == 0) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "a FastViT with attention over %zu channels: multiples of %d are supported",
                     width, FASTVIT_HEAD);
}

static enum status set_size(const struct draft *draft, struct error *err) {
    struct model_info *info = draft->info;
    if (!info->image_size) info->image_size = draft->config->image_size;
    if (!info->image_size) info->image_size = 256;
    if (!info->image_width) info->image_width = info->image_size;
    bool fits = info->image_size % STRIDE == 0 && info->image_width % STRIDE == 0;
    if (fits && info->image_size <= SIDE_MAX && info->image_width <= SIDE_MAX) return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "image size %u x %u: a FastViT takes multiples of %d pixels up to %d",
                     info->image_width, info->image_size, STRIDE, SIDE_MAX);
}

static enum status set_shape(struct draft *draft, struct error *err) {
    struct model_info *info = draft->info;
    struct model_fastvit *shape = &info->fastvit;
    struct model_tower *tower = &info->vision;
    enum status status = count_stages(draft, err);
    if (!status) status = find_widths(draft, err);
    if (status) return status;
    info->patch_size = STRIDE;
    tower->width = (uint32_t)fastvit_width(shape, shape->stages - 1);
    tower->pooled_width = 2 * tower->width;
    tower->mlp_width = shape->expansion * tower->width;
    tower->heads = tower->width / FASTVIT_HEAD;
    tower->head_width = FASTVIT_HEAD;
    tower->activation = MODEL_GELU_ERF;
    tower->layer_norm_eps = 1e-5f;
    tower->no_ln_end = tower->projected = tower->projection_bias = true;
    return set_size(draft, err);
}

enum status blueprint_fastvit_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    struct blueprint_fastvit *fastvit = &out->fastvit;
    enum status status = set_shape(draft, err);
    if (status) return status;
    uint32_t layers = draft->info->vision.layers;
    if (!layers) return error_set(err, STATUS_UNPROCESSABLE, "a FastViT without blocks");
    fastvit->layers = calloc(layers, sizeof(*fastvit->layers));
    if (!fastvit->layers) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    status = take_stem(draft, fastvit, err);
    for (uint32_t i = 0; i < layers && !status; i++) {
        status = take_layer(draft, i, &fastvit->layers[i], err);
    }
    return status ? status : take_end(draft, out, err);
}
