#include "hub/catalogue.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct catalogue_entry catalogue[] = {
    {"RN50:openai", "timm/resnet50_clip.openai", CATALOGUE_RESNET,
     102.01, 18.18, 12.2, 59.8, 48.1, 68.7, 38.7},
    {"RN101:openai", "timm/resnet101_clip.openai", CATALOGUE_RESNET,
     119.69, 25.5, 19.5, 62.3, 50.3, 68.5, 40.2},
    {"RN50x4:openai", "timm/resnet50x4_clip.openai", CATALOGUE_RESNET,
     178.3, 51.82, 42.6, 66.3, 51.9, 72.3, 43.2},
    {"RN50x16:openai", "timm/resnet50x16_clip.openai", CATALOGUE_RESNET,
     290.98, 162.69, 149.4, 70.7, 56.7, 75.5, 45.4},
    {"RN50x64:openai", "timm/resnet50x64_clip.openai", CATALOGUE_RESNET,
     623.26, 552.65, 529.1, 73.9, 60.6, 77.9, 46.8},
    {"ViT-B-32:openai", "openai/clip-vit-base-patch32", CATALOGUE_VIT,
     151.28, 14.78, 8.8, 63.3, 52.4, 68.8, 40.3},
    {"ViT-B-32-quickgelu:laion400m_e32", "timm/vit_base_patch32_clip_224.laion400m_e32",
     CATALOGUE_VIT, 151.28, 14.78, 8.8, 62.9, 52.7, 70.2, 44.0},
    {"ViT-B-32:laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", CATALOGUE_VIT,
     151.28, 14.78, 8.8, 66.6, 56.9, 75.4, 47.8},
    {"ViT-B-32-quickgelu:metaclip_fullcc", "timm/vit_base_patch32_clip_224.metaclip_2pt5b",
     CATALOGUE_VIT, 151.28, 14.78, 8.8, 67.7, 55.8, 73.0, 46.6},
    {"ViT-B-32:datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", CATALOGUE_VIT,
     151.28, 14.78, 8.8, 69.2, 58.0, 70.0, 45.3},
    {"ViT-B-32-256:datacomp_s34b_b86k", "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
     CATALOGUE_VIT, 151.29, 17.46, 11.5, 72.8, 60.9, 74.9, 48.9},
    {"ViT-B-16:openai", "openai/clip-vit-base-patch16", CATALOGUE_VIT,
     149.62, 41.09, 35.1, 68.3, 56.3, 72.2, 42.8},
    {"ViT-B-16:laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", CATALOGUE_VIT,
     149.62, 41.09, 35.1, 70.2, 58.7, 78.1, 50.9},
    {"ViT-B-16-quickgelu:metaclip_fullcc", "timm/vit_base_patch16_clip_224.metaclip_2pt5b",
     CATALOGUE_VIT, 149.62, 41.09, 35.1, 72.1, 60.4, 78.1, 50.3},
    {"ViT-B-16:datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", CATALOGUE_VIT,
     149.62, 41.09, 35.1, 73.5, 61.5, 76.3, 48.8},
    {"ViT-B-16:dfn2b", "apple/DFN2B-CLIP-ViT-B-16", CATALOGUE_VIT,
     149.62, 41.09, 35.1, 76.2, 60.9, 77.3, 51.9},
    {"ViT-B-16-plus-240:laion400m_e32", "timm/vit_base_patch16_plus_clip_240.laion400m_e32",
     CATALOGUE_VIT, 208.38, 64.03, 54.8, 69.2, 57.2, 77.3, 49.8},
    {"ViT-L-14:openai", "openai/clip-vit-large-patch14", CATALOGUE_VIT,
     427.62, 175.33, 162.0, 75.5, 61.7, 75.1, 46.4},
    {"ViT-L-14-336:openai", "openai/clip-vit-large-patch14-336", CATALOGUE_VIT,
     427.94, 395.22, 381.9, 76.6, 62.8, 77.3, 47.5},
    {"ViT-L-14:laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", CATALOGUE_VIT,
     427.62, 175.33, 162.0, 75.2, 62.1, 82.5, 54.9},
    {"ViT-L-14:datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", CATALOGUE_VIT,
     427.62, 175.33, 162.0, 79.2, 66.3, 81.2, 54.5},
    {"ViT-L-14-quickgelu:metaclip_fullcc", "timm/vit_large_patch14_clip_224.metaclip_2pt5b",
     CATALOGUE_VIT, 427.62, 175.33, 162.0, 79.2, 65.9, 83.3, 55.8},
    {"ViT-L-14-quickgelu:dfn2b", "apple/DFN2B-CLIP-ViT-L-14", CATALOGUE_VIT,
     427.62, 175.33, 162.0, 81.4, 66.9, 82.5, 57.1},
    {"ViT-H-14:laion2b_s32b_b79k", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", CATALOGUE_VIT,
     986.11, 381.68, 334.6, 78.0, 64.2, 84.2, 57.7},
    {"ViT-H-14-quickgelu:dfn5b", "apple/DFN5B-CLIP-ViT-H-14", CATALOGUE_VIT,
     986.11, 381.68, 334.6, 83.4, 69.6, 86.5, 63.1},
    {"ViT-H-14-378-quickgelu:dfn5b", "apple/DFN5B-CLIP-ViT-H-14-378", CATALOGUE_VIT,
     986.71, 1054.05, 1007.0, 84.4, 70.8, 88.0, 63.8},
    {"ViT-g-14:laion2b_s34b_b88k", "laion/CLIP-ViT-g-14-laion2B-s34B-b88K", CATALOGUE_VIT,
     1366.68, 581.15, 534.1, 78.5, 64.3, 84.6, 57.6},
    {"ViT-bigG-14:laion2b_s39b_b160k", "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", CATALOGUE_VIT,
     2539.57, 1065.36, 967.5, 80.1, 66.7, 86.2, 59.4},
    {"EVA02-B-16:merged2b_s8b_b131k", "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k",
     CATALOGUE_EVA, 149.69, 41.09, 35.1, 74.7, 58.9, 78.7, 50.4},
    {"EVA02-L-14:merged2b_s4b_b131k", "timm/eva02_large_patch14_clip_224.merged2b_s4b_b131k",
     CATALOGUE_EVA, 427.76, 175.3, 162.0, 79.8, 64.9, 83.5, 55.6},
    {"ViT-B-16-SigLIP:webli", "timm/ViT-B-16-SigLIP", CATALOGUE_SIGLIP,
     203.16, 46.44, 35.4, 76.0, 62.3, 81.9, 56.8},
    {"ViT-L-16-SigLIP-256:webli", "timm/ViT-L-16-SigLIP-256", CATALOGUE_SIGLIP,
     652.15, 201.62, 162.6, 80.5, 65.6, 85.4, 61.5},
    {"ViT-SO400M-14-SigLIP-384:webli", "timm/ViT-SO400M-14-SigLIP-384", CATALOGUE_SIGLIP,
     877.96, 723.48, 667.9, 83.1, 69.2, 88.6, 63.3},
    {"convnext_base_w:laion2b_s13b_b82k", "laion/CLIP-convnext_base_w-laion2B-s13B-b82K",
     CATALOGUE_CONVNEXT, 179.39, 49.38, 40.1, 70.8, 57.6, 79.9, 51.7},
    {"convnext_large_d_320:laion2b_s29b_b131k_ft_soup",
     "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup", CATALOGUE_CONVNEXT,
     351.77, 157.98, 140.2, 76.8, 63.9, 84.7, 56.6},
    {"coca_ViT-L-14:laion2b_s13b_b90k", "laion/CoCa-ViT-L-14-laion2B-s13B-b90k", CATALOGUE_COCA,
     638.45, 214.52, 0, 75.6, 63.3, 81.3, 54.3},
};
/* clang-format on */

const size_t catalogue_count = sizeof(catalogue) / sizeof(catalogue[0]);

const struct catalogue_entry *catalogue_find(const char *name) {
    for (size_t i = 0; i < catalogue_count; i++) {
        if (!strcmp(catalogue[i].name, name)) return &catalogue[i];
    }
    return NULL;
}

bool catalogue_runs(enum catalogue_family family) {
    return family == CATALOGUE_VIT;
}

const char *catalogue_family_name(enum catalogue_family family) {
    switch (family) {
    case CATALOGUE_VIT: return "vit";
    case CATALOGUE_RESNET: return "resnet";
    case CATALOGUE_SIGLIP: return "siglip";
    case CATALOGUE_EVA: return "eva02";
    case CATALOGUE_CONVNEXT: return "convnext";
    case CATALOGUE_COCA: return "coca";
    }
    return "";
}

/* The entries of an architecture: how many, one of them, and all their names in a row. */
static size_t find_architecture(const struct catalogue_entry **out, struct buffer *names,
                                const char *architecture) {
    size_t size = strlen(architecture), count = 0;
    for (size_t i = 0; i < catalogue_count; i++) {
        const char *name = catalogue[i].name;
        if (strncmp(name, architecture, size) != 0 || name[size] != ':') continue;
        buffer_printf(names, NULL, "%s%s", count ? ", " : "", name);
        *out = &catalogue[i];
        count++;
    }
    buffer_append(names, "", 1, NULL);
    return count;
}

enum status catalogue_resolve(struct repository *out, const char *name, struct error *err) {
    enum { NAMES_SIZE = 4096 };
    const struct catalogue_entry *entry = catalogue_find(name);
    if (!entry && repository_parse(out, name)) return STATUS_OK;
    struct buffer names;
    buffer_init(&names, NAMES_SIZE);
    size_t count = entry ? 1 : find_architecture(&entry, &names, name);
    enum status status = STATUS_OK;
    if (count == 0)
        status = error_set(err, STATUS_NOT_FOUND,
                           "there is no model '%.100s'; 'clipd models' lists the names, and any "
                           "other one is ORG/NAME[@REVISION]",
                           name);
    else if (count > 1)
        status = error_set(err, STATUS_INVALID, "'%.30s' is one of %.240s", name,
                           (const char *)names.data);
    else
        repository_parse(out, entry->repository);
    buffer_free(&names);
    return status;
}
