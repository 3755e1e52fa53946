#include "core/model/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/names.h"

enum { NAME_SIZE = 128, LAYERS_MAX = 512, SIDE_MAX = 512 };

/* The loader's own: what all steps need. */
struct loader {
    struct weights *weights;
    const struct names *names;
    const struct model_config *config;
    struct model_info *info;
    uint32_t image_size;
    bool has_vision, has_text;
};

/* A number that the configuration states must be what the weights have. */
static enum status check_stated(const char *what, uint32_t stated, size_t found,
                                struct error *err) {
    if (!stated || stated == found) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "the configuration says %s %u, the weights have %zu", what, stated, found);
}

static enum status take_vector(struct loader *loader, const char *name, size_t width,
                               const float **out, struct error *err) {
    size_t dims[1] = {width};
    return weights_take(loader->weights, name, dims, 1, out, err);
}

static enum status take_layer_norm(struct loader *loader, const char *prefix, const char *layer,
                                   size_t width, struct layer_norm *out, struct error *err) {
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s%s.weight", prefix, layer);
    enum status status = take_vector(loader, name, width, &out->gain, err);
    if (status) return status;
    snprintf(name, sizeof(name), "%s%s.bias", prefix, layer);
    return take_vector(loader, name, width, &out->bias, err);
}

/* n or k 0: as found. */
static enum status take_linear(struct loader *loader, const char *prefix, const char *layer,
                               size_t n, size_t k, struct linear *out, struct error *err) {
    char name[NAME_SIZE];
    size_t dims[2] = {n, k};
    snprintf(name, sizeof(name), "%s%s.weight", prefix, layer);
    enum status status = weights_take(loader->weights, name, dims, 2, &out->weight, err);
    if (status) return status;
    out->n = dims[0];
    out->k = dims[1];
    snprintf(name, sizeof(name), "%s%s.bias", prefix, layer);
    return take_vector(loader, name, out->n, &out->bias, err);
}

/* One tensor with the rows of q, k and v: three views of it. */
static enum status take_fused_qkv(struct loader *loader, const char *prefix, size_t width,
                                  struct block *out, struct error *err) {
    char name[NAME_SIZE];
    size_t dims[2] = {3 * width, width};
    const float *weight, *bias;
    snprintf(name, sizeof(name), "%s%s", prefix, loader->names->layer.qkv_weight);
    enum status status = weights_take(loader->weights, name, dims, 2, &weight, err);
    if (status) return status;
    snprintf(name, sizeof(name), "%s%s", prefix, loader->names->layer.qkv_bias);
    status = take_vector(loader, name, 3 * width, &bias, err);
    if (status) return status;
    struct linear *parts[] = {&out->q, &out->k, &out->v};
    for (size_t i = 0; i < 3; i++) {
        *parts[i] = (struct linear){
            .weight = weight + i * width * width, .bias = bias + i * width, .n = width, .k = width};
    }
    return STATUS_OK;
}

static enum status take_qkv(struct loader *loader, const char *prefix, size_t width,
                            struct block *out, struct error *err) {
    if (loader->names->layer.qkv_weight) return take_fused_qkv(loader, prefix, width, out, err);
    enum status status =
        take_linear(loader, prefix, loader->names->layer.q, width, width, &out->q, err);
    if (!status) {
        status = take_linear(loader, prefix, loader->names->layer.k, width, width, &out->k, err);
    }
    if (!status) {
        status = take_linear(loader, prefix, loader->names->layer.v, width, width, &out->v, err);
    }
    return status;
}

static enum status take_block(struct loader *loader, const char *prefix, size_t width,
                              size_t *mlp_width, struct block *out, struct error *err) {
    const struct names *names = loader->names;
    enum status status = take_layer_norm(loader, prefix, names->layer.ln_1, width, &out->ln_1, err);
    if (!status) status = take_qkv(loader, prefix, width, out, err);
    if (!status) {
        status = take_linear(loader, prefix, names->layer.out, width, width, &out->out, err);
    }
    if (!status) {
        status = take_layer_norm(loader, prefix, names->layer.ln_2, width, &out->ln_2, err);
    }
    if (!status) {
        status = take_linear(loader, prefix, names->layer.fc, *mlp_width, width, &out->fc, err);
    }
    if (status) return status;
    *mlp_width = out->fc.n;
    return take_linear(loader, prefix, names->layer.proj, width, *mlp_width, &out->proj, err);
}

static void block_prefix(char prefix[NAME_SIZE], const char *pattern, uint32_t layer) {
    /* The patterns are this module's own: "visual.transformer.resblocks.%u.". */
    const char *number = strstr(pattern, "%u");
    snprintf(prefix, NAME_SIZE, "%.*s%u%s", (int)(number - pattern), pattern, layer, number + 2);
}

static uint32_t count_layers(const struct loader *loader, const char *pattern) {
    uint32_t layers = 0;
    for (; layers < LAYERS_MAX; layers++) {
        char name[NAME_SIZE];
        block_prefix(name, pattern, layers);
        if (!tensors_any_with_prefix(loader->weights->tensors, name)) break;
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

static enum status set_heads(const struct loader *loader, const struct config_tower *config,
                             bool is_vision, struct model_tower *shape, struct error *err) {
    uint32_t head_width = loader->config->head_width;
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

static enum status take_transformer(struct loader *loader, const char *pattern, size_t width,
                                    const struct config_tower *config, const char *tower,
                                    struct transformer *out, struct error *err) {
    struct model_tower *shape = &out->shape;
    char what[48];
    shape->width = (uint32_t)width;
    shape->layers = count_layers(loader, pattern);
    shape->activation = config->activation;
    shape->layer_norm_eps = config->layer_norm_eps;
    if (!shape->layers) {
        return error_set(err, STATUS_UNPROCESSABLE, "the %s tower has no layer", tower);
    }
    snprintf(what, sizeof(what), "%s width", tower);
    enum status status = check_stated(what, config->width, width, err);
    snprintf(what, sizeof(what), "%s layers", tower);
    if (!status) status = check_stated(what, config->layers, shape->layers, err);
    if (status) return status;
    status = set_heads(loader, config, config == &loader->config->vision, shape, err);
    if (status) return status;
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    size_t mlp_width = config->mlp_width;
    for (uint32_t i = 0; i < shape->layers && !status; i++) {
        char prefix[NAME_SIZE];
        block_prefix(prefix, pattern, i);
        status = take_block(loader, prefix, width, &mlp_width, &out->blocks[i], err);
    }
    shape->mlp_width = (uint32_t)mlp_width;
    return status;
}

/* The last projection, [embed_dim, width] for us however it is stored. A tower that
 * stands alone may have none: then the pooled features are the embedding. */
static enum status take_projection(struct loader *loader, const char *name, size_t width,
                                   struct linear *out, struct error *err) {
    size_t dims[2] = {loader->info->embed_dim, width};
    bool alone = !loader->has_vision || !loader->has_text;
    if (alone && !tensors_find(loader->weights->tensors, name)) {
        dims[0] = width;
    } else {
        enum status status =
            loader->names->proj_transposed
                ? weights_take_transposed(loader->weights, name, dims, &out->weight, err)
                : weights_take(loader->weights, name, dims, 2, &out->weight, err);
        if (!status) status = check_stated("embed_dim", loader->config->embed_dim, dims[0], err);
        if (status) return status;
    }
    out->n = dims[0];
    out->k = dims[1];
    loader->info->embed_dim = (uint32_t)dims[0];
    return STATUS_OK;
}

/* ---- vision ---- */

/* Positions for the grid that is wanted; interpolated when the checkpoint has
 * another. */
static enum status take_vision_positions(struct loader *loader, struct vision *out,
                                         struct error *err) {
    size_t width = out->transformer.shape.width, dims[2] = {0, width};
    const float *stored;
    enum status status =
        weights_take(loader->weights, loader->names->vision.positions, dims, 2, &stored, err);
    if (status) return status;
    uint32_t side = (uint32_t)lround(sqrt((double)(dims[0] - 1)));
    if (!side || side > SIDE_MAX || (size_t)side * side + 1 != dims[0]) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu rows, one more than the square of 1 to %d is expected",
                         loader->names->vision.positions, dims[0], SIDE_MAX);
    }
    struct grid from = {.rows = side, .columns = side};
    uint32_t size = loader->image_size ? loader->image_size : loader->config->image_size;
    uint32_t wanted = size ? size / out->patch_size : side;
    if (!wanted || wanted > SIDE_MAX) {
        return error_set(err, STATUS_INVALID,
                         "image size %u makes %u patches of %u pixels a side, 1 to %d are expected",
                         size, wanted, out->patch_size, SIDE_MAX);
    }
    bool is_hf = loader->info->naming == MODEL_NAMES_HF;
    if (is_hf && !loader->image_size && wanted != side) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "config.json says image size %u, the weights are for %u", size,
                         side * out->patch_size);
    }
    out->image_size = size ? size : side * out->patch_size;
    loader->info->image_size = out->image_size;
    out->grid = (struct grid){.rows = wanted, .columns = wanted};
    out->positions = stored;
    if (wanted == side) return STATUS_OK;
    float *resized = weights_allocate(loader->weights, (1 + vision_patches(out)) * width, err);
    if (!resized) return STATUS_NO_MEMORY;
    memcpy(resized, stored, width * sizeof(*resized));
    if (is_hf)
        positions_resize_hf(resized + width, out->grid, stored + width, from, width);
    else
        positions_resize_open_clip(resized + width, out->grid, stored + width, from, width);
    out->positions = resized;
    return STATUS_OK;
}

static enum status load_vision(struct loader *loader, struct vision *out, struct error *err) {
    const struct names *names = loader->names;
    const struct model_config *config = loader->config;
    size_t width[1] = {0}, patch[4] = {0, 3, 0, 0};
    enum status status = weights_take(loader->weights, names->vision.class_embedding, width, 1,
                                      &out->class_embedding, err);
    if (status) return status;
    patch[0] = width[0];
    status = weights_take(loader->weights, names->vision.patch, patch, 4, &out->patch.weight, err);
    if (!status) status = check_stated("patch size", config->patch_size, patch[2], err);
    if (status) return status;
    if (patch[2] != patch[3]) {
        return error_set(err, STATUS_UNPROCESSABLE, "patches of %zu x %zu pixels are not square",
                         patch[2], patch[3]);
    }
    out->patch_size = (uint32_t)patch[2];
    out->patch.n = width[0];
    out->patch.k = 3 * patch[2] * patch[3];
    loader->info->patch_size = out->patch_size;
    status = take_layer_norm(loader, "", names->vision.ln_pre, width[0], &out->ln_pre, err);
    if (!status) {
        status = take_transformer(loader, names->vision.block, width[0], &config->vision, "vision",
                                  &out->transformer, err);
    }
    if (!status) status = take_vision_positions(loader, out, err);
    if (!status) {
        status = take_layer_norm(loader, "", names->vision.ln_post, width[0], &out->ln_post, err);
    }
    if (!status) {
        status = take_projection(loader, names->vision.proj, width[0], &out->proj, err);
    }
    loader->info->vision = out->transformer.shape;
    return status;
}

/* ---- text ---- */

/* open_clip resamples text positions when the configured context length differs. */
static enum status take_text_positions(struct loader *loader, struct text *out, struct error *err) {
    size_t width = out->transformer.shape.width, dims[2] = {0, width};
    const float *stored;
    enum status status =
        weights_take(loader->weights, loader->names->text.positions, dims, 2, &stored, err);
    if (status) return status;
    uint32_t wanted = loader->config->context_length, rows = (uint32_t)dims[0];
    bool resample = loader->config->naming == MODEL_NAMES_OPEN_CLIP && wanted && wanted != rows;
    if (!resample) {
        status = check_stated("context length", wanted, rows, err);
        out->positions = stored;
        out->context_length = rows;
        return status;
    }
    float *resized = weights_allocate(loader->weights, wanted * width, err);
    if (!resized) return STATUS_NO_MEMORY;
    positions_resize_linear(resized, wanted, stored, rows, width);
    out->positions = resized;
    out->context_length = wanted;
    return STATUS_OK;
}

static enum status load_text(struct loader *loader, struct text *out, struct error *err) {
    const struct names *names = loader->names;
    const struct model_config *config = loader->config;
    size_t dims[2] = {0, 0};
    enum status status =
        weights_take(loader->weights, names->text.embedding, dims, 2, &out->embedding, err);
    if (!status) status = check_stated("vocabulary size", config->vocab_size, dims[0], err);
    if (status) return status;
    out->vocab_size = (uint32_t)dims[0];
    out->pooling = config->pooling;
    out->end_token = config->end_token;
    out->transformer.causal = true;
    status = take_transformer(loader, names->text.block, dims[1], &config->text, "text",
                              &out->transformer, err);
    if (!status) status = take_text_positions(loader, out, err);
    if (!status) {
        status = take_layer_norm(loader, "", names->text.ln_final, dims[1], &out->ln_final, err);
    }
    if (!status) status = take_projection(loader, names->text.proj, dims[1], &out->proj, err);
    loader->info->text = out->transformer.shape;
    loader->info->context_length = out->context_length;
    loader->info->vocab_size = out->vocab_size;
    loader->info->pooling = out->pooling;
    loader->info->end_token = out->end_token;
    return status;
}

/* ---- the whole ---- */

/* A number of the whole model; *out stays as it is when there is none. */
static enum status take_number(struct loader *loader, const char *name, float *out,
                               struct error *err) {
    struct tensor *tensor = tensors_find(loader->weights->tensors, name);
    if (!tensor) return STATUS_OK;
    size_t elements = tensor_elements(tensor);
    bool floating =
        tensor->type == TENSOR_F32 || tensor->type == TENSOR_F16 || tensor->type == TENSOR_BF16;
    if (elements != 1 || !floating) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu elements of type %s, one of F32, F16 or BF16 is "
                         "expected",
                         name, elements, tensor_type_name(tensor->type));
    }
    tensor_widen(out, tensor, 0, 1);
    tensor->used = true;
    loader->weights->parameters++;
    if (isfinite(expf(*out))) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "tensor %s is %g, whose exponential is no number",
                     name, (double)*out);
}

static enum status take_logit_numbers(struct loader *loader, struct error *err) {
    float exponent = logf(100), bias = 0;
    enum status status = take_number(loader, "logit_scale", &exponent, err);
    if (!status) status = take_number(loader, "logit_bias", &bias, err);
    loader->info->logit_scale = expf(exponent);
    loader->info->logit_bias = bias;
    return status;
}

/* A tower's tensor that nobody took means arithmetic that we would leave out. */
static enum status check_leftovers(const struct loader *loader, struct error *err) {
    const struct tensors *tensors = loader->weights->tensors;
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

enum status load_towers(struct vision *vision, struct text *text, struct model_info *info,
                        struct weights *weights, const struct model_config *config,
                        uint32_t image_size, struct error *err) {
    struct loader loader = {
        .weights = weights, .config = config, .info = info, .image_size = image_size};
    bool is_hf;
    enum status status = names_recognise(&loader.names, &is_hf, weights->tensors, err);
    if (status) return status;
    info->naming = config->found ? config->naming : is_hf ? MODEL_NAMES_HF : MODEL_NAMES_OPENAI;
    /* A tower that the configuration describes must be there: its first tensor will be
     * missed. One that it does not describe, but that is there, ends as a leftover. */
    loader.has_vision = config->found ? config->vision.layers != 0
                                      : tensors_find(weights->tensors,
                                                     loader.names->vision.class_embedding) != NULL;
    loader.has_text = config->found
                          ? config->text.layers != 0
                          : tensors_find(weights->tensors, loader.names->text.embedding) != NULL;
    if (loader.has_vision) status = load_vision(&loader, vision, err);
    if (!status && loader.has_text) status = load_text(&loader, text, err);
    if (!status) status = take_logit_numbers(&loader, err);
    if (!status) status = check_leftovers(&loader, err);
    info->parameters = weights->parameters;
    return status;
}
