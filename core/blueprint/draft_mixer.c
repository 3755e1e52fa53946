#include "core/blueprint/draft_mixer.h"

#include <stdio.h>

#include "core/blueprint/draft_branches.h"
#include "core/kernels/gemm.h"

enum { WINDOW_MAX = 255 }; /* tokens */

bool draft_mixer_is(const struct draft *draft, const struct branch_names *names,
                    const char *prefix) {
    return names && draft_has(draft, prefix, "token_mixer.");
}

/* All windows of a tower are as wide as the first. */
static enum status find_window(struct draft *draft, const char *mlp, struct model_tower *shape,
                               struct error *err) {
    struct source weight;
    size_t dims[4] = {shape->width, 1, 1, 0};
    char name[DRAFT_NAME_SIZE];
    if (shape->token_window) return STATUS_OK;
    snprintf(name, sizeof(name), "%sconv.conv.weight", mlp);
    enum status status = source_take(&weight, draft->tensors, name, dims, 4, err);
    if (status) return status;
    shape->token_window = (uint32_t)dims[3];
    if (dims[3] % 2 && dims[3] <= WINDOW_MAX) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "a convolution over %zu tokens: odd numbers up to %d are supported", dims[3],
                     WINDOW_MAX);
}

static enum status take_mlp(struct draft *draft, const char *mlp, const size_t window[4],
                            struct blueprint_block *out, uint32_t *mlp_width, struct error *err) {
    size_t width = window[0], columns = 0;
    enum status status = draft_take_branch(draft, mlp, "conv", window, &out->look, err);
    if (!status) status = draft_take_pixels(draft, mlp, "fc1", &columns, width, &out->fc, err);
    if (!status && columns > GEMM_K_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED, "an MLP %zu wide, up to %d are supported",
                           columns, GEMM_K_MAX);
    }
    *mlp_width = (uint32_t)columns;
    return status ? status : draft_take_pixels(draft, mlp, "fc2", &width, columns, &out->proj, err);
}

enum status draft_mixer_take(struct draft *draft, const struct branch_names *names,
                             const char *prefix, struct model_tower *shape,
                             struct blueprint_block *out, uint32_t *mlp_width, struct error *err) {
    char mixer[96], mlp[96];
    snprintf(mixer, sizeof(mixer), "%stoken_mixer.", prefix);
    snprintf(mlp, sizeof(mlp), "%sconvffn.", prefix);
    enum status status = find_window(draft, mlp, shape, err);
    if (status) return status;
    const size_t window[4] = {shape->width, 1, 1, shape->token_window};
    status = draft_take_mixer(draft, names, mixer, window, &out->mix, err);
    if (!status) status = take_mlp(draft, mlp, window, out, mlp_width, err);
    if (status) return status;
    return draft_take_gamma(draft, names, prefix, "layer_scale", shape->width, &out->proj.scale,
                            err);
}
