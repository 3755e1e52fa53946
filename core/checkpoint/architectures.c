#include "core/checkpoint/architectures.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct architecture architectures[] = {
    {"ViT-S-32-alt", 256, 224, 32, 384, 12, 6, 1536, 256, 10, 4},
    {"ViT-S-32", 384, 224, 32, 384, 12, 6, 1536, 384, 12, 6},
    {"ViT-S-16-alt", 256, 224, 16, 384, 12, 6, 1536, 256, 10, 4},
    {"ViT-S-16", 384, 224, 16, 384, 12, 6, 1536, 384, 12, 6},
    {"ViT-M-32-alt", 384, 224, 32, 512, 12, 8, 2048, 384, 12, 6},
    {"ViT-M-32", 512, 224, 32, 512, 12, 8, 2048, 512, 12, 8},
    {"ViT-M-16", 512, 224, 16, 512, 12, 8, 2048, 512, 12, 8},
    {"ViT-M-16-alt", 384, 224, 16, 512, 12, 8, 2048, 384, 12, 6}, /* with LayerScale */
    {"ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 512, 12, 8},
    {"ViT-B-32-plus-256", 640, 256, 32, 896, 12, 14, 3584, 640, 12, 10},
    {"ViT-B-16", 512, 224, 16, 768, 12, 12, 3072, 512, 12, 8},
    {"ViT-B-16-plus", 640, 224, 16, 896, 12, 14, 3584, 640, 12, 10},
    {"ViT-L-16", 768, 224, 16, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-L-14", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-H-16", 1024, 224, 16, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-H-14", 1024, 224, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-g-14", 1024, 224, 14, 1408, 40, 16, 6144, 1024, 24, 16},
    {"ViT-bigG-14", 1280, 224, 14, 1664, 48, 16, 8192, 1280, 32, 20},
    {"ViT-e-14", 1280, 224, 14, 1792, 56, 16, 15360, 1280, 36, 20},
    {"ViT-L-14-CLIPA", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-H-14-CLIPA", 1024, 224, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-bigG-14-CLIPA", 1280, 224, 14, 1664, 48, 16, 8192, 1280, 32, 20},
    {"ViT-L-14-worldwide", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-H-14-worldwide", 1024, 224, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-bigG-14-worldwide", 1280, 224, 14, 1664, 48, 16, 8192, 1280, 32, 20},
    {"roberta-ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 768, 12, 12},
    {"xlm-roberta-base-ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 768, 12, 12},
    {"xlm-roberta-large-ViT-H-14", 1024, 224, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"TinyCLIP-ViT-39M-16-Text-19M", 512, 224, 16, 512, 12, 8, 2048, 512, 6, 8},
    {"TinyCLIP-ViT-40M-32-Text-19M", 512, 224, 32, 512, 12, 8, 2048, 512, 6, 8},
    {"TinyCLIP-ViT-61M-32-Text-29M", 512, 224, 32, 640, 12, 10, 2560, 512, 9, 8},
    {"TinyCLIP-ViT-8M-16-Text-3M", 512, 224, 16, 256, 10, 4, 1024, 256, 3, 4},
    /* The shapes of the automatic ones are in their weights alone: pruning has left layers of
     * different widths. These have layers alike, and as many weights as the names say. */
    {"TinyCLIP-auto-ViT-22M-32-Text-10M", 512, 224, 32, 384, 12, 6, 1536, 256, 12, 4},
    {"TinyCLIP-auto-ViT-45M-32-Text-18M", 512, 224, 32, 576, 12, 9, 1920, 384, 10, 6},
    {"TinyCLIP-auto-ViT-63M-32-Text-31M", 512, 224, 32, 640, 12, 10, 2560, 512, 10, 8},
    {"EVA01-g-14", 1024, 224, 14, 1408, 40, 16, 6144, 768, 12, 12},
    {"EVA01-g-14-plus", 1024, 224, 14, 1408, 40, 16, 6144, 1024, 24, 16},
    {"EVA02-B-16", 512, 224, 16, 768, 12, 12, 2048, 512, 12, 8},
    {"EVA02-L-14", 768, 224, 14, 1024, 24, 16, 2730, 768, 12, 12},
    {"EVA02-E-14", 1024, 224, 14, 1792, 64, 16, 15360, 1024, 24, 16},
    {"EVA02-E-14-plus", 1024, 224, 14, 1792, 64, 16, 15360, 1280, 32, 20},
    {"RN50", 1024, 224, 32, 2048, 17, 32, 0, 512, 12, 8},
    {"RN101", 512, 224, 32, 2048, 34, 32, 0, 512, 12, 8},
    {"RN50x4", 640, 288, 32, 2560, 27, 40, 0, 640, 12, 10},
    {"RN50x16", 768, 384, 32, 3072, 41, 48, 0, 768, 12, 12},
    {"RN50x64", 1024, 448, 32, 4096, 65, 64, 0, 1024, 12, 16},
    {"TinyCLIP-ResNet-19M-Text-19M", 1024, 224, 32, 1408, 17, 22, 0, 512, 6, 8},
    {"TinyCLIP-ResNet-30M-Text-29M", 1024, 224, 32, 1792, 17, 28, 0, 512, 9, 8},
    {"convnext_tiny", 1024, 224, 32, 768, 18, 0, 3072, 512, 12, 8},
    {"convnext_small", 512, 224, 32, 768, 36, 0, 3072, 512, 12, 8},
    {"convnext_base", 512, 224, 32, 1024, 36, 0, 4096, 512, 12, 8},
    {"convnext_base_w", 640, 256, 32, 1024, 36, 0, 4096, 640, 12, 10},
    {"convnext_large", 768, 224, 32, 1536, 36, 0, 6144, 768, 12, 12},
    {"convnext_large_d", 768, 256, 32, 1536, 36, 0, 6144, 768, 16, 12},
    {"convnext_xlarge", 1024, 256, 32, 2048, 36, 0, 8192, 1024, 20, 16},
    {"convnext_xxlarge", 1024, 256, 32, 3072, 40, 0, 12288, 1024, 24, 16},
    {"MobileCLIP-S0", 512, 256, 32, 512, 23, 16, 1536, 512, 6, 8},
    {"MobileCLIP-S1", 512, 256, 32, 512, 43, 16, 1536, 512, 12, 8},
    {"MobileCLIP-S2", 512, 256, 32, 640, 47, 20, 1920, 512, 12, 8},
    {"MobileCLIP-B", 512, 224, 16, 768, 12, 12, 3072, 512, 12, 8},
    {"MobileCLIP2-S0", 512, 256, 32, 512, 23, 16, 1536, 512, 12, 8},
    {"MobileCLIP2-S2", 512, 256, 32, 640, 47, 20, 1920, 512, 12, 8},
    {"MobileCLIP2-B", 512, 224, 16, 768, 12, 12, 3072, 512, 12, 8},
    {"MobileCLIP2-S3", 768, 256, 32, 1536, 48, 48, 6144, 768, 12, 12},
    {"MobileCLIP2-S4", 768, 256, 32, 2048, 50, 64, 8192, 768, 12, 12},
    {"MobileCLIP2-L-14", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-B-16-SigLIP", 768, 224, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP-i18n-256", 768, 256, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-L-16-SigLIP-256", 1024, 256, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-SO400M-14-SigLIP", 1152, 224, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP-i18n-256", 1152, 256, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-B-32-SigLIP2-256", 768, 256, 32, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP2", 768, 224, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-L-16-SigLIP2-256", 1024, 256, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-SO400M-14-SigLIP2", 1152, 224, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP2-256", 1152, 256, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-gopt-16-SigLIP2-256", 1536, 256, 16, 1536, 40, 16, 6144, 1152, 27, 16},
    {"coca_ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 512, 12, 8},
    {"coca_ViT-L-14", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"coca_base", 512, 288, 18, 768, 12, 12, 3072, 768, 12, 12},
    {"coca_roberta-ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 768, 12, 12},
};

const size_t architectures_count = sizeof(architectures) / sizeof(architectures[0]);

static const struct {
    const char *name;
    struct model_resnet resnet;
} resnets[] = {
    {"RN50", {64, {3, 4, 6, 3}}},
    {"RN101", {64, {3, 4, 23, 3}}},
    {"RN50x4", {80, {4, 6, 10, 6}}},
    {"RN50x16", {96, {6, 8, 18, 8}}},
    {"RN50x64", {128, {3, 15, 36, 10}}},
    {"TinyCLIP-ResNet-19M-Text-19M", {44, {3, 4, 6, 3}}},
    {"TinyCLIP-ResNet-30M-Text-29M", {56, {3, 4, 6, 3}}},
};

const struct model_resnet *architecture_resnet(const struct architecture *architecture) {
    for (size_t i = 0; i < sizeof(resnets) / sizeof(resnets[0]); i++) {
        if (!strcmp(resnets[i].name, architecture->name)) return &resnets[i].resnet;
    }
    return NULL;
}

static const struct {
    const char *name; /* what those begin with that have this trunk; the first counts */
    struct model_convnext convnext;
} convnexts[] = {
    {"convnext_tiny", {{96, 192, 384, 768}, {3, 3, 9, 3}, 0}},
    {"convnext_small", {{96, 192, 384, 768}, {3, 3, 27, 3}, 0}},
    {"convnext_base", {{128, 256, 512, 1024}, {3, 3, 27, 3}, 0}},
    {"convnext_large_d", {{192, 384, 768, 1536}, {3, 3, 27, 3}, 1536}},
    {"convnext_large", {{192, 384, 768, 1536}, {3, 3, 27, 3}, 0}},
    {"convnext_xlarge", {{256, 512, 1024, 2048}, {3, 3, 27, 3}, 0}},
    {"convnext_xxlarge", {{384, 768, 1536, 3072}, {3, 4, 30, 3}, 0}},
};

const struct model_convnext *architecture_convnext(const struct architecture *architecture) {
    for (size_t i = 0; i < sizeof(convnexts) / sizeof(convnexts[0]); i++) {
        const char *name = convnexts[i].name;
        if (!strncmp(name, architecture->name, strlen(name))) return &convnexts[i].convnext;
    }
    return NULL;
}

static const struct {
    const char *name;
    struct model_fastvit fastvit;
} fastvits[] = {
    {"MobileCLIP-S0", {64, 4, {2, 6, 10, 2}, 3, 3, {0, 0, 64, 128}, 64, false}},
    {"MobileCLIP-S1", {64, 4, {4, 12, 20, 4}, 3, 3, {0, 0, 64, 128}, 64, false}},
    {"MobileCLIP-S2", {80, 4, {4, 12, 24, 4}, 3, 3, {0, 0, 80, 160}, 80, false}},
    {"MobileCLIP2-S2", {80, 4, {4, 12, 24, 4}, 3, 3, {0, 0, 80, 160}, 80, false}},
    {"MobileCLIP2-S0", {64, 4, {2, 6, 10, 2}, 3, 3, {0, 0, 64, 128}, 64, false}},
    {"MobileCLIP2-S3", {96, 5, {2, 12, 24, 4, 2}, 3, 4, {0}, 192, true}},
    {"MobileCLIP2-S4", {128, 5, {2, 12, 24, 4, 4}, 3, 4, {0}, 256, true}},
};

const struct model_fastvit *architecture_fastvit(const struct architecture *architecture) {
    for (size_t i = 0; i < sizeof(fastvits) / sizeof(fastvits[0]); i++) {
        if (!strcmp(fastvits[i].name, architecture->name)) return &fastvits[i].fastvit;
    }
    return NULL;
}

/* ---- names ---- */

static const struct architecture *find_row(const char *name) {
    for (size_t i = 0; i < architectures_count; i++) {
        if (!strcmp(architectures[i].name, name)) return &architectures[i];
    }
    return NULL;
}

/* The characters before a size of images, three digits behind '-' or '_', and this; all of them
 * and 0 when there is none. */
static size_t find_size(uint32_t *image_size, const char *name) {
    enum { DIGITS = 3 };
    size_t size = strlen(name);
    *image_size = 0;
    if (size <= DIGITS + 1 || !strchr("-_", name[size - DIGITS - 1])) return size;
    for (size_t i = size - DIGITS; i < size; i++) {
        if (!isdigit((unsigned char)name[i])) {
            *image_size = 0;
            return size;
        }
        *image_size = *image_size * 10 + (uint32_t)(name[i] - '0');
    }
    return size - DIGITS - 1;
}

static char separator_of(const struct architecture *row) {
    return architecture_convnext(row) ? '_' : '-';
}

/* Towers of convolutions halve the sides five times; ViTs leave out what fills no patch. */
static bool takes_size(const struct architecture *row, uint32_t image_size) {
    enum { STEP = 32 };
    bool convolutions =
        architecture_resnet(row) || architecture_convnext(row) || architecture_fastvit(row);
    return image_size >= row->patch_size && (!convolutions || image_size % STEP == 0);
}

bool architecture_named(struct architecture *out, const char *name) {
    const struct architecture *same = find_row(name);
    if (same) {
        *out = *same;
        return true;
    }
    uint32_t image_size, own;
    size_t stem = find_size(&image_size, name);
    for (size_t i = 0; i < architectures_count && name[stem]; i++) {
        const struct architecture *row = &architectures[i];
        if (find_size(&own, row->name) != stem || strncmp(row->name, name, stem) != 0 ||
            name[stem] != separator_of(row) || !takes_size(row, image_size))
            continue;
        *out = *row;
        out->image_size = image_size;
        return true;
    }
    return false;
}

void architecture_print(char *out, size_t size, const struct architecture *architecture) {
    const char *name = architecture->name;
    const struct architecture *row = find_row(name);
    uint32_t own;
    if (!row || row->image_size == architecture->image_size)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "%.*s%c%u", (int)find_size(&own, name), name, separator_of(row),
                 architecture->image_size);
}
