#include "core/model/blueprint_vit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/blueprint_pooler.h"
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

/* [tokens, width], or with a 1 in front of it. */
static enum status take_positions(struct draft *draft, size_t width, struct source *out,
                                  struct error *err) {
    const char *name = draft->names.vision->positions;
    const struct tensor *tensor = tensors_find(draft->tensors, name);
    size_t dims[3] = {1, 0, width};
    bool deep = tensor && tensor->rank == 3;
    enum status status =
        source_take(out, draft->tensors, name, deep ? dims : dims + 1, deep ? 3 : 2, err);
    if (status) return status;
    out->rows = dims[1];
    out->columns = width;
    draft->info->parameters += (uint64_t)dims[1] * width;
    return STATUS_OK;
}

enum status blueprint_vit_take_positions(struct draft *draft, size_t width, struct blueprint *out,
                                         struct error *err) {
    struct source *positions = &out->vision.positions;
    bool classless = draft->info->no_class_token;
    enum status status = take_positions(draft, width, positions, err);
    if (status) return status;
    size_t patches = positions->rows - !classless;
    uint32_t side = (uint32_t)lround(sqrt((double)patches));
    if (!side || side > SIDE_MAX || (size_t)side * side != patches) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, %sthe square of 1 to %d is expected",
                         draft->names.vision->positions, positions->rows,
                         classless ? "" : "one more than ", SIDE_MAX);
    }
    struct grid from = {.rows = side, .columns = side}, to;
    status = choose_grid(draft, side, &to, err);
    if (status || (to.rows == side && to.columns == side)) return status;
    size_t rows = !classless + (size_t)to.rows * to.columns;
    float *stored = draft_read_all(positions, err),
          *resized = calloc(rows, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    size_t kept = classless ? 0 : width;
    memcpy(resized, stored, kept * sizeof(*resized));
    if (draft->info->naming == MODEL_NAMES_HF)
        positions_resize_hf(resized + kept, to, stored + kept, from, width);
    else
        positions_resize_open_clip(resized + kept, to, stored + kept, from, width);
    free(stored);
    out->computed[0] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = rows, .columns = width};
    return STATUS_OK;
}

/* The convolution that makes patches, with its bias if it has one. */
static enum status take_patch(struct draft *draft, size_t *width, struct blueprint_vit *out,
                              struct error *err) {
    const char *name = draft->names.vision->patch;
    char weight[DRAFT_NAME_SIZE], bias[DRAFT_NAME_SIZE];
    size_t patch[4] = {*width, 3, 0, 0};
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    enum status status = source_take(&out->patch.weights[0], draft->tensors, weight, patch, 4, err);
    if (!status)
        status = draft_check_stated("patch size", draft->config->patch_size, patch[2], err);
    if (status) return status;
    if (patch[2] != patch[3]) {
        return error_set(err, STATUS_UNPROCESSABLE, "patches of %zu x %zu pixels are not square",
                         patch[2], patch[3]);
    }
    *width = patch[0];
    out->patch.parts = 1;
    draft->info->patch_size = (uint32_t)patch[2];
    draft->info->parameters += (uint64_t)*width * out->patch.weights[0].columns;
    draft->info->patch_bias = tensors_find(draft->tensors, bias) != NULL;
    if (!draft->info->patch_bias) return STATUS_OK;
    return draft_take_vector(draft, bias, *width, &out->patch.biases[0], err);
}

/* What the patches begin with, up to the blocks. */
static enum status take_entrance(struct draft *draft, size_t *width, struct blueprint_vit *out,
                                 struct error *err) {
    const struct vision_names *names = draft->names.vision;
    struct model_info *info = draft->info;
    size_t dims[1] = {0};
    enum status status = STATUS_OK;
    info->no_class_token = !names->class_embedding;
    info->no_ln_pre = draft->config->no_ln_pre || !names->ln_pre;
    if (names->class_embedding) {
        status = source_take(&out->class_embedding, draft->tensors, names->class_embedding, dims, 1,
                             err);
        info->parameters += dims[0];
    }
    *width = dims[0];
    if (!status) status = take_patch(draft, width, out, err);
    if (status || info->no_ln_pre) return status;
    return draft_take_norm(draft, "", names->ln_pre, *width, &out->ln_pre, err);
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
    if (names->pooler) status = blueprint_pooler_draw(draft, out, err);
    if (!status && names->ln_post) {
        status = draft_take_norm(draft, "", names->ln_post, shape->pooled_width,
                                 &out->vision.ln_end, err);
    }
    return status ? status
                  : draft_take_projection(draft, PLAN_VISION, &out->vision.projection, err);
}

enum status blueprint_vit_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    size_t width;
    enum status status = take_entrance(draft, &width, &out->vit, err);
    if (!status) status = draft_take_blocks(draft, PLAN_VISION, width, &out->vision, err);
    if (!status) status = blueprint_vit_take_positions(draft, width, out, err);
    return status ? status : take_exit(draft, out, err);
}
