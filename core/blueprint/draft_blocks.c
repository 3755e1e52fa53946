#include "core/blueprint/draft_blocks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blueprint/draft_mixer.h"
#include "core/kernels/gemm.h"

enum { LAYERS_MAX = 512, WIDTH_MAX = GEMM_K_MAX };

/* One of the two towers, as names, configuration and shape tell of it. */
struct side {
    const char *name; /* for messages */
    bool is_vision;
    bool is_bert;
    bool pruned; /* parts may be missing, and stated widths are those before */
    const char *block, *proj;
    bool proj_transposed;
    float layer_norm_eps; /* of this naming scheme, or 0 */
    const struct layer_names *layer;
    const struct config_tower *config;
    struct model_tower *shape;
};

/* What transformers' classes have when nothing else is said; 0: it is no such tower. */
static float bert_eps(const struct draft *draft) {
    if (!draft->names.text->is_bert) return 0;
    return draft->info->text_tower == MODEL_TEXT_ROBERTA ? 1e-5f : 1e-12f;
}

static struct side side_of(const struct draft *draft, enum plan_tower which) {
    const struct vision_names *vision = draft->names.vision;
    const struct text_names *text = draft->names.text;
    if (which == PLAN_VISION) {
        return (struct side){.name = "vision",
                             .is_vision = true,
                             .pruned = draft->pruned || draft->config->vision.pruned,
                             .block = vision->block,
                             .proj = vision->proj,
                             .proj_transposed = vision->proj_transposed,
                             .layer_norm_eps = vision->layer_norm_eps,
                             .layer = vision->layer,
                             .config = &draft->config->vision,
                             .shape = &draft->info->vision};
    }
    return (struct side){.name = "text",
                         .pruned = draft->pruned || draft->config->text.pruned,
                         .block = text->block,
                         .proj = text->proj,
                         .proj_transposed = text->proj_transposed,
                         .layer_norm_eps = bert_eps(draft),
                         .is_bert = text->is_bert,
                         .layer = text->layer,
                         .config = &draft->config->text,
                         .shape = &draft->info->text};
}

static bool has_tensor(const struct draft *draft, const char *prefix, const char *layer,
                       const char *part) {
    char name[DRAFT_NAME_SIZE];
    snprintf(name, sizeof(name), "%s%s%s", prefix, layer, part);
    return tensors_find(draft->tensors, name) != NULL;
}

/* The columns of q, k and v: all of the width, or as many heads as pruning has left. */
static size_t attention_width(const struct draft *draft, const struct side *side,
                              const char *prefix) {
    char name[DRAFT_NAME_SIZE];
    const struct model_tower *shape = side->shape;
    size_t whole = (size_t)shape->heads * shape->head_width, unit = 3 * (size_t)shape->head_width;
    if (!side->layer->qkv_bias) return whole;
    snprintf(name, sizeof(name), "%s%s", prefix, side->layer->qkv_weight);
    const struct tensor *tensor = tensors_find(draft->tensors, name);
    bool fits = tensor && tensor->rank == 2 && tensor->shape[1] == shape->width &&
                tensor->shape[0] && tensor->shape[0] % unit == 0 &&
                tensor->shape[0] / 3 <= WIDTH_MAX;
    return fits ? tensor->shape[0] / 3 : whole;
}

/* EVA: one tensor with the rows of q, k and v, a bias for the first and one for the last. */
static enum status take_eva_qkv(struct draft *draft, const struct layer_names *names,
                                const char *prefix, size_t width, struct blueprint_linear *out,
                                struct error *err) {
    const char *const biases[] = {names->q_bias, NULL, names->v_bias};
    char name[DRAFT_NAME_SIZE];
    size_t dims[2] = {3 * width, width};
    struct source whole;
    snprintf(name, sizeof(name), "%s%s", prefix, names->qkv_weight);
    enum status status = draft_take_matrix(draft, name, dims, &whole, err);
    for (size_t i = 0; i < 3 && !status; i++) {
        out->weights[i] = source_rows(&whole, i * width, width);
        if (!biases[i]) continue;
        snprintf(name, sizeof(name), "%s%s", prefix, biases[i]);
        status = draft_take_vector(draft, name, width, &out->biases[i], err);
    }
    out->parts = 3;
    return status;
}

/* One tensor with the rows of q, k and v, or three. */
static enum status take_qkv(struct draft *draft, const struct side *side, const char *prefix,
                            size_t columns, struct blueprint_linear *out, struct error *err) {
    const struct layer_names *names = side->layer;
    size_t width = side->shape->width;
    if (names->q_bias) return take_eva_qkv(draft, names, prefix, columns, out, err);
    if (names->qkv_weight) {
        char weight[DRAFT_NAME_SIZE], bias[DRAFT_NAME_SIZE];
        size_t n = 3 * columns;
        snprintf(weight, sizeof(weight), "%s%s", prefix, names->qkv_weight);
        snprintf(bias, sizeof(bias), "%s%s", prefix, names->qkv_bias);
        return draft_take_part(draft, weight, bias, &n, width, out, err);
    }
    const char *const parts[] = {names->q, names->k, names->v};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 3 && !status; i++) {
        status = names->no_k_bias && i == 1
                     ? draft_take_product(draft, prefix, parts[i], &columns, width, out, err)
                     : draft_take_linear(draft, prefix, parts[i], &columns, width, out, err);
    }
    return status;
}

/* LayerScale, when the file has it or the configuration says that it must. */
static enum status take_scale(struct draft *draft, const struct side *side, const char *prefix,
                              const char *layer, struct source *out, struct error *err) {
    char name[DRAFT_NAME_SIZE];
    if (!layer) return STATUS_OK;
    snprintf(name, sizeof(name), "%s%s", prefix, layer);
    if (!side->config->layer_scale && !tensors_find(draft->tensors, name)) return STATUS_OK;
    return draft_take_vector(draft, name, side->shape->width, out, err);
}

/* True when pruning has removed the half of a block that ends with the product `last`. Its
 * LayerNorm, should it be there, is then nobody's. */
static bool is_cut_off(const struct draft *draft, const struct side *side, const char *prefix,
                       const char *norm, const char *last) {
    static const char *const parts[] = {".weight", ".bias"};
    if (!side->pruned || has_tensor(draft, prefix, last, parts[0])) return false;
    for (size_t i = 0; i < 2; i++) {
        char name[DRAFT_NAME_SIZE];
        snprintf(name, sizeof(name), "%s%s%s", prefix, norm, parts[i]);
        struct tensor *tensor = tensors_find(draft->tensors, name);
        if (tensor) tensor->used = true;
    }
    return true;
}

static enum status take_attention(struct draft *draft, const struct side *side, const char *prefix,
                                  struct blueprint_block *out, uint32_t *heads, struct error *err) {
    const struct layer_names *names = side->layer;
    size_t width = side->shape->width, columns = attention_width(draft, side, prefix);
    *heads = 0;
    if (is_cut_off(draft, side, prefix, names->ln_1, names->out)) return STATUS_OK;
    *heads = (uint32_t)(columns / side->shape->head_width);
    enum status status = draft_take_norm(draft, prefix, names->ln_1, width, &out->ln_1, err);
    if (!status) status = take_qkv(draft, side, prefix, columns, &out->qkv, err);
    if (!status) {
        status = draft_take_linear(draft, prefix, names->out, &width, columns, &out->out, err);
    }
    if (!status && names->ln_out) {
        status = draft_take_norm(draft, prefix, names->ln_out, columns, &out->ln_out, err);
    }
    return status ? status : take_scale(draft, side, prefix, names->ls_1, &out->out.scale, err);
}

static enum status take_mlp(struct draft *draft, const struct side *side, const char *prefix,
                            struct blueprint_block *out, uint32_t *mlp_width, struct error *err) {
    const struct layer_names *names = side->layer;
    size_t width = side->shape->width, columns = side->config->mlp_width;
    *mlp_width = 0;
    if (is_cut_off(draft, side, prefix, names->ln_2, names->proj)) return STATUS_OK;
    enum status status = draft_take_norm(draft, prefix, names->ln_2, width, &out->ln_2, err);
    if (!status) {
        status = draft_take_linear(draft, prefix, names->fc, &columns, width, &out->fc, err);
    }
    if (!status && columns > WIDTH_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED, "an MLP %zu wide, up to %d are supported",
                           columns, WIDTH_MAX);
    }
    if (!status) {
        status = draft_take_linear(draft, prefix, names->proj, &width, columns, &out->proj, err);
    }
    if (!status && names->gate) {
        status = draft_take_linear(draft, prefix, names->gate, &columns, width, &out->gate, err);
    }
    if (!status && names->ln_proj) {
        status = draft_take_norm(draft, prefix, names->ln_proj, columns, &out->ln_proj, err);
    }
    *mlp_width = (uint32_t)columns;
    return status ? status : take_scale(draft, side, prefix, names->ls_2, &out->proj.scale, err);
}

static void block_prefix(char prefix[DRAFT_NAME_SIZE], const char *pattern, uint32_t layer) {
    /* The patterns are this module's own: "visual.transformer.resblocks.%u.". */
    const char *number = strstr(pattern, "%u");
    snprintf(prefix, DRAFT_NAME_SIZE, "%.*s%u%s", (int)(number - pattern), pattern, layer,
             number + 2);
}

/* As many as are there one after the other; after pruning some may be gone. */
static uint32_t count_layers(const struct draft *draft, const struct side *side) {
    uint32_t layers = 0;
    for (uint32_t i = 0; i < LAYERS_MAX && (i == layers || side->pruned); i++) {
        char name[DRAFT_NAME_SIZE];
        block_prefix(name, side->block, i);
        if (tensors_any_with_prefix(draft->tensors, name)) layers = i + 1;
    }
    return side->pruned && side->config->layers ? side->config->layers : layers;
}

/* Heads by SPEC 1.3, when no configuration says how many. */
static uint32_t default_heads(uint32_t width, uint32_t layers, bool is_vision) {
    static const uint32_t sixteen[][2] = {{1280, 32}, {1408, 40}, {1664, 48},
                                          {1792, 56}, {1792, 64}, {1152, 27}};
    for (size_t i = 0; is_vision && i < sizeof(sixteen) / sizeof(sixteen[0]); i++) {
        if (sixteen[i][0] == width && sixteen[i][1] == layers) return 16;
    }
    return width / 64;
}

static enum status wrong_heads(const struct side *side, uint32_t width, uint32_t heads,
                               struct error *err) {
    return error_set(err, STATUS_UNPROCESSABLE,
                     "a %s tower of width %u cannot have %u heads, which must divide it",
                     side->name, width, heads);
}

static enum status set_heads(const struct draft *draft, const struct side *side,
                             struct error *err) {
    uint32_t head_width = draft->config->head_width;
    const struct config_tower *config = side->config;
    struct model_tower *shape = side->shape;
    if (!head_width && side->pruned) {
        head_width = config->heads ? config->width / config->heads : 64;
        if (!head_width) return wrong_heads(side, config->width, config->heads, err);
    }
    if (head_width)
        shape->heads = shape->width / head_width;
    else if (config->heads)
        shape->heads = config->heads;
    else
        shape->heads = default_heads(shape->width, shape->layers, side->is_vision);
    bool fits = shape->heads && (side->pruned || shape->width % shape->heads == 0);
    if (fits) shape->head_width = side->pruned ? head_width : shape->width / shape->heads;
    if (fits && shape->head_width % 2 == 0) return STATUS_OK;
    if (fits) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "the heads of the %s tower are %u wide, an even number is expected",
                         side->name, shape->head_width);
    }
    return wrong_heads(side, shape->width, shape->heads, err);
}

static enum status set_shape(const struct draft *draft, const struct side *side, size_t width,
                             struct error *err) {
    const struct config_tower *config = side->config;
    struct model_tower *shape = side->shape;
    char what[48];
    if (width > WIDTH_MAX) {
        return error_set(err, STATUS_UNSUPPORTED, "a %s tower %zu wide, up to %d are supported",
                         side->name, width, WIDTH_MAX);
    }
    shape->width = shape->pooled_width = (uint32_t)width;
    shape->layers = count_layers(draft, side);
    shape->activation = config->activation;
    shape->layer_norm_eps = config->layer_norm_eps;
    bool stated = draft->config->found && config->layer_norm_eps > 0;
    if (!stated && side->layer_norm_eps > 0) {
        shape->layer_norm_eps = side->layer_norm_eps;
    }
    shape->norm_order = side->is_bert ? MODEL_NORM_SUM : config->norm_order;
    if (side->is_bert) shape->activation = MODEL_GELU_ERF; /* whatever the images' is */
    shape->gated = side->layer->gate != NULL;
    shape->inner_norms = side->layer->ln_out != NULL;
    if (!shape->layers) {
        return error_set(err, STATUS_UNPROCESSABLE, "the %s tower has no layer", side->name);
    }
    snprintf(what, sizeof(what), "%s width", side->name);
    enum status status = STATUS_OK;
    if (!side->pruned) status = draft_check_stated(what, config->width, width, err);
    snprintf(what, sizeof(what), "%s layers", side->name);
    if (!status) status = draft_check_stated(what, config->layers, shape->layers, err);
    return status ? status : set_heads(draft, side, err);
}

/* Where layers differ the tower's own numbers become the most that one of them has. */
static enum status add_layer(const struct side *side, uint32_t index, struct model_layer layer,
                             struct error *err) {
    struct model_tower *shape = side->shape;
    if (!index && !side->pruned) shape->mlp_width = layer.mlp_width;
    bool differs = layer.heads != shape->heads || layer.mlp_width != shape->mlp_width;
    if (index < MODEL_PRUNED_MAX) shape->pruned_layers[index] = layer;
    shape->pruned |= side->pruned || differs;
    if (shape->pruned && shape->layers > MODEL_PRUNED_MAX) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "the %s tower has %u layers of different widths, up to %d are supported",
                         side->name, shape->layers, MODEL_PRUNED_MAX);
    }
    if (layer.heads > shape->heads) shape->heads = layer.heads;
    if (layer.mlp_width > shape->mlp_width) shape->mlp_width = layer.mlp_width;
    return STATUS_OK;
}

enum status draft_take_blocks(struct draft *draft, enum plan_tower which, size_t width,
                              struct blueprint_tower *out, struct error *err) {
    struct side side = side_of(draft, which);
    struct model_tower *shape = side.shape;
    enum status status = set_shape(draft, &side, width, err);
    if (status) return status;
    assert(shape->layers);
    out->blocks = calloc(shape->layers, sizeof(*out->blocks));
    if (!out->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the layers");
    for (uint32_t i = 0; i < shape->layers && !status; i++) {
        char prefix[DRAFT_NAME_SIZE];
        struct model_layer layer = {0, 0};
        struct blueprint_block *block = &out->blocks[i];
        block_prefix(prefix, side.block, i);
        const struct branch_names *mixers = side.is_vision ? NULL : side.layer->mixers;
        if (draft_mixer_is(draft, mixers, prefix)) {
            status = draft_mixer_take(draft, mixers, prefix, shape, block, &layer.mlp_width, err);
        } else {
            status = take_attention(draft, &side, prefix, block, &layer.heads, err);
            if (!status) status = take_mlp(draft, &side, prefix, block, &layer.mlp_width, err);
        }
        if (!status) status = add_layer(&side, i, layer, err);
    }
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

/* The pooled features are the embedding; of two towers both must have as many. */
static enum status skip_projection(struct draft *draft, const struct side *side,
                                   struct error *err) {
    uint32_t width = side->shape->pooled_width, *embed_dim = &draft->info->embed_dim;
    bool alone = !draft->has_vision || !draft->has_text;
    if (*embed_dim && *embed_dim != width) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the %s tower ends with %u features, the other one with %u", side->name,
                         width, *embed_dim);
    }
    *embed_dim = width;
    return alone ? STATUS_OK
                 : draft_check_stated("embed_dim", draft->config->embed_dim, width, err);
}

enum status draft_take_projection(struct draft *draft, enum plan_tower which,
                                  struct blueprint_linear *out, struct error *err) {
    struct side side = side_of(draft, which);
    struct model_tower *shape = side.shape;
    const char *name = shape->projection_hidden ? draft->names.text->after_hidden : side.proj;
    size_t width = shape->pooled_width, dims[2] = {draft->info->embed_dim, width};
    bool needed = draft->has_vision && draft->has_text && name && !side.config->unprojected;
    bool plain = name && tensors_find(draft->tensors, name);
    char layer[DRAFT_NAME_SIZE];
    snprintf(layer, sizeof(layer), "%s.weight", name ? name : "");
    bool layered = name && !plain && tensors_find(draft->tensors, layer);
    if (!needed && !plain && !layered) return skip_projection(draft, &side, err);
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
