#include "core/blueprint/blueprint_pooler.h"

#include "core/kernels/gemm.h"

/* Each has a row in the pass, which has room for WORKSPACE_ROWS at least. */
enum { HEADS_MAX = 256 };

/* The query, [queries, width] or with a 1 in front of it. */
static enum status take_query(struct draft *draft, const char *name, size_t *width,
                              struct source *out, struct error *err) {
    const struct tensor *tensor = tensors_find(draft->tensors, name);
    size_t dims[3] = {1, 0, 0};
    bool deep = tensor && tensor->rank == 3;
    enum status status =
        source_take(out, draft->tensors, name, deep ? dims : dims + 1, deep ? 3 : 2, err);
    if (status) return status;
    *out = (struct source){
        .kind = SOURCE_TENSOR, .tensor = out->tensor, .rows = dims[1], .columns = dims[2]};
    *width = dims[2];
    draft->info->parameters += (uint64_t)dims[1] * dims[2];
    if (*width <= GEMM_K_MAX) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED, "a pooler %zu wide, up to %d are supported", *width,
                     GEMM_K_MAX);
}

static enum status take_rows(struct draft *draft, const char *name, size_t rows, size_t columns,
                             struct blueprint_rows *out, struct error *err) {
    size_t dims[2] = {rows, columns};
    return draft_take_matrix(draft, name, dims, &out->weight, err);
}

/* The rows of q, k and v, whichever way they are stored. */
static enum status take_inputs(struct draft *draft, size_t width, struct blueprint_pooler *out,
                               struct error *err) {
    const struct pooler_names *names = draft->names.vision->pooler;
    size_t from = draft->info->vision.width;
    bool fused = names->in_weight && (!names->q || tensors_find(draft->tensors, names->in_weight));
    enum status status;
    if (fused && from != width) {
        return error_set(
            err, STATUS_UNPROCESSABLE,
            "tensor %s is for rows as wide as the query, %zu, the tower's are %zu wide",
            names->in_weight, width, from);
    }
    if (fused) {
        status = take_rows(draft, names->in_weight, 3 * width, from, &out->q, err);
        out->k = out->v = out->q;
        out->k.first = width;
        out->v.first = 2 * width;
        return status;
    }
    status = take_rows(draft, names->q, width, width, &out->q, err);
    if (!status && names->kv) {
        status = take_rows(draft, names->kv, 2 * width, from, &out->k, err);
        out->v = out->k;
        out->v.first = width;
        return status;
    }
    if (!status) status = take_rows(draft, names->k, width, from, &out->k, err);
    return status ? status : take_rows(draft, names->v, width, from, &out->v, err);
}

static enum status take_biases(struct draft *draft, size_t width, struct source biases[2],
                               struct error *err) {
    const struct pooler_names *names = draft->names.vision->pooler;
    size_t first = names->more_bias ? width : 3 * width;
    enum status status = draft_take_vector(draft, names->in_bias, first, &biases[0], err);
    if (status || !names->more_bias) return status;
    return draft_take_vector(draft, names->more_bias, 2 * width, &biases[1], err);
}

static enum status take_mlp(struct draft *draft, size_t width, struct blueprint_pooler *out,
                            struct error *err) {
    const struct pooler_names *names = draft->names.vision->pooler;
    size_t mlp_width = 0, columns = width;
    if (!names->fc) return STATUS_OK;
    enum status status = draft_take_norm(draft, "", names->ln, width, &out->ln, err);
    if (!status) status = draft_take_linear(draft, "", names->fc, &mlp_width, width, &out->fc, err);
    if (!status && mlp_width > GEMM_K_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED, "an MLP %zu wide, up to %d are supported",
                           mlp_width, GEMM_K_MAX);
    }
    if (!status) {
        status = draft_take_linear(draft, "", names->proj, &columns, mlp_width, &out->proj, err);
    }
    draft->info->pooler.mlp_width = (uint32_t)mlp_width;
    return status;
}

static enum status set_heads(struct draft *draft, size_t width, struct error *err) {
    struct model_info *info = draft->info;
    uint32_t heads = draft->config->pooler_heads;
    if (!heads) heads = info->vision.heads;
    info->pooler.heads = heads;
    if (width % heads == 0 && heads <= HEADS_MAX) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "a pooler of width %zu cannot have %u heads, which must divide it and be at "
                     "most %d",
                     width, heads, HEADS_MAX);
}

enum status blueprint_pooler_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct vision_names *names = draft->names.vision;
    struct blueprint_pooler *pooler = &out->pooler;
    size_t width = 0, from = draft->info->vision.width, columns;
    enum status status = take_query(draft, names->pooler->query, &width, &pooler->query, err);
    if (!status) status = set_heads(draft, width, err);
    if (!status && names->pooler->ln_q) {
        status = draft_take_norm(draft, "", names->pooler->ln_q, width, &pooler->ln_q, err);
    }
    if (!status) status = draft_take_norm(draft, "", names->ln_k, from, &pooler->ln_k, err);
    if (!status) status = take_inputs(draft, width, pooler, err);
    if (!status) status = take_biases(draft, width, pooler->biases, err);
    columns = width;
    if (!status) {
        status =
            draft_take_linear(draft, "", names->pooler->out, &columns, width, &pooler->out, err);
    }
    if (!status) status = take_mlp(draft, width, pooler, err);
    draft->info->vision.pooled_width = (uint32_t)width;
    draft->info->image_pooling = MODEL_IMAGE_ATTENTION;
    return status;
}
