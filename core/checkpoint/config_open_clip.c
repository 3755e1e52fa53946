#include "core/checkpoint/config_open_clip.h"

#include <string.h>

#include "core/checkpoint/config_open_clip_text.h"
#include "core/checkpoint/config_open_clip_vision.h"
#include "core/checkpoint/config_tower.h"

static enum status read_preprocess(struct model_config *out, const struct json_place *top,
                                   struct error *err) {
    struct json_place place;
    struct model_preprocess *preprocess = &out->preprocess;
    const char *interpolation = "bicubic", *resize = "shortest";
    uint32_t fill = 0;
    enum status status = json_enter(&place, top, "preprocess_cfg", err);
    if (!status) status = json_read_floats3(&place, "mean", preprocess->mean, err);
    if (!status) status = json_read_floats3(&place, "std", preprocess->std, err);
    if (!status) status = json_read_string(&place, "interpolation", &interpolation, err);
    if (!status) status = json_read_string(&place, "resize_mode", &resize, err);
    if (!status) status = json_read_u32(&place, "fill_color", 0, 255, &fill, err);
    if (status) return status;
    memset(preprocess->fill, (int)fill, sizeof(preprocess->fill));
    if (!strcmp(interpolation, "bilinear")) {
        preprocess->filter = 2;
    } else if (strcmp(interpolation, "bicubic") != 0 && strcmp(interpolation, "random") != 0) {
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s.interpolation is \"%.16s\", supported are \"bicubic\", \"bilinear\" and "
            "\"random\", which means bicubic",
            place.path, interpolation);
    }
    if (!strcmp(resize, "squash"))
        preprocess->resize = MODEL_RESIZE_SQUASH;
    else if (!strcmp(resize, "longest"))
        preprocess->resize = MODEL_RESIZE_LONGEST;
    else if (strcmp(resize, "shortest") != 0) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s.resize_mode is \"%.16s\", supported are "
                         "\"shortest\", \"squash\" and \"longest\"",
                         place.path, resize);
    }
    return STATUS_OK;
}

enum status config_open_clip_read(struct model_config *out, const struct json_place *model,
                                  struct error *err) {
    bool quick_gelu = false;
    out->found = true;
    out->naming = MODEL_NAMES_OPEN_CLIP;
    enum status status =
        json_read_u32(model, "embed_dim", 1, CONFIG_SIZE_MAX, &out->embed_dim, err);
    if (!status) status = json_read_bool(model, "quick_gelu", &quick_gelu, err);
    out->vision.activation = out->text.activation = quick_gelu ? MODEL_QUICK_GELU : MODEL_GELU_ERF;
    if (!status) status = config_open_clip_vision_read(out, model, err);
    return status ? status : config_open_clip_text_read(out, model, err);
}

enum status config_open_clip_parse(struct model_config *out, struct bytes json, struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "open_clip_config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "open_clip_config.json"), model;
    status = json_enter(&model, &top, "model_cfg", err);
    if (!status && !model.object) {
        status = error_set(err, STATUS_UNPROCESSABLE, "open_clip_config.json has no model_cfg");
    }
    if (!status) status = config_open_clip_read(out, &model, err);
    if (!status) status = read_preprocess(out, &top, err);
    json_decref(root);
    return status;
}
