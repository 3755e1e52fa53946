#include "core/checkpoint/config_apple.h"

#include <string.h>

#include "core/checkpoint/config_open_clip.h"
#include "core/checkpoint/config_tower.h"
#include "core/checkpoint/families.h"

enum { MCI_SIZE = 256, VIT_HEADS = 12 };

static void set_bilinear(struct model_preprocess *preprocess, bool normalise) {
    preprocess->convert_first = false;
    preprocess->filter = 2;
    for (int i = 0; i < 3 && !normalise; i++) {
        preprocess->mean[i] = 0;
        preprocess->std[i] = 1;
    }
}

/* What all of the first MobileCLIPs have in common. */
static void begin(struct model_config *out) {
    out->found = true;
    out->naming = MODEL_NAMES_OPEN_CLIP;
    out->vision.activation = out->text.activation = MODEL_GELU_ERF;
    set_bilinear(&out->preprocess, false);
}

static enum status read_image(struct model_config *out, const struct json_place *top,
                              struct error *err) {
    static const char *const known[] = {"vit_b16", "mci0", "mci1", "mci2"};
    struct json_place image;
    const char *name = "";
    out->vision.present = true;
    enum status status = json_enter(&image, top, "image_cfg", err);
    if (!status) status = json_read_string(&image, "model_name", &name, err);
    if (!status)
        status = json_read_u32(&image, "image_size", 1, CONFIG_SIZE_MAX, &out->image_size, err);
    if (status) return status;
    if (!strcmp(name, known[0])) out->vision.heads = VIT_HEADS;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!strcmp(name, known[i])) return STATUS_OK;
    }
    return error_set(
        err, STATUS_UNSUPPORTED,
        "%s.model_name is \"%.24s\", supported are \"vit_b16\", \"mci0\", \"mci1\" and "
        "\"mci2\"",
        image.path, name);
}

/* Of "mct" the first and the last layer are convolutions, which its layers do not count. */
static enum status read_text(struct model_config *out, const struct json_place *top,
                             struct error *err) {
    static const struct config_refusal refusals[] = {{"no_pos_embedding", "a text tower without "
                                                                          "positions"}};
    struct json_place text;
    struct config_tower *tower = &out->text;
    const char *name = "base";
    bool causal = false;
    tower->present = true;
    enum status status = json_enter(&text, top, "text_cfg", err);
    if (!status) status = config_tower_refuse(&text, refusals, 1, err);
    if (!status) status = json_read_string(&text, "model_name", &name, err);
    if (!status) status = json_read_u32(&text, "dim", 1, CONFIG_SIZE_MAX, &tower->width, err);
    if (!status)
        status = json_read_u32(&text, "n_heads_per_layer", 1, CONFIG_SIZE_MAX, &tower->heads, err);
    if (!status)
        status =
            json_read_u32(&text, "n_transformer_layers", 1, CONFIG_LAYERS_MAX, &tower->layers, err);
    if (!status)
        status =
            json_read_u32(&text, "context_length", 2, CONFIG_SIZE_MAX, &out->context_length, err);
    if (!status)
        status = json_read_u32(&text, "vocab_size", 2, CONFIG_VOCAB_MAX, &out->vocab_size, err);
    if (!status) status = json_read_bool(&text, "causal_masking", &causal, err);
    if (status) return status;
    out->bidirectional = !causal;
    if (!strcmp(name, "base")) return STATUS_OK;
    if (!strcmp(name, "mct")) {
        if (tower->layers) tower->layers += 2;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s.model_name is \"%.24s\", supported are \"base\" and \"mct\"", text.path,
                     name);
}

/* Of preprocessing there is nothing in the file (SPEC 4.2 has it); what is not named here has
 * OpenCLIP's defaults. */
static enum status read_second(struct model_config *out, const struct json_place *top,
                               struct error *err) {
    static const struct {
        const char *prefix;
        bool normalise;
    } known[] = {{"fastvit_mci3", true},
                 {"fastvit_mci4", true},
                 {"fastvit_mci", false},
                 {"vit_base_mci_", false}};
    struct json_place vision;
    const char *name = "";
    out->preprocess.convert_first = false;
    enum status status = config_open_clip_read(out, top, err);
    if (!status) status = json_enter(&vision, top, "vision_cfg", err);
    if (!status) status = json_read_string(&vision, "timm_model_name", &name, err);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !status; i++) {
        if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) != 0) continue;
        set_bilinear(&out->preprocess, known[i].normalise);
        break;
    }
    return status;
}

bool config_apple_is(const struct json_place *top) {
    bool named = json_is_set(top, "model_type"); /* transformers' */
    return !named && (json_is_set(top, "image_cfg") || json_is_set(top, "vision_cfg"));
}

enum status config_apple_read(struct model_config *out, const struct json_place *top,
                              struct error *err) {
    if (json_is_set(top, "vision_cfg")) return read_second(out, top, err);
    begin(out);
    enum status status = json_read_u32(top, "embed_dim", 1, CONFIG_SIZE_MAX, &out->embed_dim, err);
    if (!status) status = read_image(out, top, err);
    return status ? status : read_text(out, top, err);
}

/* Only the texts beside the ViT are causal. */
void config_apple_assume(struct model_config *out, const struct tensors *tensors) {
    bool image = tensors_any_with_prefix(tensors, "image_encoder.model."),
         text = tensors_any_with_prefix(tensors, "text_encoder."),
         vit = tensors_any_with_prefix(tensors, "image_encoder.model.patch_emb.");
    if (out->found || (!image && !text)) return;
    begin(out);
    out->vision.present = image;
    out->text.present = text;
    out->image_size = vit ? 0 : MCI_SIZE;
    out->vision.heads = vit ? VIT_HEADS : 0;
    out->bidirectional = !vit;
}
