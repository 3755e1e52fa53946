/* Model, tokenizer and preprocessing are opened one after the other, each as the checkpoint and
 * the options together want it. */
#include "core/engine_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/checkpoint/layout.h"
#include "core/recipe.h"
#include "core/text/vocabulary_file.h"

enum { PPM = 1000000 };

static const char *const resize_names[] = {"shortest", "squash", "longest", "none"};

static const char *filter_name(enum resample_filter filter) {
    static const char *const names[] = {"nearest", "lanczos", "bilinear",
                                        "bicubic", "box",     "hamming"};
    return names[filter];
}

static enum status set_preprocess(struct engine *engine, const struct engine_options *options,
                                  struct error *err) {
    const struct model_info *model = model_info(engine->model);
    enum status status = recipe_preprocess(&engine->preprocess, model, err);
    if (status) return status;
    engine->preprocess.features = runtime_features(engine->runtime);
    engine->image_options = (struct image_options){
        .limits = image_limits_default,
        .exif_orientation = options->exif_orientation,
    };
    const char *mode = options->preprocess ? options->preprocess : "exact";
    if (!strcmp(mode, "fast"))
        engine->image_options.reduce_to = preprocess_reduce_to(&engine->preprocess);
    else if (strcmp(mode, "exact") != 0)
        return error_set(err, STATUS_INVALID, "preprocess \"%.32s\" is not one of exact, fast",
                         mode);
    if (options->image_limits.side_max) {
        engine->image_options.limits.side_max = options->image_limits.side_max;
    }
    if (options->image_limits.pixels_max) {
        engine->image_options.limits.pixels_max = options->image_limits.pixels_max;
    }
    engine->crop_bytes = (size_t)model->image_size * model->image_size * 3;
    return STATUS_OK;
}

static struct engine_tower_info tower_info(const struct model_tower *tower) {
    return (struct engine_tower_info){
        .width = tower->width,
        .layers = tower->layers,
        .heads = tower->heads,
        .mlp_width = tower->mlp_width,
        .activation = model_activation_name(tower->activation),
    };
}

static void set_quantization(struct engine *engine) {
    const struct model_info *model = model_info(engine->model);
    const struct model_quality *quality = &model->quality;
    const char *slash = engine->profile ? strrchr(engine->profile, '/') : NULL;
    engine->info.quantized = model->precision == MODEL_INT8;
    if (!engine->info.quantized) return;
    engine->info.quantization = (struct engine_quantization){
        .profile = slash ? slash + 1 : engine->profile,
        .exceptions = quality->exceptions,
        .measured = quality->measured,
        .cosine = quality->cosines.min,
        .centred_cosine = quality->cosines.centred_min,
    };
}

/* The model's own says nothing of tokenizing but what its configuration does, and of files only
 * how they stand. */
static const char *make_identity(struct engine *engine) {
    char parts[4 * SHA256_HEX_SIZE];
    snprintf(parts, sizeof(parts), "%s %s %s %s", model_identity(engine->model),
             engine->info.sha256, engine->info.tokenizer,
             engine->tokenizer ? tokenizer_digest(engine->tokenizer) : "");
    sha256_hex(engine->identity, bytes_of(parts));
    return engine->identity;
}

static void set_info(struct engine *engine, enum tokenizer_mode mode) {
    const struct model_info *model = model_info(engine->model);
    struct engine_info *info = &engine->info;
    info->name = engine->name;
    info->architecture = model->architecture;
    info->precision = model_precision_name(model->precision);
    info->sha256 = model->sha256;
    info->tokenizer = engine->tokenizer ? tokenizer_mode_name(mode) : "none";
    info->identity = make_identity(engine);
    info->embed_dim = model->embed_dim;
    info->image_size = model->image_size;
    info->patch_size = model->patch_size;
    info->context_length = model->context_length;
    info->vocab_size = model->vocab_size;
    info->vision = tower_info(&model->vision);
    info->text = tower_info(&model->text);
    set_quantization(engine);
    info->logit_scale = model->logit_scale;
    info->logit_bias = model->logit_bias;
    info->sigmoid = model->sigmoid;
    info->parameters = model->parameters;
    info->preprocess.resize = resize_names[engine->preprocess.resize];
    info->preprocess.order = engine->preprocess.order == PREPROCESS_HF ? "hf" : "openai";
    info->preprocess.interpolation = filter_name(engine->preprocess.filter);
    info->preprocess.resize_to =
        engine->preprocess.resize_to ? engine->preprocess.resize_to : model->image_size;
    memcpy(info->preprocess.mean, model->preprocess.mean, sizeof(info->preprocess.mean));
    memcpy(info->preprocess.std, model->preprocess.std, sizeof(info->preprocess.std));
    info->preprocess.exif_orientation = engine->image_options.exif_orientation;
    info->preprocess.fast = engine->image_options.reduce_to > 0;
}

/* Newly allocated; NULL without memory. */
static char *vocabulary_path(const struct engine_options *options) {
    return options->vocab ? strdup(options->vocab) : layout_tokenizer(options->path);
}

/* A checkpoint directory brings its vocabulary; a bare file needs `vocab`. Without
 * one the model still serves images. */
static enum status open_tokenizer(struct engine *engine, const struct tokenizer_options *mode,
                                  const struct engine_options *options, struct error *err) {
    const struct model_info *model = model_info(engine->model);
    if (!model->text.layers) return STATUS_OK;
    struct stat file;
    bool bare = stat(options->path, &file) == 0 && !S_ISDIR(file.st_mode);
    if (bare && !options->vocab) {
        log_message(LOG_WARNING, "model \"%s\" has no vocabulary, set vocab: it embeds images only",
                    engine->name);
        return STATUS_OK;
    }
    char *path = vocabulary_path(options);
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = tokenizer_open(&engine->tokenizer, path, mode, err);
    uint32_t size = status ? 0 : tokenizer_vocab_size(engine->tokenizer);
    if (size > model->vocab_size) {
        status = error_set(err, STATUS_CONFLICT,
                           "the vocabulary in %s has %u tokens, the model's embedding has %u", path,
                           size, model->vocab_size);
    }
    free(path);
    return status;
}

static struct model_options model_options_of(const struct runtime *runtime,
                                             const struct engine_options *options) {
    return (struct model_options){
        .path = options->path,
        .image_size = options->image_size,
        .activation = options->activation,
        .head_width = options->head_width,
        .precision = options->precision,
        .features = runtime_features(runtime),
        .workers = runtime_options(runtime)->threads,
        .batch_max = options->batch_max ? options->batch_max : runtime_options(runtime)->batch_max,
        .cache = options->cache,
        .profile = options->profile,
        .cosine_min = (double)options->cosine_min_ppm / PPM,
    };
}

enum status engine_measure(struct engine_needs *out, struct runtime *runtime,
                           const struct engine_options *options, struct error *err) {
    struct model_options model = model_options_of(runtime, options);
    struct model_needs needs;
    char vocabulary[SHA256_HEX_SIZE], parts[2 * SHA256_HEX_SIZE];
    char *path = vocabulary_path(options);
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = model_measure(&needs, &model, err);
    if (!status) status = vocabulary_file_state(vocabulary, path, err);
    free(path);
    if (status) return status;
    out->bytes = needs.bytes;
    snprintf(parts, sizeof(parts), "%s %s", needs.identity, vocabulary);
    sha256_hex(out->identity, bytes_of(parts));
    return STATUS_OK;
}

enum status engine_load(struct engine *engine, const struct engine_options *options,
                        struct error *err) {
    struct model_options model = model_options_of(engine->runtime, options);
    engine->name = strdup(options->name);
    if (options->profile) engine->profile = strdup(options->profile);
    if (!engine->name || (options->profile && !engine->profile))
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a model's name");
    enum status status = model_open(&engine->model, &model, err);
    struct tokenizer_options mode;
    if (!status)
        status = recipe_tokenizer(&mode, model_info(engine->model), options->tokenizer, err);
    if (!status) status = open_tokenizer(engine, &mode, options, err);
    if (!status) status = set_preprocess(engine, options, err);
    if (status) return status;
    set_info(engine, mode.mode);
    return STATUS_OK;
}
