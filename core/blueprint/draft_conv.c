#include "core/blueprint/draft_conv.h"

#include <stdio.h>

enum status draft_take_batch_norm(struct draft *draft, const char *prefix, const char *layer,
                                  size_t n, struct blueprint_conv *out, struct error *err) {
    const struct {
        const char *name;
        struct source *to;
    } parts[] = {{"weight", &out->gain},
                 {"bias", &out->bias},
                 {"running_mean", &out->mean},
                 {"running_var", &out->variance}};
    char name[DRAFT_NAME_SIZE];
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !status; i++) {
        snprintf(name, sizeof(name), "%s%s.%s", prefix, layer, parts[i].name);
        status = draft_take_vector(draft, name, n, parts[i].to, err);
    }
    return status;
}

enum status draft_take_conv(struct draft *draft, const char *prefix, const char *layer,
                            const char *norm, size_t dims[4], struct blueprint_conv *out,
                            struct error *err) {
    char name[DRAFT_NAME_SIZE];
    snprintf(name, sizeof(name), "%s%s.weight", prefix, layer);
    enum status status = source_take(&out->weight, draft->tensors, name, dims, 4, err);
    if (status) return status;
    draft->info->parameters += (uint64_t)out->weight.rows * out->weight.columns;
    if (norm) return draft_take_batch_norm(draft, prefix, norm, dims[0], out, err);
    snprintf(name, sizeof(name), "%s%s.bias", prefix, layer);
    return draft_take_vector(draft, name, dims[0], &out->bias, err);
}
