#include "core/model/draft_blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 512 };

/* One of the two towers, as names, configuration and shape tell of it. */
struct side {
    const char *name; /* for messages */
    bool is_vision;
    const char *block, *proj;
    bool proj_transposed;
    const struct layer_names *layer;
    const struct config_tower *config;
    struct model_tower *shape;
};

static struct side side_of(const struct draft *draft, enum plan_tower which) {
    const struct vision_names *vision = draft->names.vision;
    const struct text_names *text = draft->names.text;
    if (which == PLAN_VISION) {
        return (struct side){.name = "vision",
                             .is_vision = true,
                             .block = vision->block,
                             .proj = vision->proj,
                             .proj_transposed = vision->proj_transposed,
                             .layer = vision->layer,
                             .config = &draft->config->vision,
                             .shape = &draft->info->vision};
    }
    return (struct side){.name = "text",
                         .block = text->block,
                         .proj = text->proj,
                         .proj_transposed = text->proj_transposed,
                         .layer = text->layer,
                         .config = &draft->config->text,
                         .shape = &draft->info->text};
}

/* One tensor with the rows of q, k and v, or three. */
static enum status take_qkv(struct draft *draft, const struct layer_names *names,
                            const char *prefix, size_t width, struct blueprint_linear *out,
                            struct error *err) {
    if (names->qkv_weight) {
        char weight[DRAFT_NAME_SIZE], bias[DRAFT_NAME_SIZE];
        size_t n = 3 * width;
        snprintf(weight, sizeof(weight), "%s%s", prefix, names->qkv_weight);
        snprintf(bias, sizeof(bias), "%s%s", prefix, names->qkv_bias);
        return draft_take_part(draft, weight, bias, &n, width, out, err);
    }
    const char *const parts[] = {names->q, names->k, names->v};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 3 && !status; i++) {
        status = draft_take_linear(draft, prefix, parts[i], &width, width, out, err);
    }
    return status;
}

/* LayerScale, when the file has it or the configuration says that it must. */
static enum status take_scale(struct draft *draft, const char *prefix, const char *layer,
                              bool stated, size_t width, struct source *out, struct error *err) {
    char name[DRAFT_NAME_SIZE];
    if (!layer) return STATUS_OK;
    snprintf(name, sizeof(name), "%s%s", prefix, layer);
    if (!stated && !tensors_find(draft->tensors, name)) return STATUS_OK;
    return draft_take_vector(draft, name, width, out, err);
}

static enum status take_block(struct draft *draft, const struct side *side, const char *prefix,
                              size_t *mlp_width, struct blueprint_block *out, struct error *err) {
    const struct layer_names *names = side->layer;
    size_t width = side->shape->width;
    bool scaled = side->config->layer_scale;
    enum status status = draft_take_norm(draft, prefix, names->ln_1, width, &out->ln_1, err);
    if (!status) status = take_qkv(draft, names, prefix, width, &out->qkv, err);
    if (!status) {
        status = draft_take_linear(draft, prefix, names->out, &width, width, &out->out, err);
    }
    if (!status) status = draft_take_norm(draft, prefix, names->ln_2, width, &out->ln_2, err);
    if (!status) {
        status = draft_take_linear(draft, prefix, names->fc, mlp_width, width, &out->fc, err);
    }
    if (!status) {
        status = draft_take_linear(draft, prefix, names->proj, &width, *mlp_width, &out->proj, err);
    }
    if (!status) {
        status = take_scale(draft, prefix, names->ls_1, scaled, width, &out->out.scale, err);
    }
    if (!status) {
        status = take_scale(draft, prefix, names->ls_2, scaled, width, &out->proj.scale, err);
    }
    return status;
}

static void block_prefix(char prefix[DRAFT_NAME_SIZE], const char *pattern, uint32_t layer) {
    /* The patterns are this module's own: "visual.transformer.resblocks.%u.". */
    const char *number = strstr(pattern, "%u");
    snprintf(prefix, DRAFT_NAME_SIZE, "%.*s%u%s", (int)(number - pattern), pattern, layer,
             number + 2);
}

static uint32_t count_layers(const struct draft *draft, const char *pattern) {
    uint32_t layers = 0;
    for (; layers < LAYERS_MAX; layers++) {
        char name[DRAFT_NAME_SIZE];
        block_prefix(name, pattern, layers);
        if (!tensors_any_with_prefix(draft->tensors, name)) break;
    }
    return layers;
}

/* Heads by SPEC 1.3, when no configuration says how many. */
static uint32_t default_heads(uint32_t width, uint32_t layers, bool is_vision) {
    static const uint32_t sixteen[][2] = {
        {1280, 32}, {1408, 40}, {1664, 48}, {1792, 56}, {1152, 27}};
    for (size_t i = 0; is_vision && i < sizeof(sixteen) / sizeof(sixteen[0]); i++) {
        if (sixteen[i][0] == width && sixteen[i][1] == layers) return 16;
    }
    return width / 64;
}

static enum status set_heads(const struct draft *draft, const struct side *side,
                             struct error *err) {
    uint32_t head_width = draft->config->head_width;
    struct model_tower *shape = side->shape;
    if (head_width)
        shape->heads = shape->width / head_width;
    else if (side->config->heads)
        shape->heads = side->config->heads;
    else
        shape->heads = default_heads(shape->width, shape->layers, side->is_vision);
    if (shape->heads && shape->width % shape->heads == 0) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "a %s tower of width %u cannot have %u heads, which must divide it",
                     side->name, shape->width, shape->heads);
}

static enum status set_shape(const struct draft *draft, const struct side *side, size_t width,
                             struct error *err) {
    const struct config_tower *config = side->config;
    struct model_tower *shape = side->shape;
    char what[48];
    shape->width = (uint32_t)width;
    shape->layers = count_layers(draft, side->block);
    shape->activation = config->activation;
    shape->layer_norm_eps = config->layer_norm_eps;
    if (!shape->layers) {
        return error_set(err, STATUS_UNPROCESSABLE, "the %s tower has no layer", side->name);
    }
    snprintf(what, sizeof(what), "%s width", side->name);
    enum status status = draft_check_stated(what, config->width, width, err);
    snprintf(what, sizeof(what), "%s layers", side->name);
    if (!status) status = draft_check_stated(what, config->layers, shape->layers, err);
    return status ? status : set_heads(draft, side, err);
}

enum status draft_take_blocks(struct draft *draft, enum plan_tower which, size_t width,
                              struct blueprint_tower *out, struct error *err) {
    struct side side = side_of(draft, which);
    struct model_tower *shape = side.shape;
    enum status status = set_shape(draft, &side, width, err);
    if (status) return status;
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    size_t mlp_width = side.config->mlp_width;
    for (uint32_t i = 0; i < shape->layers && !status; i++) {
        char prefix[DRAFT_NAME_SIZE];
        block_prefix(prefix, side.block, i);
        status = take_block(draft, &side, prefix, &mlp_width, &out->blocks[i], err);
    }
    shape->mlp_width = (uint32_t)mlp_width;
    return status;
}

/* The last projection as a layer of its own, "text.text_projection.weight". */
static enum status take_projection_layer(struct draft *draft, const char *name, size_t dims[2],
                                         struct model_tower *shape, struct blueprint_linear *out,
                                         struct error *err) {
    char weight[DRAFT_NAME_SIZE], bias[DRAFT_NAME_SIZE];
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    enum status status = source_take(&out->weights[0], draft->tensors, weight, dims, 2, err);
    if (status || !tensors_find(draft->tensors, bias)) return status;
    shape->projection_bias = true;
    return draft_take_vector(draft, bias, dims[0], &out->biases[0], err);
}

enum status draft_take_projection(struct draft *draft, enum plan_tower which,
                                  struct blueprint_linear *out, struct error *err) {
    struct side side = side_of(draft, which);
    struct model_tower *shape = side.shape;
    const char *name = side.proj;
    size_t width = shape->width, dims[2] = {draft->info->embed_dim, width};
    bool alone = !draft->has_vision || !draft->has_text;
    bool plain = tensors_find(draft->tensors, name) != NULL;
    char layer[DRAFT_NAME_SIZE];
    snprintf(layer, sizeof(layer), "%s.weight", name);
    bool layered = !plain && tensors_find(draft->tensors, layer);
    if (alone && !plain && !layered) {
        draft->info->embed_dim = (uint32_t)width;
        return STATUS_OK;
    }
    enum status status;
    if (layered)
        status = take_projection_layer(draft, name, dims, shape, out, err);
    else if (side.proj_transposed)
        status = source_take_transposed(&out->weights[0], draft->tensors, name, dims, err);
    else
        status = source_take(&out->weights[0], draft->tensors, name, dims, 2, err);
    if (!status) status = draft_check_stated("embed_dim", draft->config->embed_dim, dims[0], err);
    out->parts = 1;
    shape->projected = true;
    draft->info->embed_dim = (uint32_t)dims[0];
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return status;
}
