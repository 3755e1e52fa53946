#include "core/blueprint/blueprint_vit.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blueprint/blueprint_pooler.h"
#include "core/blueprint/draft_blocks.h"
#include "core/blueprint/draft_conv.h"
#include "core/towers/positions.h"
#include "core/towers/rope.h"

enum { SIDE_MAX = 512 };

/* The patches of the images that are wanted; the weights' own are `side` by `side`. */
static enum status choose_grid(struct draft *draft, uint32_t side, struct grid *wanted,
                               struct error *err) {
    struct model_info *info = draft->info;
    uint32_t patch = info->patch_size;
    bool own_size = !info->image_size;
    if (own_size) info->image_size = draft->config->image_size;
    if (!info->image_size) info->image_size = side * patch;
    if (!info->image_width) info->image_width = info->image_size;
    *wanted = (struct grid){.rows = info->image_size / patch, .columns = info->image_width / patch};
    uint32_t least = wanted->rows < wanted->columns ? wanted->rows : wanted->columns;
    uint32_t most = wanted->rows < wanted->columns ? wanted->columns : wanted->rows;
    if (!least || most > SIDE_MAX) {
        return error_set(err, STATUS_INVALID,
                         "image size %u makes %u patches of %u pixels a side, 1 to %d are expected",
                         info->image_size, wanted->rows, patch, SIDE_MAX);
    }
    if (info->naming == MODEL_NAMES_HF && own_size && wanted->rows != side) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "config.json says image size %u, the weights are for %u", info->image_size,
                         side * patch);
    }
    return STATUS_OK;
}

enum status blueprint_vit_take_positions(struct draft *draft, size_t width, struct blueprint *out,
                                         struct error *err) {
    struct source *positions = &out->vision.positions;
    size_t dims[2] = {0, width};
    assert(width);
    bool classless = draft->info->no_class_token, bare = draft->names.vision->bare_class;
    bool gridded = classless || bare; /* the table is that of the grid alone */
    enum status status =
        draft_take_table(draft, draft->names.vision->positions, dims, positions, err);
    if (status) return status;
    size_t patches = positions->rows - !gridded;
    uint32_t side = (uint32_t)lround(sqrt((double)patches));
    if (!side || side > SIDE_MAX || (size_t)side * side != patches) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, %sthe square of 1 to %d is expected",
                         draft->names.vision->positions, positions->rows,
                         gridded ? "" : "one more than ", SIDE_MAX);
    }
    struct grid from = {.rows = side, .columns = side}, to;
    status = choose_grid(draft, side, &to, err);
    bool same = to.rows == side && to.columns == side;
    if (status || (same && !bare)) return status;
    size_t rows = !classless + (size_t)to.rows * to.columns;
    float *stored = draft_read_all(positions, err),
          *resized = calloc(1 + (size_t)to.rows * to.columns, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    const float *own = stored + (gridded ? 0 : width);
    float *grid = resized + (classless ? 0 : width);
    if (!gridded) memcpy(resized, stored, width * sizeof(*resized));
    if (same)
        memcpy(grid, own, patches * width * sizeof(*grid));
    else if (draft->info->naming == MODEL_NAMES_HF)
        positions_resize_hf(grid, to, own, from, width);
    else
        positions_resize_open_clip(grid, to, own, from, width);
    free(stored);
    out->computed[BLUEPRINT_VISION_POSITIONS] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = rows, .columns = width};
    return STATUS_OK;
}

/* [width], which timm has below two 1. */
static enum status take_class(struct draft *draft, size_t *width, struct source *out,
                              struct error *err) {
    const char *name = draft->names.vision->class_embedding;
    const struct tensor *tensor = tensors_find(draft->tensors, name);
    size_t dims[3] = {0, 1, 0};
    bool below = tensor && tensor->rank == 3;
    if (below) dims[0] = 1;
    enum status status = source_take(out, draft->tensors, name, dims, below ? 3 : 1, err);
    *width = below ? dims[2] : dims[0];
    draft->info->parameters += *width;
    return status;
}

static enum status take_patch(struct draft *draft, size_t *width, struct blueprint_linear *out,
                              struct error *err) {
    const struct vision_names *names = draft->names.vision;
    size_t dims[4] = {*width, 3, 0, 0};
    enum status status = source_take(&out->weights[0], draft->tensors, names->patch, dims, 4, err);
    if (!status) {
        status = draft_check_stated("patch size", draft->config->patch_size, dims[2], err);
    }
    if (status) return status;
    if (dims[2] != dims[3]) {
        return error_set(err, STATUS_UNPROCESSABLE, "patches of %zu x %zu pixels are not square",
                         dims[2], dims[3]);
    }
    out->parts = 1;
    *width = dims[0];
    draft->info->patch_size = (uint32_t)dims[2];
    draft->info->parameters += (uint64_t)dims[0] * out->weights[0].columns;
    draft->info->patch_bias = names->patch_bias != NULL;
    if (!names->patch_bias) return STATUS_OK;
    return draft_take_vector(draft, names->patch_bias, dims[0], &out->biases[0], err);
}

/* MobileCLIP-B's: two convolutions with BatchNorms, and one with a bias. */
static enum status take_stem(struct draft *draft, size_t width, struct blueprint_conv *out,
                             struct error *err) {
    const struct vision_names *names = draft->names.vision;
    size_t channels = 3;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < MODEL_VIT_STEM && !status; i++) {
        bool last = i + 1 == MODEL_VIT_STEM;
        size_t n = last ? width : width / 4, window = i ? 2 : 4;
        size_t dims[4] = {n, channels, window, window};
        char prefix[DRAFT_NAME_SIZE];
        snprintf(prefix, sizeof(prefix), "%s%u.", names->stem, i);
        status = draft_take_conv(draft, prefix, names->stem_conv, last ? NULL : names->stem_norm,
                                 dims, &out[i], err);
        channels = n;
    }
    draft->info->patch_size = 16;
    draft->info->conv_stem = true;
    return status;
}

static enum status draw_rope(struct draft *draft, struct blueprint *out, struct error *err) {
    struct model_info *info = draft->info;
    struct model_tower *shape = &info->vision;
    shape->rope_side = draft->names.vision->rope_side;
    if (!shape->rope_side) return STATUS_OK;
    if (shape->head_width % 4 != 0) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "heads that are turned are %u wide, a multiple of 4 is expected",
                         shape->head_width);
    }
    return blueprint_vit_draw_rope(out, info, err);
}

enum status blueprint_vit_draw_rope(struct blueprint *out, const struct model_info *info,
                                    struct error *err) {
    struct grid grid = {.rows = info->image_size / info->patch_size,
                        .columns = info->image_width / info->patch_size};
    size_t patches = model_patches(info), head_width = info->vision.head_width;
    float *angles = calloc(patches, head_width * sizeof(*angles));
    if (!angles) return error_set(err, STATUS_NO_MEMORY, "out of memory for angles");
    rope_fill(angles, grid, head_width, info->vision.rope_side);
    out->computed[BLUEPRINT_ROPE] = angles;
    out->vit.rope = (struct source){
        .kind = SOURCE_COMPUTED, .computed = angles, .rows = patches, .columns = head_width};
    return STATUS_OK;
}

/* From the rows of the last block to the embedding. */
static enum status take_exit(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct vision_names *names = draft->names.vision;
    struct model_tower *shape = &draft->info->vision;
    enum status status = STATUS_OK;
    draft->info->image_pooling = draft->config->image_pooling;
    shape->no_ln_end = !names->ln_post;
    if (draft->info->image_pooling == MODEL_IMAGE_ATTENTION && !names->pooler) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the configuration says attentional_pool, but tensor "
                         "visual.attn_pool.query is missing");
    }
    if (names->pooler && !draft->config->found) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "attention pooling (tensor %s) needs a configuration beside the weights",
                         names->pooler->query);
    }
    if (names->pooler) status = blueprint_pooler_draw(draft, out, err);
    if (!status && names->ln_post) {
        status = draft_take_norm(draft, "", names->ln_post, shape->pooled_width,
                                 &out->vision.ln_end, err);
    }
    return status ? status
                  : draft_take_projection(draft, PLAN_VISION, &out->vision.projection, err);
}

enum status blueprint_vit_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct vision_names *names = draft->names.vision;
    struct model_info *info = draft->info;
    size_t width = 0;
    enum status status = STATUS_OK;
    info->no_class_token = !names->class_embedding;
    info->no_ln_pre = draft->config->no_ln_pre || !names->ln_pre;
    if (names->class_embedding) status = take_class(draft, &width, &out->vit.class_embedding, err);
    if (!status) {
        status = names->stem ? take_stem(draft, width, out->vit.stem, err)
                             : take_patch(draft, &width, &out->vit.patch, err);
    }
    if (!status && !info->no_ln_pre) {
        status = draft_take_norm(draft, "", names->ln_pre, width, &out->vit.ln_pre, err);
    }
    if (!status) status = draft_take_blocks(draft, PLAN_VISION, width, &out->vision, err);
    if (!status) status = blueprint_vit_take_positions(draft, width, out, err);
    if (!status) status = draw_rope(draft, out, err);
    return status ? status : take_exit(draft, out, err);
}
