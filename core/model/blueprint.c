#include "core/model/blueprint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/names.h"
#include "core/model/positions.h"

enum { PREFIX_SIZE = 96, NAME_SIZE = 128, LAYERS_MAX = 512, SIDE_MAX = 512 };

/* What all steps need. */
struct draft {
    struct tensors *tensors;
    const struct names *names;
    const struct model_config *config;
    struct model_info *info;
    bool has_vision, has_text;
};

/* A number that the configuration states must be what the weights have. */
static enum status check_stated(const char *what, uint32_t stated, size_t found,
                                struct error *err) {
    if (!stated || stated == found) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "the configuration says %s %u, the weights have %zu", what, stated, found);
}

static enum status take_vector(struct draft *draft, const char *name, size_t width,
                               struct source *out, struct error *err) {
    size_t dims[1] = {width};
    enum status status = source_take(out, draft->tensors, name, dims, 1, err);
    draft->info->parameters += dims[0];
    return status;
}

static enum status take_matrix(struct draft *draft, const char *name, size_t dims[2],
                               struct source *out, struct error *err) {
    enum status status = source_take(out, draft->tensors, name, dims, 2, err);
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return status;
}

static enum status take_norm(struct draft *draft, const char *prefix, const char *layer,
                             size_t width, struct blueprint_norm *out, struct error *err) {
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s%s.weight", prefix, layer);
    enum status status = take_vector(draft, name, width, &out->gain, err);
    if (status) return status;
    snprintf(name, sizeof(name), "%s%s.bias", prefix, layer);
    return take_vector(draft, name, width, &out->bias, err);
}

/* Adds a part to a product; *n 0: as many rows as found. */
static enum status take_part(struct draft *draft, const char *weight, const char *bias, size_t *n,
                             size_t k, struct blueprint_linear *out, struct error *err) {
    size_t dims[2] = {*n, k}, part = out->parts++;
    enum status status = take_matrix(draft, weight, dims, &out->weights[part], err);
    if (status) return status;
    *n = dims[0];
    return take_vector(draft, bias, *n, &out->biases[part], err);
}

static enum status take_linear(struct draft *draft, const char *prefix, const char *layer,
                               size_t *n, size_t k, struct blueprint_linear *out,
                               struct error *err) {
    char weight[NAME_SIZE], bias[NAME_SIZE];
    snprintf(weight, sizeof(weight), "%s%s.weight", prefix, layer);
    snprintf(bias, sizeof(bias), "%s%s.bias", prefix, layer);
    return take_part(draft, weight, bias, n, k, out, err);
}

/* One tensor with the rows of q, k and v, or three. */
static enum status take_qkv(struct draft *draft, const char *prefix, size_t width,
                            struct blueprint_linear *out, struct error *err) {
    const struct names *names = draft->names;
    if (names->layer.qkv_weight) {
        char weight[NAME_SIZE], bias[NAME_SIZE];
        size_t n = 3 * width;
        snprintf(weight, sizeof(weight), "%s%s", prefix, names->layer.qkv_weight);
        snprintf(bias, sizeof(bias), "%s%s", prefix, names->layer.qkv_bias);
        return take_part(draft, weight, bias, &n, width, out, err);
    }
    const char *const parts[] = {names->layer.q, names->layer.k, names->layer.v};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 3 && !status; i++) {
        status = take_linear(draft, prefix, parts[i], &width, width, out, err);
    }
    return status;
}

/* LayerScale, when the file has it or the configuration says that it must. */
static enum status take_scale(struct draft *draft, const char *prefix, const char *layer,
                              bool stated, size_t width, struct source *out, struct error *err) {
    char name[NAME_SIZE];
    if (!layer) return STATUS_OK;
    snprintf(name, sizeof(name), "%s%s", prefix, layer);
    if (!stated && !tensors_find(draft->tensors, name)) return STATUS_OK;
    return take_vector(draft, name, width, out, err);
}

static enum status take_block(struct draft *draft, const char *prefix, size_t width,
                              size_t *mlp_width, bool scaled, struct blueprint_block *out,
                              struct error *err) {
    const struct names *names = draft->names;
    enum status status = take_norm(draft, prefix, names->layer.ln_1, width, &out->ln_1, err);
    if (!status) status = take_qkv(draft, prefix, width, &out->qkv, err);
    if (!status) {
        status = take_linear(draft, prefix, names->layer.out, &width, width, &out->out, err);
    }
    if (!status) status = take_norm(draft, prefix, names->layer.ln_2, width, &out->ln_2, err);
    if (!status) {
        status = take_linear(draft, prefix, names->layer.fc, mlp_width, width, &out->fc, err);
    }
    if (!status) {
        status = take_linear(draft, prefix, names->layer.proj, &width, *mlp_width, &out->proj, err);
    }
    if (!status) {
        status = take_scale(draft, prefix, names->layer.ls_1, scaled, width, &out->out.scale, err);
    }
    if (!status) {
        status = take_scale(draft, prefix, names->layer.ls_2, scaled, width, &out->proj.scale, err);
    }
    return status;
}

static void block_prefix(char prefix[PREFIX_SIZE], const char *pattern, uint32_t layer) {
    /* The patterns are this module's own: "visual.transformer.resblocks.%u.". */
    const char *number = strstr(pattern, "%u");
    snprintf(prefix, PREFIX_SIZE, "%.*s%u%s", (int)(number - pattern), pattern, layer, number + 2);
}

static uint32_t count_layers(const struct draft *draft, const char *pattern) {
    uint32_t layers = 0;
    for (; layers < LAYERS_MAX; layers++) {
        char name[PREFIX_SIZE];
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

static enum status set_heads(const struct draft *draft, const struct config_tower *config,
                             bool is_vision, struct model_tower *shape, struct error *err) {
    uint32_t head_width = draft->config->head_width;
    if (head_width)
        shape->heads = shape->width / head_width;
    else if (config->heads)
        shape->heads = config->heads;
    else
        shape->heads = default_heads(shape->width, shape->layers, is_vision);
    if (shape->heads && shape->width % shape->heads == 0) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "a %s tower of width %u cannot have %u heads, which must divide it",
                     is_vision ? "vision" : "text", shape->width, shape->heads);
}

static enum status take_blocks(struct draft *draft, const char *pattern, size_t width,
                               const struct config_tower *config, struct model_tower *shape,
                               struct blueprint_tower *out, struct error *err) {
    bool is_vision = config == &draft->config->vision;
    const char *tower = is_vision ? "vision" : "text";
    char what[48];
    shape->width = (uint32_t)width;
    shape->layers = count_layers(draft, pattern);
    shape->activation = config->activation;
    shape->layer_norm_eps = config->layer_norm_eps;
    if (!shape->layers) {
        return error_set(err, STATUS_UNPROCESSABLE, "the %s tower has no layer", tower);
    }
    snprintf(what, sizeof(what), "%s width", tower);
    enum status status = check_stated(what, config->width, width, err);
    snprintf(what, sizeof(what), "%s layers", tower);
    if (!status) status = check_stated(what, config->layers, shape->layers, err);
    if (!status) status = set_heads(draft, config, is_vision, shape, err);
    if (status) return status;
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    size_t mlp_width = config->mlp_width;
    for (uint32_t i = 0; i < shape->layers && !status; i++) {
        char prefix[PREFIX_SIZE];
        block_prefix(prefix, pattern, i);
        status =
            take_block(draft, prefix, width, &mlp_width, config->layer_scale, &out->blocks[i], err);
    }
    shape->mlp_width = (uint32_t)mlp_width;
    return status;
}

/* The last projection as a layer of its own, "text.text_projection.weight". */
static enum status take_projection_layer(struct draft *draft, const char *name, size_t dims[2],
                                         struct model_tower *shape, struct blueprint_linear *out,
                                         struct error *err) {
    char weight[NAME_SIZE], bias[NAME_SIZE];
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    enum status status = source_take(&out->weights[0], draft->tensors, weight, dims, 2, err);
    if (status || !tensors_find(draft->tensors, bias)) return status;
    shape->projection_bias = true;
    return take_vector(draft, bias, dims[0], &out->biases[0], err);
}

/* The last projection, [embed_dim, width] for us however it is stored. A tower that
 * stands alone may have none: then the pooled features are the embedding. */
static enum status take_projection(struct draft *draft, const char *name, struct model_tower *shape,
                                   struct blueprint_linear *out, struct error *err) {
    size_t width = shape->width, dims[2] = {draft->info->embed_dim, width};
    bool alone = !draft->has_vision || !draft->has_text;
    bool plain = tensors_find(draft->tensors, name) != NULL;
    char layer[NAME_SIZE];
    snprintf(layer, sizeof(layer), "%s.weight", name);
    bool layered = !plain && tensors_find(draft->tensors, layer);
    if (alone && !plain && !layered) {
        draft->info->embed_dim = (uint32_t)width;
        return STATUS_OK;
    }
    enum status status;
    if (layered)
        status = take_projection_layer(draft, name, dims, shape, out, err);
    else if (draft->names->proj_transposed)
        status = source_take_transposed(&out->weights[0], draft->tensors, name, dims, err);
    else
        status = source_take(&out->weights[0], draft->tensors, name, dims, 2, err);
    if (!status) status = check_stated("embed_dim", draft->config->embed_dim, dims[0], err);
    out->parts = 1;
    shape->projected = true;
    draft->info->embed_dim = (uint32_t)dims[0];
    draft->info->parameters += (uint64_t)dims[0] * dims[1];
    return status;
}

/* All of a source as f32; NULL without memory. The caller frees it. */
static float *read_all(const struct source *source, struct error *err) {
    size_t count;
    float *values = NULL;
    if (size_multiply(&count, source->rows, source->columns))
        values = calloc(count, sizeof(*values));
    if (values)
        source_read(source, 0, source->rows, values);
    else
        error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    return values;
}

/* ---- vision ---- */

/* The patches of the images that are wanted; the weights' own are `side` by `side`. */
static enum status choose_grid(struct draft *draft, uint32_t side, struct grid *wanted,
                               struct error *err) {
    struct model_info *info = draft->info;
    uint32_t patch = info->patch_size;
    bool own_size = !info->image_size;
    if (own_size) info->image_size = draft->config->image_size;
    if (!info->image_size) info->image_size = side * patch;
    if (!info->image_width) info->image_width = info->image_size;
    *wanted = (struct grid){.rows = info->image_size / patch, .columns = info->image_width / patch};
    uint32_t least = wanted->rows < wanted->columns ? wanted->rows : wanted->columns;
    uint32_t most = wanted->rows < wanted->columns ? wanted->columns : wanted->rows;
    if (!least || most > SIDE_MAX) {
        return error_set(err, STATUS_INVALID,
                         "image size %u makes %u patches of %u pixels a side, 1 to %d are expected",
                         info->image_size, wanted->rows, patch, SIDE_MAX);
    }
    if (info->naming == MODEL_NAMES_HF && own_size && wanted->rows != side) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "config.json says image size %u, the weights are for %u", info->image_size,
                         side * patch);
    }
    return STATUS_OK;
}

/* Positions for the grid that is wanted; interpolated when the checkpoint has
 * another. */
static enum status take_vision_positions(struct draft *draft, size_t width, struct blueprint *out,
                                         struct error *err) {
    size_t dims[2] = {0, width};
    struct source *positions = &out->vision.positions;
    enum status status = take_matrix(draft, draft->names->vision.positions, dims, positions, err);
    if (status) return status;
    uint32_t side = (uint32_t)lround(sqrt((double)(dims[0] - 1)));
    if (!side || side > SIDE_MAX || (size_t)side * side + 1 != dims[0]) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, one more than the square of 1 to %d is expected",
                         draft->names->vision.positions, dims[0], SIDE_MAX);
    }
    struct grid from = {.rows = side, .columns = side}, to;
    status = choose_grid(draft, side, &to, err);
    if (status || (to.rows == side && to.columns == side)) return status;
    size_t rows = 1 + (size_t)to.rows * to.columns;
    float *stored = read_all(positions, err), *resized = calloc(rows, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    memcpy(resized, stored, width * sizeof(*resized));
    if (draft->info->naming == MODEL_NAMES_HF)
        positions_resize_hf(resized + width, to, stored + width, from, width);
    else
        positions_resize_open_clip(resized + width, to, stored + width, from, width);
    free(stored);
    out->computed[0] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = rows, .columns = width};
    return STATUS_OK;
}

static enum status draw_vision(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct names *names = draft->names;
    const struct model_config *config = draft->config;
    size_t width[1] = {0}, patch[4] = {0, 3, 0, 0};
    enum status status = source_take(&out->class_embedding, draft->tensors,
                                     names->vision.class_embedding, width, 1, err);
    if (status) return status;
    patch[0] = width[0];
    status =
        source_take(&out->patch.weights[0], draft->tensors, names->vision.patch, patch, 4, err);
    if (!status) status = check_stated("patch size", config->patch_size, patch[2], err);
    if (status) return status;
    if (patch[2] != patch[3]) {
        return error_set(err, STATUS_UNPROCESSABLE, "patches of %zu x %zu pixels are not square",
                         patch[2], patch[3]);
    }
    out->patch.parts = 1;
    draft->info->patch_size = (uint32_t)patch[2];
    draft->info->parameters += width[0] + (uint64_t)width[0] * out->patch.weights[0].columns;
    draft->info->no_ln_pre = config->no_ln_pre;
    draft->info->patch_mean = config->patch_mean;
    if (!config->no_ln_pre) {
        status = take_norm(draft, "", names->vision.ln_pre, width[0], &out->ln_pre, err);
    }
    if (!status) {
        status = take_blocks(draft, names->vision.block, width[0], &config->vision,
                             &draft->info->vision, &out->vision, err);
    }
    if (!status) status = take_vision_positions(draft, width[0], out, err);
    if (!status) {
        status = take_norm(draft, "", names->vision.ln_post, width[0], &out->vision.ln_end, err);
    }
    if (!status) {
        status = take_projection(draft, names->vision.proj, &draft->info->vision,
                                 &out->vision.projection, err);
    }
    return status;
}

/* ---- text ---- */

/* open_clip resamples text positions when the configured context length differs. */
static enum status take_text_positions(struct draft *draft, size_t width, struct blueprint *out,
                                       struct error *err) {
    size_t dims[2] = {0, width};
    struct source *positions = &out->text.positions;
    enum status status = take_matrix(draft, draft->names->text.positions, dims, positions, err);
    if (status) return status;
    uint32_t wanted = draft->config->context_length, rows = (uint32_t)dims[0];
    draft->info->context_length = rows;
    if (draft->config->naming != MODEL_NAMES_OPEN_CLIP || !wanted || wanted == rows) {
        return check_stated("context length", wanted, rows, err);
    }
    float *stored = read_all(positions, err), *resized = calloc(wanted, width * sizeof(*resized));
    if (!stored || !resized) {
        free(stored);
        free(resized);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for position embeddings");
    }
    positions_resize_linear(resized, wanted, stored, rows, width);
    free(stored);
    out->computed[1] = resized;
    *positions = (struct source){
        .kind = SOURCE_COMPUTED, .computed = resized, .rows = wanted, .columns = width};
    draft->info->context_length = wanted;
    return STATUS_OK;
}

static enum status draw_text(struct draft *draft, struct blueprint *out, struct error *err) {
    const struct names *names = draft->names;
    const struct model_config *config = draft->config;
    struct model_info *info = draft->info;
    size_t dims[2] = {0, 0};
    enum status status = take_matrix(draft, names->text.embedding, dims, &out->embedding, err);
    if (!status) status = check_stated("vocabulary size", config->vocab_size, dims[0], err);
    if (status) return status;
    size_t width = dims[1];
    info->vocab_size = (uint32_t)dims[0];
    info->pooling = config->pooling;
    info->end_token = config->end_token;
    info->pad_token = config->pad_token;
    info->bidirectional = config->bidirectional;
    status =
        take_blocks(draft, names->text.block, width, &config->text, &info->text, &out->text, err);
    if (!status) status = take_text_positions(draft, width, out, err);
    if (!status) {
        status = take_norm(draft, "", names->text.ln_final, width, &out->text.ln_end, err);
    }
    if (!status) {
        status = take_projection(draft, names->text.proj, &info->text, &out->text.projection, err);
    }
    return status;
}

/* ---- the whole ---- */

/* A number of the whole model; *out stays as it is when there is none. */
static enum status take_number(struct draft *draft, const char *name, float *out,
                               struct error *err) {
    struct tensor *tensor = tensors_find(draft->tensors, name);
    if (!tensor) return STATUS_OK;
    size_t elements = tensor_elements(tensor);
    if (elements != 1 || !tensor_is_floating(tensor)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu elements of type %s, one of F32, F16 or BF16 is "
                         "expected",
                         name, elements, tensor_type_name(tensor->type));
    }
    tensor_widen(out, tensor, 0, 1);
    tensor->used = true;
    draft->info->parameters++;
    if (isfinite(expf(*out))) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "tensor %s is %g, whose exponential is no number",
                     name, (double)*out);
}

static enum status take_logit_numbers(struct draft *draft, struct error *err) {
    float exponent = logf(100), bias = 0;
    enum status status = take_number(draft, "logit_scale", &exponent, err);
    if (!status) status = take_number(draft, "logit_bias", &bias, err);
    draft->info->logit_scale = expf(exponent);
    draft->info->logit_bias = bias;
    return status;
}

/* A tower's tensor that nobody took means arithmetic that we would leave out. */
static enum status check_leftovers(const struct draft *draft, struct error *err) {
    const struct tensors *tensors = draft->tensors;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->list[i];
        if (tensor->used || names_ignorable(tensor->name) || !names_in_tower(tensor->name))
            continue;
        return error_set(err, STATUS_UNSUPPORTED,
                         "tensor %.160s is no part of a plain CLIP tower: this variant is not "
                         "supported",
                         tensor->name);
    }
    return STATUS_OK;
}

enum status blueprint_draw(struct blueprint *out, struct model_info *info, struct tensors *tensors,
                           const struct model_config *config, struct error *err) {
    struct draft draft = {.tensors = tensors, .config = config, .info = info};
    bool is_hf;
    *out = (struct blueprint){.computed = {NULL}};
    enum status status = names_recognise(&draft.names, &is_hf, tensors, err);
    if (status) return status;
    info->naming = config->found ? config->naming : is_hf ? MODEL_NAMES_HF : MODEL_NAMES_OPENAI;
    /* A tower that the configuration describes must be there: its first tensor will be
     * missed. One that it does not describe, but that is there, ends as a leftover. */
    draft.has_vision = config->found
                           ? config->vision.layers != 0
                           : tensors_find(tensors, draft.names->vision.class_embedding) != NULL;
    draft.has_text = config->found ? config->text.layers != 0
                                   : tensors_find(tensors, draft.names->text.embedding) != NULL;
    if (draft.has_vision) status = draw_vision(&draft, out, err);
    if (!status && draft.has_text) status = draw_text(&draft, out, err);
    if (!status) status = take_logit_numbers(&draft, err);
    if (!status) status = check_leftovers(&draft, err);
    return status;
}

void blueprint_free(struct blueprint *blueprint) {
    free(blueprint->vision.blocks);
    free(blueprint->text.blocks);
    for (size_t i = 0; i < 2; i++) free(blueprint->computed[i]);
    *blueprint = (struct blueprint){.computed = {NULL}};
}
