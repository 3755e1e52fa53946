#include "core/checkpoint/config_preprocessor.h"

#include "core/checkpoint/config_tower.h"

/* A side as old and new files write it: 224, {"height": 224, "width": 224} or
 * {"shortest_edge": 224}. Without one, `side` and `shortest` stay as they are. */
static enum status read_side(const struct json_place *top, const char *key, uint32_t *side,
                             bool *shortest, struct error *err) {
    const json_t *value = json_object_get(top->object, key);
    if (!value || json_is_null(value)) return STATUS_OK;
    *shortest = true;
    if (json_is_integer(value)) return json_read_u32(top, key, 1, CONFIG_SIZE_MAX, side, err);
    struct json_place place;
    uint32_t height = 0, width = 0, edge = 0, longest = 0;
    enum status status = json_enter(&place, top, key, err);
    if (!status) status = json_read_u32(&place, "shortest_edge", 1, CONFIG_SIZE_MAX, &edge, err);
    if (!status) status = json_read_u32(&place, "longest_edge", 1, CONFIG_SIZE_MAX, &longest, err);
    if (!status) status = json_read_u32(&place, "height", 1, CONFIG_SIZE_MAX, &height, err);
    if (!status) status = json_read_u32(&place, "width", 1, CONFIG_SIZE_MAX, &width, err);
    if (status) return status;
    if (edge && longest) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s has a longest_edge of %u, a shortest_edge alone is supported",
                         place.path, longest);
    }
    *shortest = edge != 0;
    *side = edge ? edge : height;
    if (edge || (height && height == width)) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s is neither a shortest_edge nor a square height and width", place.path);
}

static enum status read_preprocessor(struct model_config *out, const struct json_place *top,
                                     struct error *err) {
    struct model_preprocess *preprocess = &out->preprocess;
    bool resize = true, crop = true, rescale = true, normalize = true, square;
    bool shortest = !out->sigmoid; /* SigLIP's processor squashes by default */
    uint32_t side = 0, crop_side = 0;
    enum status status = json_read_bool(top, "do_resize", &resize, err);
    if (!status) status = json_read_bool(top, "do_center_crop", &crop, err);
    if (!status) status = json_read_bool(top, "do_rescale", &rescale, err);
    if (!status) status = json_read_bool(top, "do_normalize", &normalize, err);
    if (!status) status = json_read_u32(top, "resample", 0, 5, &preprocess->filter, err);
    if (!status) status = json_read_float(top, "rescale_factor", &preprocess->rescale, err);
    if (!status) status = json_read_floats3(top, "image_mean", preprocess->mean, err);
    if (!status) status = json_read_floats3(top, "image_std", preprocess->std, err);
    if (!status) status = read_side(top, "size", &side, &shortest, err);
    if (!status) status = read_side(top, "crop_size", &crop_side, &square, err);
    if (!status && resize && shortest && !crop) {
        status = error_set(err, STATUS_UNSUPPORTED, "%s resizes the short side without a crop",
                           top->path);
    }
    if (!status) {
        if (!rescale) preprocess->rescale = 1;
        if (!normalize) {
            for (int i = 0; i < 3; i++) preprocess->mean[i] = 0, preprocess->std[i] = 1;
        }
        preprocess->resize = !resize    ? MODEL_RESIZE_NONE
                             : shortest ? MODEL_RESIZE_SHORTEST
                                        : MODEL_RESIZE_SQUASH;
        preprocess->resize_to = side;
        out->crop_size = crop && crop_side ? crop_side : side;
    }
    return status;
}

enum status config_preprocessor_parse(struct model_config *out, struct bytes json,
                                      struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "preprocessor_config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "preprocessor_config.json");
    status = read_preprocessor(out, &top, err);
    json_decref(root);
    return status;
}

enum status config_processor_parse(struct model_config *out, struct bytes json, struct error *err) {
    json_t *root;
    enum status status = json_parse(&root, json, "processor_config.json", err);
    if (status) return status;
    struct json_place top = json_at(root, "processor_config.json"), image;
    status = json_enter(&image, &top, "image_processor", err);
    out->preprocess_found = !status && image.object;
    if (out->preprocess_found) status = read_preprocessor(out, &image, err);
    json_decref(root);
    return status;
}
