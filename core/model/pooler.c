#include "core/model/pooler.h"

/* All but the scores in the precision of the last projection: there is one row of each image
 * only, whose errors nothing dampens. */
void pooler_place(struct pooler *out, struct walk *walk, const struct model_info *info,
                  const struct plan *plan) {
    const struct model_pooler *shape = &info->pooler;
    size_t from = info->vision.width, width = info->vision.pooled_width;
    uint8_t precision = plan->projection[PLAN_VISION];
    walk_norm(walk, from, &out->ln_k);
    walk_linear(walk, MODEL_FP32, shape->heads, from, false, &out->scores);
    walk_linear(walk, precision, width, from, true, &out->value);
    walk_linear(walk, precision, width, width, true, &out->out);
    if (!shape->mlp_width) return;
    walk_norm(walk, width, &out->ln);
    walk_linear(walk, precision, shape->mlp_width, width, true, &out->fc);
    walk_linear(walk, precision, width, shape->mlp_width, true, &out->proj);
}
