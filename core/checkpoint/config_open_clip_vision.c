#include "core/checkpoint/config_open_clip_vision.h"

#include <string.h>

#include "core/checkpoint/config_timm.h"
#include "core/checkpoint/config_tower.h"
#include "core/checkpoint/families.h"

static enum status refuse_vision(const struct json_place *vision, struct error *err) {
    static const struct config_refusal refusals[] = {
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

/* CoCa: one query and its heads, with which the tower ends. */
static enum status read_attention_pool(struct model_config *out, const struct json_place *vision,
                                       struct error *err) {
    bool attention = false;
    enum status status = json_read_bool(vision, "attentional_pool", &attention, err);
    if (status || !attention) return status;
    if (out->image_pooling != MODEL_IMAGE_CLASS) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.pool_type is \"avg\", with attentional_pool \"tok\" is supported",
                         vision->path);
    }
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
    for (size_t i = 0; i < MODEL_STAGES; i++) {
        const json_t *blocks = json_array_get(list, i);
        json_int_t value = json_integer_value(blocks);
        if (json_array_size(list) != MODEL_STAGES || value < 1 || value > CONFIG_LAYERS_MAX) {
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
    const char *timm = "";
    tower->present = true;
    enum status status = json_enter(&vision, model, "vision_cfg", err);
    if (!status) status = json_read_string(&vision, "timm_model_name", &timm, err);
    if (status || *timm) return status ? status : config_timm_read(out, &vision, timm, err);
    tower->width = 768;
    tower->layers = 12;
    out->patch_size = 16;
    out->image_size = 224;
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
