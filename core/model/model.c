/* Has a checkpoint read and owns the result: the mapping, the towers that point into it,
 * and what had to be widened. */
#include "core/model/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/model/architectures.h"
#include "core/model/checkpoint.h"
#include "core/model/load.h"
#include "core/model/safetensors.h"

struct model {
    struct model_info info;
    const struct kernels *kernels;
    struct file_map file;
    struct weights weights;
    struct vision vision;
    struct text text;
};

struct workspace {
    struct activations activations;
    struct sequences images, texts;
    uint32_t images_max, texts_max;
    float *patches; /* [patches, 3 * patch_size^2]: one image's */
};

const char *model_activation_name(enum model_activation activation) {
    static const char *const names[] = {"quick_gelu", "gelu", "gelu_tanh"};
    return names[activation];
}

static enum status parse_activation(enum model_activation *out, const char *name,
                                    struct error *err) {
    for (int i = MODEL_QUICK_GELU; i <= MODEL_GELU_TANH; i++) {
        if (strcmp(model_activation_name((enum model_activation)i), name) != 0) continue;
        *out = (enum model_activation)i;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID,
                     "activation \"%.24s\" is not one of quick_gelu, gelu, gelu_tanh", name);
}

/* ---- opening ---- */

/* What the user says of the weights, and what a file without configuration leaves open. */
static enum status apply_options(struct model_config *config, const struct model_options *options,
                                 struct error *err) {
    config->head_width = options->head_width;
    if (options->activation) {
        enum status status = parse_activation(&config->vision.activation, options->activation, err);
        config->text.activation = config->vision.activation;
        return status;
    }
    if (!config->found) {
        log_message(LOG_WARNING,
                    "%s has no configuration: activation quick_gelu is assumed, as in OpenAI's "
                    "checkpoints; set activation when it was trained with another",
                    options->path);
    }
    return STATUS_OK;
}

static enum status set_preprocess(struct model *model, const struct model_config *config,
                                  struct error *err) {
    struct model_preprocess *preprocess = &model->info.preprocess;
    *preprocess = config->preprocess;
    model->info.tokenizer = config->tokenizer;
    if (!config->found) preprocess->convert_first = model->info.naming == MODEL_NAMES_HF;
    if (!model->info.vision.layers) return STATUS_OK;
    uint32_t native = config->image_size ? config->image_size : model->info.image_size;
    if (config->crop_size && config->crop_size != native) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "preprocessor_config.json makes images of %u pixels, the model takes %u",
                         config->crop_size, native);
    }
    /* At another size than the checkpoint's, what it says of sizes no longer holds. */
    if (model->info.image_size != native) preprocess->resize_to = 0;
    for (int c = 0; c < 3; c++) {
        if (preprocess->std[c] > 0) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "a standard deviation of %g; one above 0 is expected",
                         (double)preprocess->std[c]);
    }
    vision_set_levels(&model->vision, preprocess);
    return STATUS_OK;
}

static enum status open_parts(struct model *model, const struct model_options *options,
                              struct error *err) {
    struct checkpoint checkpoint;
    struct tensors tensors = {0};
    enum status status = checkpoint_read(&checkpoint, options->path, err);
    if (status) return status;
    model->file = checkpoint.weights;
    status = apply_options(&checkpoint.config, options, err);
    if (!status) status = safetensors_parse(&tensors, model->file.bytes, err);
    if (status) return status;
    weights_init(&model->weights, &tensors);
    status = load_towers(&model->vision, &model->text, &model->info, &model->weights,
                         &checkpoint.config, options->image_size, err);
    if (!status) status = set_preprocess(model, &checkpoint.config, err);
    tensors_free(&tensors);
    model->weights.tensors = NULL;
    if (status) return status;
    const struct architecture *known = architecture_of(&model->info);
    snprintf(model->info.architecture, sizeof(model->info.architecture), "%s",
             known ? known->name : "CLIP");
    sha256_hex(model->info.sha256, model->file.bytes);
    if (!model->weights.mapped) file_map_close(&model->file);
    return STATUS_OK;
}

enum status model_open(struct model **out, const struct model_options *options, struct error *err) {
    struct model *model = calloc(1, sizeof(*model));
    if (!model) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    model->kernels = options->kernels;
    enum status status = open_parts(model, options, err);
    if (status) {
        model_close(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

void model_close(struct model *model) {
    if (!model) return;
    free(model->vision.transformer.blocks);
    free(model->text.transformer.blocks);
    weights_free(&model->weights);
    file_map_close(&model->file);
    free(model);
}

const struct model_info *model_info(const struct model *model) {
    return &model->info;
}

/* ---- workspace ---- */

/* Far more than is useful: a larger number is a mistake. */
enum { BATCH_MAX = 1 << 16, ALIGNMENT = 64 };

/* Grows a size to hold rows * columns floats. */
static bool fit(size_t *floats, size_t rows, size_t columns) {
    size_t needed;
    if (!size_multiply(&needed, rows, columns) || needed > SIZE_MAX / sizeof(float) - 1)
        return false;
    if (needed > *floats) *floats = needed;
    return true;
}

struct sizes {
    size_t x, qkv, hidden, scores, patches;
};

static bool fit_tower(struct sizes *sizes, const struct model_tower *tower, size_t rows,
                      size_t length) {
    return fit(&sizes->x, rows, tower->width) && fit(&sizes->qkv, rows, 3 * (size_t)tower->width) &&
           fit(&sizes->hidden, rows, tower->mlp_width) && fit(&sizes->scores, length, length);
}

static bool fit_model(struct sizes *sizes, const struct model *model, size_t images, size_t texts) {
    size_t rows;
    if (model->info.vision.layers) {
        size_t length = 1 + vision_patches(&model->vision);
        if (!size_multiply(&rows, images, length)) return false;
        if (!fit_tower(sizes, &model->info.vision, rows, length)) return false;
        if (!fit(&sizes->patches, 1, vision_patch_floats(&model->vision))) return false;
    }
    if (!model->info.text.layers) return true;
    return size_multiply(&rows, texts, model->info.context_length) &&
           fit_tower(sizes, &model->info.text, rows, model->info.context_length);
}

/* At least one float, so that a tower without texts or images is no special case. */
static float *reserve(size_t floats) {
    void *memory = NULL;
    if (posix_memalign(&memory, ALIGNMENT, (floats + 1) * sizeof(float))) return NULL;
    return memory;
}

static bool allocate(struct workspace *workspace, const struct sizes *sizes) {
    struct activations *a = &workspace->activations;
    a->x = reserve(sizes->x);
    a->normed = reserve(sizes->x);
    a->mixed = reserve(sizes->x);
    a->qkv = reserve(sizes->qkv);
    a->hidden = reserve(sizes->hidden);
    a->scores = reserve(sizes->scores);
    workspace->patches = reserve(sizes->patches);
    workspace->images.start = calloc((size_t)workspace->images_max + 1, sizeof(size_t));
    workspace->texts.start = calloc((size_t)workspace->texts_max + 1, sizeof(size_t));
    return a->x && a->normed && a->mixed && a->qkv && a->hidden && a->scores &&
           workspace->patches && workspace->images.start && workspace->texts.start;
}

enum status workspace_create(struct workspace **out, const struct model *model, uint32_t images_max,
                             uint32_t texts_max, struct error *err) {
    if (images_max > BATCH_MAX || texts_max > BATCH_MAX) {
        return error_set(err, STATUS_TOO_LARGE,
                         "batches of %u images and %u texts, at most %d are expected", images_max,
                         texts_max, BATCH_MAX);
    }
    struct sizes sizes = {0};
    struct workspace *workspace = calloc(1, sizeof(*workspace));
    if (workspace) {
        workspace->images_max = images_max;
        workspace->texts_max = texts_max;
    }
    if (!workspace || !fit_model(&sizes, model, images_max, texts_max) ||
        !allocate(workspace, &sizes)) {
        workspace_destroy(workspace);
        return error_set(err, STATUS_NO_MEMORY,
                         "out of memory for batches of %u images and %u texts", images_max,
                         texts_max);
    }
    *out = workspace;
    return STATUS_OK;
}

void workspace_destroy(struct workspace *workspace) {
    if (!workspace) return;
    free(workspace->activations.x);
    free(workspace->activations.normed);
    free(workspace->activations.mixed);
    free(workspace->activations.qkv);
    free(workspace->activations.hidden);
    free(workspace->activations.scores);
    free(workspace->patches);
    free(workspace->images.start);
    free(workspace->texts.start);
    free(workspace);
}

/* ---- running ---- */

/* Lays out a batch: image i has the rows from start[i] on. */
static void place_images(const struct model *model, struct workspace *workspace, uint32_t count) {
    size_t length = 1 + vision_patches(&model->vision);
    assert(count <= workspace->images_max);
    workspace->images.count = count;
    for (size_t i = 0; i <= count; i++) workspace->images.start[i] = i * length;
}

static void embed_image(const struct model *model, struct workspace *workspace, uint32_t i,
                        const float *patches) {
    size_t width = model->info.vision.width;
    vision_embed_patches(&model->vision, model->kernels, patches,
                         workspace->activations.x + workspace->images.start[i] * width);
}

void model_encode_patches(const struct model *model, struct workspace *workspace,
                          const float *const *patches, uint32_t count, float *const *embeddings) {
    place_images(model, workspace, count);
    for (uint32_t i = 0; i < count; i++) embed_image(model, workspace, i, patches[i]);
    vision_encode(&model->vision, model->kernels, &workspace->activations, &workspace->images,
                  embeddings);
}

void model_encode_images(const struct model *model, struct workspace *workspace,
                         const uint8_t *const *pixels, uint32_t count, float *const *embeddings) {
    place_images(model, workspace, count);
    for (uint32_t i = 0; i < count; i++) {
        vision_cut_patches(&model->vision, pixels[i], workspace->patches);
        embed_image(model, workspace, i, workspace->patches);
    }
    vision_encode(&model->vision, model->kernels, &workspace->activations, &workspace->images,
                  embeddings);
}

void model_encode_texts(const struct model *model, struct workspace *workspace,
                        const struct model_text *texts, uint32_t count, float *const *embeddings) {
    assert(count <= workspace->texts_max);
    text_encode(&model->text, model->kernels, &workspace->activations, &workspace->texts, texts,
                count, embeddings);
}
