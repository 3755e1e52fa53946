#include "core/model/info.h"

#include <string.h>

const char *model_activation_name(enum model_activation activation) {
    static const char *const names[] = {"quick_gelu", "gelu", "gelu_tanh"};
    return names[activation];
}

static const char *const precisions[] = {"fp32", "bf16", "int8"};

const char *model_precision_name(enum model_precision precision) {
    return precisions[precision];
}

bool model_precision_parse(enum model_precision *out, const char *name) {
    for (size_t i = 0; i < sizeof(precisions) / sizeof(precisions[0]); i++) {
        if (strcmp(precisions[i], name) != 0) continue;
        *out = (enum model_precision)i;
        return true;
    }
    return false;
}

size_t model_patches(const struct model_info *info) {
    if (!info->patch_size) return 0;
    size_t rows = info->image_size / info->patch_size,
           columns = info->image_width / info->patch_size;
    return rows * columns;
}
