#include "core/checkpoint/families.h"

#include <stdio.h>

enum { LIST_SIZE = 160 };

static const struct {
    const char *name;
    const char *sign; /* the beginning of tensors' names; NULL: the family loads */
} families[] = {
    {"CLIP with ViT", NULL},
    {"ModifiedResNet", NULL},
    {"ConvNeXt", NULL},
    {"FastViT (MobileCLIP)", NULL},
    {"EVA", NULL},
    {"RoBERTa", NULL},
    {"SigLIP", NULL},
    {"CoCa", NULL},
    {"Chinese-CLIP", NULL},
    /* In the order in which SPEC 7.3 tells them apart. */
    {"a CLIP with an mT5 text tower", "text.transformer.encoder.block."},
    {"a CLIP with an NLLB text tower", "text.transformer.layers."},
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

/* "A, B and C". */
static void list_supported(char out[LIST_SIZE]) {
    size_t used = 0, left = 0;
    for (size_t i = 0; i < FAMILIES; i++) left += !families[i].sign;
    out[0] = 0;
    for (size_t i = 0; i < FAMILIES && used < LIST_SIZE; i++) {
        if (families[i].sign) continue;
        const char *before = !used ? "" : left == 1 ? " and " : ", ";
        used += (size_t)snprintf(out + used, LIST_SIZE - used, "%s%s", before, families[i].name);
        left--;
    }
}

enum status families_refuse(struct error *err, const char *where, const char *what) {
    char list[LIST_SIZE];
    list_supported(list);
    return error_set(err, STATUS_UNSUPPORTED, "%s: %s is not supported; supported are %s", where,
                     what, list);
}

enum status families_check(const struct tensors *tensors, struct error *err) {
    for (size_t i = 0; i < FAMILIES; i++) {
        const char *sign = families[i].sign;
        if (!sign || !tensors_any_with_prefix(tensors, sign)) continue;
        char where[64];
        snprintf(where, sizeof(where), "tensors %s*", sign);
        return families_refuse(err, where, families[i].name);
    }
    return STATUS_OK;
}
