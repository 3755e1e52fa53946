#include "core/checkpoint/config_timm.h"

#include <stdio.h>
#include <string.h>

#include "core/checkpoint/config_tower.h"
#include "core/checkpoint/families.h"

/* What the weights do not tell of timm's architectures; the first whose name begins so. */
static const struct {
    const char *prefix;
    const char *pool; /* timm_pool */
    float layer_norm_eps;
    enum model_norm_order norm_order;
    uint32_t heads;                   /* 0: by the rule that all follow */
    enum model_activation activation; /* open_clip's quick_gelu is not for timm's towers */
    bool has_head;                    /* of open_clip's own, timm_proj: linear or mlp */
} architectures[] = {
    {"convnext_xxlarge", "", 1e-5f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, true},
    {"convnext_", "", 1e-6f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, true},
    {"fastvit_mci", "avg", 1e-5f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, false}, /* MobileCLIP */
    {"eva02_enormous_", "token", 1e-6f, MODEL_NORM_RESULT, 0, MODEL_GELU_ERF, false},
    {"eva02_", "token", 1e-6f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, false},
    {"eva_giant_", "token", 1e-6f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, false},
    /* MobileCLIP-B */
    {"vit_base_mci_", "token", 1e-6f, MODEL_NORM_BEFORE, 12, MODEL_GELU_ERF, false},
    {"vit_large_patch14_clip_quickgelu_", "token", 1e-5f, MODEL_NORM_BEFORE, 0, MODEL_QUICK_GELU,
     false},
    /* MobileCLIP2-L/14 */
    {"vit_large_patch14_clip_", "token", 1e-5f, MODEL_NORM_BEFORE, 0, MODEL_GELU_ERF, false},
    /* SigLIP and SigLIP 2, under the same names. */
    {"vit_base_patch32_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 12, MODEL_GELU_TANH, false},
    {"vit_base_patch16_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 12, MODEL_GELU_ERF, false},
    {"vit_large_patch16_siglip_512", "map", 1e-6f, MODEL_NORM_BEFORE, 16, MODEL_GELU_TANH, false},
    {"vit_large_patch16_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 16, MODEL_GELU_ERF, false},
    {"vit_so400m_patch14_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 16, MODEL_GELU_ERF, false},
    {"vit_so400m_patch16_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 16, MODEL_GELU_TANH, false},
    {"vit_giantopt_patch16_siglip_", "map", 1e-6f, MODEL_NORM_BEFORE, 16, MODEL_GELU_TANH, false},
};

enum { ARCHITECTURES = sizeof(architectures) / sizeof(architectures[0]) };

static enum status check_head(const struct json_place *vision, const char *expected, bool has_head,
                              struct error *err) {
    const char *pool = "avg", *proj = "";
    enum status status = json_read_string(vision, "timm_pool", &pool, err);
    if (!status) status = json_read_string(vision, "timm_proj", &proj, err);
    if (status) return status;
    if (strcmp(pool, expected) != 0) {
        return error_set(err, STATUS_UNSUPPORTED, "%s.timm_pool is \"%.16s\", supported is \"%s\"",
                         vision->path, pool, expected);
    }
    if (has_head) {
        if (!strcmp(proj, "linear") || !strcmp(proj, "mlp")) return STATUS_OK;
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.timm_proj is \"%.16s\", supported are linear and mlp", vision->path,
                         proj);
    }
    if (!*proj || !strcmp(proj, "none")) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED, "%s.timm_proj is \"%.16s\", supported is none",
                     vision->path, proj);
}

enum status config_timm_read(struct model_config *out, const struct json_place *vision,
                             const char *name, struct error *err) {
    struct config_tower *tower = &out->vision;
    size_t i = 0;
    while (i < ARCHITECTURES &&
           strncmp(architectures[i].prefix, name, strlen(architectures[i].prefix)) != 0)
        i++;
    if (i == ARCHITECTURES) {
        char where[128], what[64];
        snprintf(where, sizeof(where), "%s.timm_model_name", vision->path);
        snprintf(what, sizeof(what), "\"%.40s\"", name);
        return families_refuse(err, where, what);
    }
    tower->layer_norm_eps = architectures[i].layer_norm_eps;
    tower->norm_order = architectures[i].norm_order;
    tower->heads = architectures[i].heads;
    tower->activation = architectures[i].activation;
    out->image_size = 224;
    enum status status =
        json_read_u32(vision, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
    return status ? status
                  : check_head(vision, architectures[i].pool, architectures[i].has_head, err);
}
