/* Finds a checkpoint's files, has them read, and owns the result: the mapping, the
 * towers that point into it, and what had to be widened. */
#include "core/model/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/model/architectures.h"
#include "core/model/load.h"
#include "core/model/safetensors.h"

enum { CONFIG_SIZE_MAX = 16 << 20 };

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
    float *patches; /* [images_max, patches, 3 * patch_size^2] */
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

/* ---- files ---- */

typedef enum status parse_fn(struct model_config *out, struct bytes json, struct error *err);

static enum status read_config(const char *directory, const char *name, parse_fn *parse,
                               struct model_config *config, struct error *err) {
    char *path = file_join(directory, name);
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    struct buffer text;
    buffer_init(&text, CONFIG_SIZE_MAX);
    enum status status = file_read(&text, path, err);
    if (!status) status = parse(config, buffer_view(&text), err);
    buffer_free(&text);
    free(path);
    return status;
}

static bool exists(const char *directory, const char *name) {
    char *path = file_join(directory, name);
    struct stat info;
    bool found = path && stat(path, &info) == 0 && S_ISREG(info.st_mode);
    free(path);
    return found;
}

/* The weight files in open_clip's order of preference, and the forms that we do not
 * read, so that the error can name what was found instead. */
static const char *find_weights(const char *directory, struct error *err) {
    static const char *const readable[] = {
        "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors"};
    static const char *const unreadable[] = {"model.safetensors.index.json",
                                             "open_clip_pytorch_model.bin", "pytorch_model.bin",
                                             "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++) {
        if (exists(directory, readable[i])) return readable[i];
    }
    for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++) {
        if (!exists(directory, unreadable[i])) continue;
        error_set(err, STATUS_UNSUPPORTED,
                  "%.160s has its weights as %s; one file of safetensors is expected", directory,
                  unreadable[i]);
        return NULL;
    }
    error_set(err, STATUS_NOT_FOUND,
              "%.160s has no weights: open_clip_model.safetensors or model.safetensors is expected",
              directory);
    return NULL;
}

/* Weights and configuration that belong together: a directory may hold both forms. */
static enum status read_directory(struct model *model, const char *directory,
                                  struct model_config *config, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    const char *weights = find_weights(directory, err);
    if (!weights) return err->status;
    bool open_clip = strncmp(weights, "open_clip", 9) == 0 || !exists(directory, "config.json");
    enum status status;
    if (open_clip) {
        status = read_config(directory, "open_clip_config.json", model_config_parse_open_clip,
                             config, err);
    } else {
        status = read_config(directory, "config.json", model_config_parse_hf, config, err);
        if (!status && exists(directory, "preprocessor_config.json")) {
            status = read_config(directory, "preprocessor_config.json",
                                 model_config_parse_preprocessor, config, err);
        }
    }
    if (status) return status;
    char *path = file_join(directory, weights);
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    status = file_map_open(&model->file, path, err);
    free(path);
    return status;
}

static enum status read_files(struct model *model, const struct model_options *options,
                              struct model_config *config, struct error *err) {
    struct stat info;
    model_config_init(config);
    if (stat(options->path, &info))
        return error_set_errno(err, STATUS_NOT_FOUND, "open", options->path);
    enum status status;
    if (S_ISDIR(info.st_mode)) {
        status = read_directory(model, options->path, config, err);
    } else {
        status = file_map_open(&model->file, options->path, err);
        if (!status && !options->activation) {
            log_message(LOG_WARNING,
                        "%s has no configuration: activation quick_gelu is assumed, as in OpenAI's "
                        "checkpoints; set activation when it was trained with another",
                        options->path);
        }
    }
    config->head_width = options->head_width;
    if (!status && options->activation) {
        status = parse_activation(&config->vision.activation, options->activation, err);
        config->text.activation = config->vision.activation;
    }
    return status;
}

/* ---- opening ---- */

static enum status set_preprocess(struct model *model, const struct model_config *config,
                                  const struct model_options *options, struct error *err) {
    model->info.preprocess = config->preprocess;
    model->info.tokenizer = config->tokenizer;
    if (!model->info.vision.layers) return STATUS_OK;
    struct model_preprocess *preprocess = &model->info.preprocess;
    if (options->image_size) {
        /* Another size than the checkpoint's: what it says of sizes no longer holds. */
        preprocess->resize_to = 0;
    } else if (config->crop_size && config->crop_size != model->info.image_size) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "preprocessor_config.json makes images of %u pixels, the model takes %u",
                         config->crop_size, model->info.image_size);
    }
    for (int c = 0; c < 3; c++) {
        if (preprocess->std[c] != 0) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "a standard deviation of 0 cannot be divided by");
    }
    vision_set_levels(&model->vision, preprocess);
    return STATUS_OK;
}

static enum status open_parts(struct model *model, const struct model_options *options,
                              struct error *err) {
    struct model_config config;
    struct tensors tensors = {0};
    enum status status = read_files(model, options, &config, err);
    if (!status) status = safetensors_parse(&tensors, model->file.bytes, err);
    if (status) return status;
    weights_init(&model->weights, &tensors);
    status = load_towers(&model->vision, &model->text, &model->info, &model->weights, &config,
                         options->image_size, err);
    if (!status) status = set_preprocess(model, &config, options, err);
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

/* Grows a size to hold rows * columns floats. */
static bool fit(size_t *floats, size_t rows, size_t columns) {
    size_t needed;
    if (!size_multiply(&needed, rows, columns) || needed > SIZE_MAX / sizeof(float)) return false;
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
        if (!fit(&sizes->patches, images, vision_patch_floats(&model->vision))) return false;
    }
    if (!model->info.text.layers) return true;
    return size_multiply(&rows, texts, model->info.context_length) &&
           fit_tower(sizes, &model->info.text, rows, model->info.context_length);
}

static bool allocate(struct workspace *workspace, const struct sizes *sizes) {
    struct activations *a = &workspace->activations;
    a->x = calloc(sizes->x, sizeof(float));
    a->normed = calloc(sizes->x, sizeof(float));
    a->mixed = calloc(sizes->x, sizeof(float));
    a->qkv = calloc(sizes->qkv, sizeof(float));
    a->hidden = calloc(sizes->hidden, sizeof(float));
    a->scores = calloc(sizes->scores, sizeof(float));
    workspace->patches = calloc(sizes->patches + 1, sizeof(float));
    workspace->images.start = calloc((size_t)workspace->images_max + 1, sizeof(size_t));
    workspace->texts.start = calloc((size_t)workspace->texts_max + 1, sizeof(size_t));
    return a->x && a->normed && a->mixed && a->qkv && a->hidden && a->scores &&
           workspace->patches && workspace->images.start && workspace->texts.start;
}

enum status workspace_create(struct workspace **out, const struct model *model, uint32_t images_max,
                             uint32_t texts_max, struct error *err) {
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

static const struct sequences *image_sequences(const struct model *model,
                                               struct workspace *workspace, uint32_t count) {
    size_t length = 1 + vision_patches(&model->vision);
    workspace->images.count = count;
    for (size_t i = 0; i <= count; i++) workspace->images.start[i] = i * length;
    return &workspace->images;
}

void model_encode_patches(const struct model *model, struct workspace *workspace,
                          const float *patches, uint32_t count, float *const *embeddings) {
    assert(count <= workspace->images_max);
    vision_encode(&model->vision, model->kernels, &workspace->activations,
                  image_sequences(model, workspace, count), patches, embeddings);
}

void model_encode_images(const struct model *model, struct workspace *workspace,
                         const uint8_t *const *pixels, uint32_t count, float *const *embeddings) {
    assert(count <= workspace->images_max);
    for (uint32_t i = 0; i < count; i++) {
        vision_cut_patches(&model->vision, pixels[i],
                           workspace->patches + i * vision_patch_floats(&model->vision));
    }
    model_encode_patches(model, workspace, workspace->patches, count, embeddings);
}

void model_encode_texts(const struct model *model, struct workspace *workspace,
                        const struct model_text *texts, uint32_t count, float *const *embeddings) {
    assert(count <= workspace->texts_max);
    text_encode(&model->text, model->kernels, &workspace->activations, &workspace->texts, texts,
                count, embeddings);
}
