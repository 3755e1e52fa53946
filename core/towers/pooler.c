#include "core/towers/pooler.h"

void pooler_place(struct pooler *out, struct walk *walk, const struct model_info *info) {
    const struct model_pooler *shape = &info->pooler;
    size_t from = info->vision.width, width = info->vision.pooled_width;
    walk_norm(walk, from, &out->ln_k);
    walk_linear(walk, MODEL_FP32, shape->heads, from, false, &out->scores);
    walk_linear(walk, MODEL_FP32, width, from, true, &out->value);
    walk_linear(walk, MODEL_FP32, width, width, true, &out->out);
    if (!shape->mlp_width) return;
    walk_norm(walk, width, &out->ln);
    walk_linear(walk, MODEL_FP32, shape->mlp_width, width, true, &out->fc);
    walk_linear(walk, MODEL_FP32, width, shape->mlp_width, true, &out->proj);
}
