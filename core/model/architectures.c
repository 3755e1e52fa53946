#include "core/model/architectures.h"

#include <string.h>

const struct architecture architectures[] = {
    {"ViT-S-32-alt", 256, 224, 32, 384, 12, 6, 1536, 256, 10, 4},
    {"ViT-S-32", 384, 224, 32, 384, 12, 6, 1536, 384, 12, 6},
    {"ViT-S-16-alt", 256, 224, 16, 384, 12, 6, 1536, 256, 10, 4},
    {"ViT-S-16", 384, 224, 16, 384, 12, 6, 1536, 384, 12, 6},
    {"ViT-M-32-alt", 384, 224, 32, 512, 12, 8, 2048, 384, 12, 6},
    {"ViT-M-32", 512, 224, 32, 512, 12, 8, 2048, 512, 12, 8},
    {"ViT-M-16", 512, 224, 16, 512, 12, 8, 2048, 512, 12, 8},
    {"ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 512, 12, 8},
    {"ViT-B-32-256", 512, 256, 32, 768, 12, 12, 3072, 512, 12, 8},
    {"ViT-B-32-plus-256", 640, 256, 32, 896, 12, 14, 3584, 640, 12, 10},
    {"ViT-B-16", 512, 224, 16, 768, 12, 12, 3072, 512, 12, 8},
    {"ViT-B-16-plus", 640, 224, 16, 896, 12, 14, 3584, 640, 12, 10},
    {"ViT-B-16-plus-240", 640, 240, 16, 896, 12, 14, 3584, 640, 12, 10},
    {"ViT-L-16", 768, 224, 16, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-L-16-320", 768, 320, 16, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-L-14", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-L-14-280", 768, 280, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-L-14-336", 768, 336, 14, 1024, 24, 16, 4096, 768, 12, 12},
    {"ViT-H-16", 1024, 224, 16, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-H-14", 1024, 224, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-H-14-378", 1024, 378, 14, 1280, 32, 16, 5120, 1024, 24, 16},
    {"ViT-g-14", 1024, 224, 14, 1408, 40, 16, 6144, 1024, 24, 16},
    {"ViT-bigG-14", 1280, 224, 14, 1664, 48, 16, 8192, 1280, 32, 20},
    {"ViT-e-14", 1280, 224, 14, 1792, 56, 16, 15360, 1280, 36, 20},
    {"TinyCLIP-ViT-39M-16-Text-19M", 512, 224, 16, 512, 12, 8, 2048, 512, 6, 8},
    {"TinyCLIP-ViT-40M-32-Text-19M", 512, 224, 32, 512, 12, 8, 2048, 512, 6, 8},
    {"TinyCLIP-ViT-61M-32-Text-29M", 512, 224, 32, 640, 12, 10, 2560, 512, 9, 8},
    {"TinyCLIP-ViT-8M-16-Text-3M", 512, 224, 16, 256, 10, 4, 1024, 256, 3, 4},
    {"EVA01-g-14", 1024, 224, 14, 1408, 40, 16, 6144, 768, 12, 12},
    {"EVA01-g-14-plus", 1024, 224, 14, 1408, 40, 16, 6144, 1024, 24, 16},
    {"EVA02-B-16", 512, 224, 16, 768, 12, 12, 2048, 512, 12, 8},
    {"EVA02-L-14", 768, 224, 14, 1024, 24, 16, 2730, 768, 12, 12},
    {"EVA02-L-14-336", 768, 336, 14, 1024, 24, 16, 2730, 768, 12, 12},
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
    {"convnext_base_w_320", 640, 320, 32, 1024, 36, 0, 4096, 640, 12, 10},
    {"convnext_large", 768, 224, 32, 1536, 36, 0, 6144, 768, 12, 12},
    {"convnext_large_d", 768, 256, 32, 1536, 36, 0, 6144, 768, 16, 12},
    {"convnext_large_d_320", 768, 320, 32, 1536, 36, 0, 6144, 768, 16, 12},
    {"convnext_xlarge", 1024, 256, 32, 2048, 36, 0, 8192, 1024, 20, 16},
    {"convnext_xxlarge", 1024, 256, 32, 3072, 40, 0, 12288, 1024, 24, 16},
    {"convnext_xxlarge_320", 1024, 320, 32, 3072, 40, 0, 12288, 1024, 24, 16},
    {"MobileCLIP-S0", 512, 256, 32, 512, 23, 16, 1536, 512, 6, 8},
    {"MobileCLIP-S1", 512, 256, 32, 512, 43, 16, 1536, 512, 12, 8},
    /* MobileCLIP2-S2 has the same towers. */
    {"MobileCLIP-S2", 512, 256, 32, 640, 47, 20, 1920, 512, 12, 8},
    {"MobileCLIP2-S0", 512, 256, 32, 512, 23, 16, 1536, 512, 12, 8},
    {"MobileCLIP2-S3", 768, 256, 32, 1536, 48, 48, 6144, 768, 12, 12},
    {"MobileCLIP2-S4", 768, 256, 32, 2048, 50, 64, 8192, 768, 12, 12},
    {"ViT-B-16-SigLIP", 768, 224, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP-256", 768, 256, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP-384", 768, 384, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP-512", 768, 512, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP-i18n-256", 768, 256, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-L-16-SigLIP-256", 1024, 256, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-L-16-SigLIP-384", 1024, 384, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-SO400M-14-SigLIP", 1152, 224, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-14-SigLIP-378", 1152, 378, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-14-SigLIP-384", 1152, 384, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP-i18n-256", 1152, 256, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-B-32-SigLIP2-256", 768, 256, 32, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP2", 768, 224, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP2-256", 768, 256, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP2-384", 768, 384, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-B-16-SigLIP2-512", 768, 512, 16, 768, 12, 12, 3072, 768, 12, 12},
    {"ViT-L-16-SigLIP2-256", 1024, 256, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-L-16-SigLIP2-384", 1024, 384, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-L-16-SigLIP2-512", 1024, 512, 16, 1024, 24, 16, 4096, 1024, 24, 16},
    {"ViT-SO400M-14-SigLIP2", 1152, 224, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-14-SigLIP2-378", 1152, 378, 14, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP2-256", 1152, 256, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP2-384", 1152, 384, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-SO400M-16-SigLIP2-512", 1152, 512, 16, 1152, 27, 16, 4304, 1152, 27, 16},
    {"ViT-gopt-16-SigLIP2-256", 1536, 256, 16, 1536, 40, 16, 6144, 1152, 27, 16},
    {"ViT-gopt-16-SigLIP2-384", 1536, 384, 16, 1536, 40, 16, 6144, 1152, 27, 16},
    {"coca_ViT-B-32", 512, 224, 32, 768, 12, 12, 3072, 512, 12, 8},
    {"coca_ViT-L-14", 768, 224, 14, 1024, 24, 16, 4096, 768, 12, 12},
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

static const struct {
    const char *prefix;
    enum architecture_style style;
} styles[] = {
    {"EVA01-g", ARCHITECTURE_EVA},
    {"EVA02-E", ARCHITECTURE_EVA_RESULT},
    {"EVA02", ARCHITECTURE_EVA02},
};

enum architecture_style architecture_style(const struct architecture *architecture) {
    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
        const char *prefix = styles[i].prefix;
        if (!strncmp(prefix, architecture->name, strlen(prefix))) return styles[i].style;
    }
    return ARCHITECTURE_PLAIN;
}

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

uint32_t architecture_token_window(const struct architecture *architecture) {
    enum { MOBILECLIP_S0 = 11 };
    return strcmp(architecture->name, "MobileCLIP-S0") ? 0 : MOBILECLIP_S0;
}

/* The parts of names by which the members of a family differ; the first that fits counts. */
bool architecture_attention(struct architecture_attention *out,
                            const struct architecture *architecture) {
    static const struct {
        const char *part;
        struct architecture_attention attention;
    } parts[] = {
        {"coca_", {.context_length = 76, .vocab_size = 49408}},
        {"-SigLIP2",
         {.siglip = true, .gelu_tanh = true, .context_length = 64, .vocab_size = 256000}},
        {"-SigLIP-i18n", {.siglip = true, .context_length = 64, .vocab_size = 250000}},
        {"-SigLIP", {.siglip = true, .context_length = 64, .vocab_size = 32000}},
    };
    enum { SO400M_WIDTH = 1152, SO400M_MLP = 4304 };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(architecture->name, parts[i].part)) continue;
        *out = parts[i].attention;
        if (!strcmp(architecture->name, "ViT-SO400M-14-SigLIP")) out->context_length = 16;
        out->text_mlp = 4 * architecture->text_width;
        if (out->siglip && architecture->text_width == SO400M_WIDTH) out->text_mlp = SO400M_MLP;
        return true;
    }
    return false;
}

const struct architecture *architecture_named(const char *name) {
    for (size_t i = 0; i < architectures_count; i++) {
        if (!strcmp(architectures[i].name, name)) return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_of(const struct model_info *info) {
    for (size_t i = 0; i < architectures_count; i++) {
        const struct architecture *a = &architectures[i];
        bool vision = a->image_size == info->image_size && a->patch_size == info->patch_size &&
                      a->vision_width == info->vision.width &&
                      a->vision_layers == info->vision.layers &&
                      a->vision_mlp == info->vision.mlp_width &&
                      (architecture_style(a) != ARCHITECTURE_PLAIN) ==
                          (info->patch_bias && info->image_pooling == MODEL_IMAGE_CLASS);
        bool text = a->text_width == info->text.width && a->text_layers == info->text.layers;
        struct architecture_attention attention;
        bool attends = architecture_attention(&attention, a);
        bool family = attends ? attention.vocab_size == info->vocab_size &&
                                    attention.context_length == info->context_length
                              : true;
        family = family && attends == (info->image_pooling == MODEL_IMAGE_ATTENTION);
        if (vision && text && family && a->embed_dim == info->embed_dim) return a;
    }
    return NULL;
}
