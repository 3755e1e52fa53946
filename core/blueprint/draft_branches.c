#include "core/blueprint/draft_branches.h"

#include <stdio.h>

#include "core/blueprint/draft_conv.h"

bool draft_has(const struct draft *draft, const char *prefix, const char *name) {
    char whole[DRAFT_NAME_SIZE];
    snprintf(whole, sizeof(whole), "%s%s", prefix, name);
    return tensors_any_with_prefix(draft->tensors, whole);
}

/* True when there is such a layer, and not one whose name only begins so. */
static bool has_layer(const struct draft *draft, const char *prefix, const char *layer) {
    char name[48];
    snprintf(name, sizeof(name), "%s.", layer);
    return draft_has(draft, prefix, name);
}

enum status draft_take_branch(struct draft *draft, const char *prefix, const char *layer,
                              const size_t dims[4], struct blueprint_branches *out,
                              struct error *err) {
    char conv[48], norm[48];
    size_t wanted[4] = {dims[0], dims[1], dims[2], dims[3]};
    struct blueprint_branch *branch = &out->list[out->count++];
    snprintf(conv, sizeof(conv), "%s.conv", layer);
    snprintf(norm, sizeof(norm), "%s.bn", layer);
    branch->window = (uint32_t)dims[3];
    return draft_take_conv(draft, prefix, conv, norm, wanted, &branch->conv, err);
}

/* A BatchNorm alone: the way around. */
static enum status take_identity(struct draft *draft, const char *prefix, const char *layer,
                                 size_t n, struct blueprint_branches *out, struct error *err) {
    struct blueprint_branch *branch = &out->list[out->count++];
    return draft_take_batch_norm(draft, prefix, layer, n, &branch->conv, err);
}

enum status draft_take_single(struct draft *draft, const char *prefix, const char *layer,
                              const size_t dims[4], struct blueprint_branches *out,
                              struct error *err) {
    size_t wanted[4] = {dims[0], dims[1], dims[2], dims[3]};
    struct blueprint_branch *branch = &out->list[out->count++];
    branch->window = (uint32_t)dims[3];
    return draft_take_conv(draft, prefix, layer, NULL, wanted, &branch->conv, err);
}

enum status draft_take_branches(struct draft *draft, const struct branch_names *names,
                                const char *prefix, const size_t dims[4],
                                struct blueprint_branches *out, struct error *err) {
    const size_t scale[4] = {dims[0], dims[1], 1, 1};
    if (has_layer(draft, prefix, names->merged))
        return draft_take_single(draft, prefix, names->merged, dims, out, err);
    enum status status = draft_take_branch(draft, prefix, names->window, dims, out, err);
    if (!status && has_layer(draft, prefix, names->scale))
        status = draft_take_branch(draft, prefix, names->scale, scale, out, err);
    if (!status && has_layer(draft, prefix, names->identity))
        status = take_identity(draft, prefix, names->identity, dims[0], out, err);
    return status;
}

enum status draft_take_gamma(struct draft *draft, const struct branch_names *names,
                             const char *prefix, const char *layer, size_t n, struct source *out,
                             struct error *err) {
    char name[DRAFT_NAME_SIZE];
    size_t dims[3] = {n, 1, 1};
    snprintf(name, sizeof(name), "%s%s%s", prefix, layer, names->gamma);
    enum status status = source_take(out, draft->tensors, name, dims, 3, err);
    if (status) return status;
    out->rows = 1;
    out->columns = n;
    draft->info->parameters += n;
    return STATUS_OK;
}

enum status draft_take_mixer(struct draft *draft, const struct branch_names *names,
                             const char *prefix, const size_t dims[4],
                             struct blueprint_branches *out, struct error *err) {
    char below[DRAFT_NAME_SIZE];
    if (has_layer(draft, prefix, names->merged))
        return draft_take_single(draft, prefix, names->merged, dims, out, err);
    snprintf(below, sizeof(below), "%smixer.", prefix);
    out->passes = true;
    enum status status = draft_take_branches(draft, names, below, dims, out, err);
    if (status) return status;
    snprintf(below, sizeof(below), "%snorm.", prefix);
    out->list[out->count].subtracted = true;
    status = take_identity(draft, below, names->identity, dims[0], out, err);
    if (status) return status;
    return draft_take_gamma(draft, names, prefix, "layer_scale", dims[0], &out->scale, err);
}

enum status draft_take_pixels(struct draft *draft, const char *prefix, const char *layer, size_t *n,
                              size_t k, struct blueprint_linear *out, struct error *err) {
    size_t dims[4] = {*n, k, 1, 1};
    struct blueprint_conv conv = {.weight = {.kind = SOURCE_NONE}};
    enum status status = draft_take_conv(draft, prefix, layer, NULL, dims, &conv, err);
    out->weights[0] = conv.weight;
    out->biases[0] = conv.bias;
    out->parts = 1;
    *n = dims[0];
    return status;
}
