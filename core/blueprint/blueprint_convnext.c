#include "core/blueprint/blueprint_convnext.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/blueprint/draft_conv.h"

enum {
    STRIDE = 32,        /* pixels a side of what one pixel of the last map stands for */
    SIDE_MAX = 1 << 14, /* pixels */
    XXLARGE = 384,      /* the width of the one whose LayerNorms have another epsilon */
};

#define TRUNK "visual.trunk."
#define HEAD "visual.head."

/* ---- weights ---- */

static enum status take_window(struct draft *draft, const char *prefix, size_t width,
                               struct blueprint_convnext_block *out, struct error *err) {
    size_t dims[4] = {width, 1, CONVNEXT_WINDOW, CONVNEXT_WINDOW};
    struct blueprint_conv window = {.weight = {.kind = SOURCE_NONE}};
    enum status status = draft_take_conv(draft, prefix, "conv_dw", NULL, dims, &window, err);
    out->window = window.weight;
    out->window_bias = window.bias;
    return status;
}

static enum status take_halving(struct draft *draft, uint32_t stage,
                                struct blueprint_convnext_block *out, struct error *err) {
    const uint32_t *widths = draft->info->convnext.widths;
    size_t dims[4] = {widths[stage], widths[stage - 1], 2, 2};
    char prefix[48];
    snprintf(prefix, sizeof(prefix), TRUNK "stages.%u.", stage);
    enum status status =
        draft_take_norm(draft, prefix, "downsample.0", widths[stage - 1], &out->halve_norm, err);
    return status ? status
                  : draft_take_conv(draft, prefix, "downsample.1", NULL, dims, &out->halve, err);
}

static enum status take_block(struct draft *draft, uint32_t number,
                              struct blueprint_convnext_block *out, struct error *err) {
    const struct model_convnext *shape = &draft->info->convnext;
    bool begins;
    uint32_t stage = convnext_stage_of(shape, number, &begins), index = number;
    for (uint32_t i = 0; i < stage; i++) index -= shape->blocks[i];
    size_t width = shape->widths[stage], expanded = CONVNEXT_EXPANSION * width;
    char prefix[48], gamma[DRAFT_NAME_SIZE];
    snprintf(prefix, sizeof(prefix), TRUNK "stages.%u.blocks.%u.", stage, index);
    snprintf(gamma, sizeof(gamma), "%sgamma", prefix);
    enum status status = STATUS_OK;
    if (begins && stage) status = take_halving(draft, stage, out, err);
    if (!status) status = take_window(draft, prefix, width, out, err);
    if (!status) status = draft_take_norm(draft, prefix, "norm", width, &out->norm, err);
    if (!status)
        status = draft_take_linear(draft, prefix, "mlp.fc1", &expanded, width, &out->fc, err);
    if (!status)
        status = draft_take_linear(draft, prefix, "mlp.fc2", &width, expanded, &out->proj, err);
    if (status || !tensors_find(draft->tensors, gamma)) return status;
    return draft_take_vector(draft, gamma, width, &out->proj.scale, err);
}

/* One product, or two with a GELU between them; the last one without bias. */
static enum status take_head(struct draft *draft, struct blueprint *out, struct error *err) {
    struct model_info *info = draft->info;
    size_t width = info->vision.width, hidden = 0, dim = draft->config->embed_dim;
    const char *last = HEAD "proj.weight";
    enum status status = STATUS_OK;
    if (tensors_any_with_prefix(draft->tensors, HEAD "mlp.")) {
        last = HEAD "mlp.fc2.weight";
        status =
            draft_take_linear(draft, HEAD, "mlp.fc1", &hidden, width, &out->convnext.head, err);
        info->convnext.hidden = (uint32_t)hidden;
        width = hidden;
    }
    if (status) return status;
    status = draft_take_part(draft, last, NULL, &dim, width, &out->vision.projection, err);
    info->vision.projected = true;
    info->embed_dim = (uint32_t)dim;
    return status;
}

/* ---- the shape ---- */

static uint32_t count_blocks(const struct draft *draft, uint32_t stage) {
    char prefix[48];
    snprintf(prefix, sizeof(prefix), TRUNK "stages.%u.blocks.", stage);
    return draft_count(draft, prefix, PLAN_LAYERS_MAX);
}

static enum status count_stages(struct draft *draft, struct error *err) {
    struct model_convnext *shape = &draft->info->convnext;
    uint32_t total = 0;
    for (uint32_t i = 0; i < MODEL_STAGES; i++) {
        struct source bias;
        size_t width[1] = {0};
        char name[64];
        snprintf(name, sizeof(name), TRUNK "stages.%u.blocks.0.norm.bias", i);
        enum status status = source_take(&bias, draft->tensors, name, width, 1, err);
        if (status) return status;
        shape->widths[i] = (uint32_t)width[0];
        shape->blocks[i] = count_blocks(draft, i);
        total += shape->blocks[i];
    }
    draft->info->vision.layers = total;
    if (total <= PLAN_LAYERS_MAX) return STATUS_OK;
    return error_set(err, STATUS_TOO_LARGE, "a ConvNeXt of %u blocks, at most %d", total,
                     PLAN_LAYERS_MAX);
}

static enum status set_size(const struct draft *draft, struct error *err) {
    struct model_info *info = draft->info;
    if (!info->image_size) info->image_size = draft->config->image_size;
    if (!info->image_size) info->image_size = 224;
    if (!info->image_width) info->image_width = info->image_size;
    bool fits = info->image_size % STRIDE == 0 && info->image_width % STRIDE == 0;
    if (fits && info->image_size <= SIDE_MAX && info->image_width <= SIDE_MAX) return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "image size %u x %u: a ConvNeXt takes multiples of %d pixels up to %d",
                     info->image_width, info->image_size, STRIDE, SIDE_MAX);
}

static enum status set_shape(struct draft *draft, struct error *err) {
    struct model_info *info = draft->info;
    enum status status = count_stages(draft, err);
    if (status) return status;
    info->patch_size = STRIDE;
    info->vision.width = info->vision.pooled_width = info->convnext.widths[MODEL_STAGES - 1];
    info->vision.mlp_width = CONVNEXT_EXPANSION * info->vision.width;
    info->vision.activation = MODEL_GELU_ERF;
    info->vision.layer_norm_eps = info->convnext.widths[0] == XXLARGE ? 1e-5f : 1e-6f;
    if (draft->config->found) info->vision.layer_norm_eps = draft->config->vision.layer_norm_eps;
    return set_size(draft, err);
}

enum status blueprint_convnext_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    struct blueprint_convnext *convnext = &out->convnext;
    enum status status = set_shape(draft, err);
    if (status) return status;
    size_t width = draft->info->convnext.widths[0];
    size_t dims[4] = {width, 3, CONVNEXT_PATCH, CONVNEXT_PATCH};
    uint32_t blocks = draft->info->vision.layers;
    convnext->blocks = calloc(blocks, sizeof(*convnext->blocks));
    if (!convnext->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the blocks");
    status = draft_take_conv(draft, TRUNK, "stem.0", NULL, dims, &convnext->stem, err);
    if (!status) status = draft_take_norm(draft, TRUNK, "stem.1", width, &convnext->stem_norm, err);
    for (uint32_t i = 0; i < blocks && !status; i++) {
        status = take_block(draft, i, &convnext->blocks[i], err);
    }
    if (!status) {
        status = draft_take_norm(draft, TRUNK, "head.norm", draft->info->vision.width,
                                 &out->vision.ln_end, err);
    }
    return status ? status : take_head(draft, out, err);
}
