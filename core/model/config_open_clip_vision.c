#include "core/model/config_open_clip_vision.h"

#include <string.h>

#include "core/model/config_tower.h"
#include "core/model/families.h"

static enum status refuse_vision(const struct json_place *vision, struct error *err) {
    static const struct config_refusal refusals[] = {
        {"timm_model_name", "a timm image tower"},
        {"attentional_pool", "attention pooling (CoCa)"},
        {"qk_norm", "normalised queries and keys"},
        {"scaled_cosine_attn", "cosine attention"},
        {"scale_heads", "scaled heads"},
        {"scale_attn_inner", "scaled attention"},
        {"scale_attn", "scaled attention"},
        {"scale_fc", "scaled MLP"},
        {"input_patchnorm", "normalised patches"},
    };
    const json_t *layers = vision->object ? json_object_get(vision->object, "layers") : NULL;
    if (json_is_array(layers)) {
        return families_refuse(err, "vision_cfg.layers is a list", "a ModifiedResNet image tower");
    }
    return config_tower_refuse(vision, refusals, sizeof(refusals) / sizeof(refusals[0]), err);
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
    enum status status = json_enter(&vision, model, "vision_cfg", err);
    if (!status) status = refuse_vision(&vision, err);
    if (!status) status = json_read_u32(&vision, "width", 1, CONFIG_SIZE_MAX, &tower->width, err);
    if (!status) {
        status = json_read_u32(&vision, "layers", 1, CONFIG_LAYERS_MAX, &tower->layers, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "head_width", 1, CONFIG_SIZE_MAX, &head_width, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "patch_size", 1, CONFIG_SIZE_MAX, &out->patch_size, err);
    }
    if (!status) {
        status = json_read_u32(&vision, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
    }
    if (!status) status = config_tower_read_kwargs(tower, &vision, err);
    if (!status) status = read_vision_pooling(out, &vision, err);
    if (status) return status;
    tower->heads = tower->width / head_width;
    if (tower->width % head_width == 0) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "%s: a width of %u is no multiple of head_width %u",
                     vision.path, tower->width, head_width);
}
