#include "core/model/config_open_clip_vision.h"

#include <string.h>

#include "core/model/config_tower.h"
#include "core/model/families.h"

static enum status refuse_vision(const struct json_place *vision, struct error *err) {
    static const struct config_refusal refusals[] = {
        {"timm_model_name", "a timm image tower"},
        {"qk_norm", "normalised queries and keys"},
        {"scaled_cosine_attn", "cosine attention"},
        {"scale_heads", "scaled heads"},
        {"scale_attn_inner", "scaled attention"},
        {"scale_attn", "scaled attention"},
        {"scale_fc", "scaled MLP"},
        {"input_patchnorm", "normalised patches"},
    };
    return config_tower_refuse(vision, refusals, sizeof(refusals) / sizeof(refusals[0]), err);
}

/* The image towers of SigLIP, which open_clip takes from timm and which say of themselves no
 * more than their name. The activation is not in the weights either. */
static const struct {
    const char *name; /* how it begins */
    uint32_t width, layers, heads, patch_size;
    enum model_activation activation;
} timm_towers[] = {
    {"vit_base_patch32_siglip_", 768, 12, 12, 32, MODEL_GELU_TANH},
    {"vit_base_patch16_siglip_", 768, 12, 12, 16, MODEL_GELU_ERF},
    {"vit_large_patch16_siglip_512", 1024, 24, 16, 16, MODEL_GELU_TANH},
    {"vit_large_patch16_siglip_", 1024, 24, 16, 16, MODEL_GELU_ERF},
    {"vit_so400m_patch14_siglip_", 1152, 27, 16, 14, MODEL_GELU_ERF},
    {"vit_so400m_patch16_siglip_", 1152, 27, 16, 16, MODEL_GELU_TANH},
    {"vit_giantopt_patch16_siglip_", 1536, 40, 16, 16, MODEL_GELU_TANH},
};

/* Sets `known` when the name is one of them. Those that end with a mean ("gap") are not. */
static enum status read_timm(struct model_config *out, const struct json_place *vision, bool *known,
                             struct error *err) {
    const char *name = NULL, *pool = "", *projection = "linear";
    enum status status = json_read_string(vision, "timm_model_name", &name, err);
    if (!status) status = json_read_string(vision, "timm_pool", &pool, err);
    if (!status) status = json_read_string(vision, "timm_proj", &projection, err);
    *known = false;
    if (status || !name || strcmp(pool, "map") != 0 || strcmp(projection, "none") != 0)
        return status;
    for (size_t i = 0; i < sizeof(timm_towers) / sizeof(timm_towers[0]) && !*known; i++) {
        if (strncmp(name, timm_towers[i].name, strlen(timm_towers[i].name)) != 0) continue;
        *known = true;
        out->vision = (struct config_tower){.width = timm_towers[i].width,
                                            .layers = timm_towers[i].layers,
                                            .heads = timm_towers[i].heads,
                                            .activation = timm_towers[i].activation,
                                            .layer_norm_eps = 1e-6f};
        out->patch_size = timm_towers[i].patch_size;
    }
    return json_read_u32(vision, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
}

/* CoCa: one query and its heads, with which the tower ends. */
static enum status read_attention_pool(struct model_config *out, const struct json_place *vision,
                                       struct error *err) {
    bool attention = false;
    enum status status = json_read_bool(vision, "attentional_pool", &attention, err);
    if (status || !attention) return status;
    out->image_pooling = MODEL_IMAGE_ATTENTION;
    out->pooler_heads = 8; /* open_clip's own default */
    return json_read_u32(vision, "attn_pooler_heads", 1, CONFIG_SIZE_MAX, &out->pooler_heads, err);
}

/* A list of layers makes a ModifiedResNet: the blocks of its stages. */
static enum status read_layers(struct model_config *out, const struct json_place *vision,
                               struct error *err) {
    const json_t *list = vision->object ? json_object_get(vision->object, "layers") : NULL;
    if (!json_is_array(list)) {
        return json_read_u32(vision, "layers", 1, CONFIG_LAYERS_MAX, &out->vision.layers, err);
    }
    out->patch_size = out->vision.layers = 0;
    for (size_t i = 0; i < MODEL_RESNET_STAGES; i++) {
        const json_t *blocks = json_array_get(list, i);
        json_int_t value = json_integer_value(blocks);
        if (json_array_size(list) != MODEL_RESNET_STAGES || value < 1 ||
            value > CONFIG_LAYERS_MAX) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "%s.layers is a list, of which 4 numbers of 1 to %d are expected",
                             vision->path, CONFIG_LAYERS_MAX);
        }
        out->resnet[i] = (uint32_t)value;
        out->vision.layers += out->resnet[i];
    }
    return STATUS_OK;
}

/* The class token through the last LayerNorm, or the mean of the patches. That of
 * normalised patches nobody has trained. */
static enum status read_vision_pooling(struct model_config *out, const struct json_place *vision,
                                       struct error *err) {
    const char *pool = "tok";
    bool norm_last = false;
    enum status status = json_read_string(vision, "pool_type", &pool, err);
    if (!status) status = json_read_bool(vision, "final_ln_after_pool", &norm_last, err);
    if (!status) status = json_read_bool(vision, "no_ln_pre", &out->no_ln_pre, err);
    if (status) return status;
    bool mean = !strcmp(pool, "avg") && norm_last;
    out->image_pooling = mean ? MODEL_IMAGE_PATCH_MEAN : MODEL_IMAGE_CLASS;
    if (mean || !strcmp(pool, "tok")) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.pool_type is \"%.16s\", supported are \"tok\", and \"avg\" with "
                     "final_ln_after_pool",
                     vision->path, pool);
}

enum status config_open_clip_vision_read(struct model_config *out, const struct json_place *model,
                                         struct error *err) {
    struct json_place vision;
    struct config_tower *tower = &out->vision;
    uint32_t head_width = 64;
    tower->width = 768;
    tower->layers = 12;
    out->patch_size = 16;
    out->image_size = 224;
    bool timm = false;
    enum status status = json_enter(&vision, model, "vision_cfg", err);
    if (!status) status = read_timm(out, &vision, &timm, err);
    if (status || timm) return status;
    status = refuse_vision(&vision, err);
    if (!status) status = json_read_u32(&vision, "width", 1, CONFIG_SIZE_MAX, &tower->width, err);
    if (!status) {
        status = json_read_u32(&vision, "head_width", 1, CONFIG_SIZE_MAX, &head_width, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "patch_size", 1, CONFIG_SIZE_MAX, &out->patch_size, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
    }
    if (!status) status = read_layers(out, &vision, err);
    if (!status) status = config_tower_read_kwargs(tower, &vision, err);
    if (!status) status = read_vision_pooling(out, &vision, err);
    if (!status) status = read_attention_pool(out, &vision, err);
    if (!status) status = json_read_bool(model, "mask_image", &tower->pruned, err);
    if (status) return status;
    uint32_t width = out->resnet[0] ? 32 * tower->width : tower->width; /* of attention */
    tower->heads = width / head_width;
    if (width % head_width == 0) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "%s: a width of %u is no multiple of head_width %u",
                     vision.path, width, head_width);
}
