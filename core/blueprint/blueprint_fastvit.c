#include "core/blueprint/blueprint_fastvit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/blueprint/draft_branches.h"
#include "core/blueprint/draft_conv.h"

enum {
    STRIDE = 32,         /* pixels a side that images are multiples of */
    SIDE_MAX = 1 << 14,  /* pixels */
    WIDTH_MAX = 1 << 10, /* channels of the first stage */
    EXPANSION_MAX = 16,
};

static const struct fastvit_names *names_of(const struct draft *draft) {
    return draft->names.vision->fastvit;
}

/* ---- layers ---- */

static enum status take_squeeze(struct draft *draft, const char *prefix,
                                const char *const layers[2], size_t width, uint32_t *squeezed,
                                struct blueprint_squeeze *out, struct error *err) {
    size_t n = 0;
    if (!draft_has(draft, prefix, "se.")) return STATUS_OK;
    enum status status = draft_take_pixels(draft, prefix, layers[0], &n, width, &out->fc, err);
    if (status) return status;
    *squeezed = (uint32_t)n;
    return draft_take_pixels(draft, prefix, layers[1], &width, n, &out->proj, err);
}

static enum status take_halving(struct draft *draft, uint32_t stage,
                                struct blueprint_fastvit_layer *out, struct error *err) {
    static const char *const squeeze[] = {"se.fc1", "se.fc2"};
    const struct fastvit_names *names = names_of(draft);
    struct model_fastvit *shape = &draft->info->fastvit;
    size_t width = fastvit_width(shape, stage);
    const size_t large[4] = {width, 1, FASTVIT_LARGE_WINDOW, FASTVIT_LARGE_WINDOW},
                 small[4] = {width, 1, 3, 3}, entry[4] = {width, width, 1, 1};
    const char *positions = names->positions[stage];
    char window[64], product[64];
    snprintf(window, sizeof(window), "%s0.", names->halvings[stage]);
    snprintf(product, sizeof(product), "%s1.", names->halvings[stage]);
    enum status status = STATUS_OK;
    if (draft_has(draft, window, names->large_merged)) {
        status = draft_take_single(draft, window, names->large_merged, large, &out->first, err);
    } else {
        status = draft_take_branch(draft, window, names->large, large, &out->first, err);
        if (!status)
            status = draft_take_branch(draft, window, "small_conv", small, &out->first, err);
    }
    if (!status) {
        status = take_squeeze(draft, window, squeeze, width, &shape->squeezed[stage], &out->squeeze,
                              err);
    }
    if (!status)
        status = draft_take_branches(draft, &names->branches, product, entry, &out->entry, err);
    if (status || stage < shape->attending) return status;
    if (draft_has(draft, positions, names->branches.merged))
        return draft_take_single(draft, positions, names->branches.merged, large, &out->positions,
                                 err);
    out->positions.passes = true;
    return draft_take_single(draft, positions, names->position, large, &out->positions, err);
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
    if (status) return status;
    return draft_take_gamma(draft, &names_of(draft)->branches, prefix, "layer_scale_1", width,
                            &out->out.scale, err);
}

/* The MLP "<prefix>mlp.", behind its window. */
static enum status take_mlp(struct draft *draft, const char *prefix, size_t width,
                            struct blueprint_fastvit_layer *out, struct error *err) {
    const size_t large[4] = {width, 1, FASTVIT_LARGE_WINDOW, FASTVIT_LARGE_WINDOW};
    size_t expanded = draft->info->fastvit.expansion * width;
    char mlp[64];
    snprintf(mlp, sizeof(mlp), "%s%s", prefix, names_of(draft)->mlp);
    enum status status = draft_take_branch(draft, mlp, "conv", large, &out->window, err);
    if (!status) status = draft_take_pixels(draft, mlp, "fc1", &expanded, width, &out->fc, err);
    return status ? status
                  : draft_take_pixels(draft, mlp, "fc2", &width, expanded, &out->proj, err);
}

static enum status take_layer(struct draft *draft, uint32_t number,
                              struct blueprint_fastvit_layer *out, struct error *err) {
    const struct fastvit_names *names = names_of(draft);
    struct fastvit_place place = fastvit_place_of(&draft->info->fastvit, number);
    size_t width = place.width;
    const size_t window[4] = {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW};
    bool attends = place.kind == FASTVIT_ATTEND;
    char prefix[48], mixer[64];
    if (place.kind == FASTVIT_HALVE) return take_halving(draft, place.stage, out, err);
    snprintf(prefix, sizeof(prefix), "%s%u.", names->stages[place.stage], place.index);
    snprintf(mixer, sizeof(mixer), "%stoken_mixer.", prefix);
    enum status status =
        attends ? take_attention(draft, prefix, width, out, err)
                : draft_take_mixer(draft, &names->branches, mixer, window, &out->first, err);
    if (!status) status = take_mlp(draft, prefix, width, out, err);
    if (status) return status;
    return draft_take_gamma(draft, &names->branches, prefix,
                            attends ? "layer_scale_2" : "layer_scale", width, &out->proj.scale,
                            err);
}

static enum status take_stem(struct draft *draft, struct blueprint_fastvit *out,
                             struct error *err) {
    size_t width = draft->info->fastvit.width;
    const size_t dims[3][4] = {{width, 3, FASTVIT_WINDOW, FASTVIT_WINDOW},
                               {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW},
                               {width, width, 1, 1}};
    struct blueprint_branches *const parts[] = {&out->stem, &out->stem_window, &out->stem_mix};
    const struct fastvit_names *names = names_of(draft);
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < 3 && !status; i++) {
        char prefix[64];
        snprintf(prefix, sizeof(prefix), "%s%u.", names->stem, i);
        status = draft_take_branches(draft, &names->branches, prefix, dims[i], parts[i], err);
    }
    return status;
}

/* The last product; Apple's has no bias. */
static enum status take_head(struct draft *draft, size_t *dim, size_t width,
                             struct blueprint_linear *out, struct error *err) {
    const struct fastvit_names *names = names_of(draft);
    size_t dims[2] = {*dim, width};
    draft->info->vision.projection_bias = !names->bare_head;
    if (!names->bare_head) return draft_take_linear(draft, "", names->head, dim, width, out, err);
    enum status status =
        source_take_transposed(&out->weights[0], draft->tensors, names->head, dims, err);
    out->parts = 1;
    *dim = dims[0];
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return status;
}

static enum status take_end(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct fastvit_names *names = names_of(draft);
    struct model_info *info = draft->info;
    size_t width = info->vision.pooled_width, dim = draft->config->embed_dim;
    const size_t window[4] = {width, 1, FASTVIT_WINDOW, FASTVIT_WINDOW};
    enum status status =
        draft_take_branches(draft, &names->branches, names->end, window, &out->fastvit.end, err);
    if (!status) {
        status = take_squeeze(draft, names->end, names->end_squeeze, width,
                              &info->fastvit.end_squeezed, &out->fastvit.end_squeeze, err);
    }
    if (!status) status = take_head(draft, &dim, width, &out->vision.projection, err);
    info->embed_dim = (uint32_t)dim;
    return status;
}

/* ---- the shape ---- */

/* A stage attends as its first block does; none before another that does not. */
static enum status count_stages(struct draft *draft, struct error *err) {
    const struct fastvit_names *names = names_of(draft);
    struct model_fastvit *shape = &draft->info->fastvit;
    uint32_t total = 0;
    *shape = (struct model_fastvit){.stages = 0};
    for (; shape->stages < MODEL_FASTVIT_STAGES; shape->stages++) {
        char first[48];
        uint32_t stage = shape->stages;
        if (!names->stages[stage]) break;
        shape->blocks[stage] = draft_count(draft, names->stages[stage], PLAN_LAYERS_MAX);
        if (!shape->blocks[stage]) break;
        snprintf(first, sizeof(first), "%s0.", names->stages[stage]);
        bool attends = draft_has(draft, first, "token_mixer.qkv.");
        if (shape->attending == stage && !attends) shape->attending++;
        if (shape->attending == stage)
            shape->layer_norm = !draft_has(draft, first, "norm.running_mean");
        total += shape->blocks[stage] + (stage > 0);
    }
    draft->info->vision.layers = total;
    if (total > PLAN_LAYERS_MAX)
        return error_set(err, STATUS_TOO_LARGE, "a FastViT of %u layers, at most %d", total,
                         PLAN_LAYERS_MAX);
    if (shape->attending == shape->stages || names->positions[shape->attending]) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "a FastViT whose stage %u attends: supported are those of MobileCLIP",
                     shape->attending + 1);
}

/* Channels of the first stage, and what its MLPs make of them; all others follow. */
static enum status find_widths(struct draft *draft, struct error *err) {
    struct model_fastvit *shape = &draft->info->fastvit;
    struct source weight;
    size_t dims[4] = {0, 0, 1, 1};
    char name[DRAFT_NAME_SIZE];
    snprintf(name, sizeof(name), "%s0.%sfc1.weight", names_of(draft)->stages[0],
             names_of(draft)->mlp);
    enum status status = source_take(&weight, draft->tensors, name, dims, 4, err);
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
    tower->no_ln_end = tower->projected = true;
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
