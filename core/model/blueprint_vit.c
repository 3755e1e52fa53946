#include "core/model/blueprint_vit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/draft_blocks.h"
#include "core/model/positions.h"

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
    size_t dims[2] = {0, width};
    struct source *positions = &out->vision.positions;
    enum status status =
        draft_take_matrix(draft, draft->names.vision->positions, dims, positions, err);
    if (status) return status;
    uint32_t side = (uint32_t)lround(sqrt((double)(dims[0] - 1)));
    if (!side || side > SIDE_MAX || (size_t)side * side + 1 != dims[0]) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, one more than the square of 1 to %d is expected",
                         draft->names.vision->positions, dims[0], SIDE_MAX);
    }
    struct grid from = {.rows = side, .columns = side}, to;
    status = choose_grid(draft, side, &to, err);
    if (status || (to.rows == side && to.columns == side)) return status;
    size_t rows = 1 + (size_t)to.rows * to.columns;
    float *stored = draft_read_all(positions, err),
          *resized = calloc(rows, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    memcpy(resized, stored, width * sizeof(*resized));
    if (draft->info->naming == MODEL_NAMES_HF)
        positions_resize_hf(resized + width, to, stored + width, from, width);
    else
        positions_resize_open_clip(resized + width, to, stored + width, from, width);
    free(stored);
    out->computed[0] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = rows, .columns = width};
    return STATUS_OK;
}

enum status blueprint_vit_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct vision_names *names = draft->names.vision;
    const struct model_config *config = draft->config;
    size_t width[1] = {0}, patch[4] = {0, 3, 0, 0};
    enum status status = source_take(&out->vit.class_embedding, draft->tensors,
                                     names->class_embedding, width, 1, err);
    if (status) return status;
    patch[0] = width[0];
    status = source_take(&out->vit.patch.weights[0], draft->tensors, names->patch, patch, 4, err);
    if (!status) status = draft_check_stated("patch size", config->patch_size, patch[2], err);
    if (status) return status;
    if (patch[2] != patch[3]) {
        return error_set(err, STATUS_UNPROCESSABLE, "patches of %zu x %zu pixels are not square",
                         patch[2], patch[3]);
    }
    out->vit.patch.parts = 1;
    draft->info->patch_size = (uint32_t)patch[2];
    draft->info->parameters += width[0] + (uint64_t)width[0] * out->vit.patch.weights[0].columns;
    draft->info->no_ln_pre = config->no_ln_pre;
    draft->info->image_pooling = config->image_pooling;
    if (!config->no_ln_pre) {
        status = draft_take_norm(draft, "", names->ln_pre, width[0], &out->vit.ln_pre, err);
    }
    if (!status) {
        status = draft_take_blocks(draft, PLAN_VISION, width[0], &out->vision, err);
    }
    if (!status) status = blueprint_vit_take_positions(draft, width[0], out, err);
    if (!status) {
        status = draft_take_norm(draft, "", names->ln_post, width[0], &out->vision.ln_end, err);
    }
    if (!status) {
        status = draft_take_projection(draft, PLAN_VISION, &out->vision.projection, err);
    }
    return status;
}
