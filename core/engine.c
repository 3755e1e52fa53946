/* The conductor: decoders, preprocessing, tokenizer, batcher and model each do one
 * thing and know nothing of each other; here they are called in order.
 *
 * Images go through the decode pool to 8-bit crops, the crops through the batcher
 * to an encoder worker. Both queues are bounded, and with them the crops that
 * exist at a time. Texts are tokenized on the caller's thread: that takes
 * microseconds. */
#include "core/engine.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_pool.h"
#include "core/batch/batcher.h"
#include "core/model/layout.h"
#include "core/recipe.h"

enum { PPM = 1000000 };

struct engine {
    struct engine_info info;
    char *name, *profile; /* the latter NULL without one */
    struct runtime *runtime;
    struct model *model;
    struct tokenizer *tokenizer; /* NULL: no text tower, or no vocabulary */
    struct preprocess preprocess;
    struct image_options image_options;
    size_t crop_bytes;                  /* of one preprocessed image */
    struct batch_queue *images, *texts; /* NULL: no such tower */
    struct histogram decode_ns;
};

/* ---- opening ---- */

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

static void set_info(struct engine *engine, enum tokenizer_mode mode) {
    const struct model_info *model = model_info(engine->model);
    struct engine_info *info = &engine->info;
    info->name = engine->name;
    info->architecture = model->architecture;
    info->precision = model_precision_name(model->precision);
    info->sha256 = model->sha256;
    info->tokenizer = engine->tokenizer ? tokenizer_mode_name(mode) : "none";
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
    char *path = options->vocab ? strdup(options->vocab) : layout_tokenizer(options->path);
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

static void run_images(void *context, uint32_t worker, struct team *team,
                       struct batch_entry *const *entries, uint32_t count) {
    struct engine *engine = context;
    const uint8_t *pixels[BATCH_MAX_LIMIT];
    float *embeddings[BATCH_MAX_LIMIT];
    for (uint32_t i = 0; i < count; i++) {
        pixels[i] = entries[i]->input;
        embeddings[i] = entries[i]->output;
    }
    model_encode_images(engine->model, worker, team, pixels, count, embeddings);
}

static void run_texts(void *context, uint32_t worker, struct team *team,
                      struct batch_entry *const *entries, uint32_t count) {
    struct engine *engine = context;
    struct model_text texts[BATCH_MAX_LIMIT];
    float *embeddings[BATCH_MAX_LIMIT];
    for (uint32_t i = 0; i < count; i++) {
        texts[i] = *(const struct model_text *)entries[i]->input;
        embeddings[i] = entries[i]->output;
    }
    model_encode_texts(engine->model, worker, team, texts, count, embeddings);
}

static enum status open_queues(struct engine *engine, struct error *err) {
    const struct runtime_options *options = runtime_options(engine->runtime);
    struct batcher *batcher = runtime_batcher(engine->runtime);
    struct batch_queue_options queue = {
        .batch_max = options->batch_max,
        .queue_limit = options->queue_limit,
        .context = engine,
    };
    if (engine->info.vision.layers) {
        queue.run = run_images;
        enum status status = batch_queue_open(&engine->images, batcher, &queue, err);
        if (status) return status;
    }
    if (!engine->tokenizer) return STATUS_OK;
    queue.run = run_texts;
    queue.batch_max *= RUNTIME_TEXTS_PER_IMAGE;
    if (queue.batch_max > BATCH_MAX_LIMIT) queue.batch_max = BATCH_MAX_LIMIT;
    return batch_queue_open(&engine->texts, batcher, &queue, err);
}

static enum status open_parts(struct engine *engine, const struct engine_options *options,
                              struct error *err) {
    struct model_options model = {
        .path = options->path,
        .image_size = options->image_size,
        .activation = options->activation,
        .head_width = options->head_width,
        .precision = options->precision,
        .features = runtime_features(engine->runtime),
        .workers = runtime_options(engine->runtime)->threads,
        .cache = options->cache,
        .profile = options->profile,
        .cosine_min = (double)options->cosine_min_ppm / PPM,
    };
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
    return open_queues(engine, err);
}

enum status engine_open(struct engine **out, struct runtime *runtime,
                        const struct engine_options *options, struct error *err) {
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    engine->runtime = runtime;
    histogram_init(&engine->decode_ns, &histogram_durations);
    enum status status = open_parts(engine, options, err);
    if (status) {
        engine_close(engine);
        return status;
    }
    *out = engine;
    return STATUS_OK;
}

void engine_close(struct engine *engine) {
    if (!engine) return;
    batch_queue_close(engine->images);
    batch_queue_close(engine->texts);
    tokenizer_close(engine->tokenizer);
    model_close(engine->model);
    free(engine->name);
    free(engine->profile);
    free(engine);
}

const struct engine_info *engine_info(const struct engine *engine) {
    return &engine->info;
}

void engine_read_stats(struct engine *engine, struct engine_stats *out) {
    *out = (struct engine_stats){
        .images = engine->images ? batch_queue_stats(engine->images) : NULL,
        .texts = engine->texts ? batch_queue_stats(engine->texts) : NULL,
        .decode_ns = &engine->decode_ns,
        .decode_waiting = thread_pool_waiting(runtime_decoders(engine->runtime)),
    };
}

/* ---- both towers ---- */

/* The inputs of one call on their way: what became of each, and the batch entries
 * of those that are good. */
struct call {
    struct engine *engine;
    size_t count;
    struct error *errors;        /* [count] */
    struct batch_entry *entries; /* [count] */
    float *embeddings;           /* [count, embed_dim], the caller's */
};

static enum status call_init(struct call *call, struct engine *engine, size_t count,
                             float *embeddings, struct error *err) {
    *call = (struct call){.engine = engine, .count = count, .embeddings = embeddings};
    call->errors = calloc(count, sizeof(*call->errors));
    call->entries = calloc(count, sizeof(*call->entries));
    if (call->errors && call->entries) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu inputs", count);
}

static void call_free(struct call *call) {
    free(call->errors);
    free(call->entries);
}

/* Hands each input's error to a caller who wants them one by one, or fails the call
 * with the first. */
static enum status call_report(const struct call *call, struct error *errors, struct error *err) {
    for (size_t i = 0; i < call->count; i++) {
        struct error *error = &call->errors[i];
        if (error->status == STATUS_OK) continue;
        error->input = (int)i;
        if (errors) continue;
        return error_pass(err, error);
    }
    if (errors) memcpy(errors, call->errors, call->count * sizeof(*errors));
    return STATUS_OK;
}

static void normalize(float *embedding, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)embedding[i] * embedding[i];
    if (sum <= 0) return; /* zeros have no direction; they stay zeros */
    double scale = 1 / sqrt(sum);
    for (size_t i = 0; i < dim; i++) embedding[i] = (float)(embedding[i] * scale);
}

/* How many of `left` inputs may enter a queue together. A queue takes all or none, so
 * that more than fit at all go in parts, and a large call leaves room for others. */
static size_t part_of(const struct engine *engine, size_t left) {
    size_t most = (runtime_options(engine->runtime)->queue_limit + 1) / 2;
    return left < most ? left : most;
}

static enum status run_queue(struct call *call, struct batch_queue *queue, size_t count,
                             uint64_t deadline_ns, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t done = 0, part; done < count && !status; done += part) {
        part = part_of(call->engine, count - done);
        status = batch_queue_run(queue, call->entries + done, part, deadline_ns, err);
    }
    return status;
}

/* Runs the good inputs, `inputs[i]` for input i, through a tower's queue. */
static enum status call_encode(struct call *call, struct batch_queue *queue, const void *inputs,
                               size_t stride, struct engine_call *how, struct error *err) {
    size_t dim = call->engine->info.embed_dim, good = 0;
    for (size_t i = 0; i < call->count; i++) {
        float *embedding = call->embeddings + i * dim;
        if (call->errors[i].status) {
            memset(embedding, 0, dim * sizeof(*embedding));
            continue;
        }
        struct batch_entry *entry = &call->entries[good++];
        entry->input = (const uint8_t *)inputs + i * stride;
        entry->output = embedding;
    }
    enum status status = run_queue(call, queue, good, how->deadline_ns, err);
    if (status) return status;
    uint64_t wait_ns = 0, run_ns = 0;
    for (size_t i = 0; i < good; i++) {
        const struct batch_entry *entry = &call->entries[i];
        if (entry->wait_ns > wait_ns) wait_ns = entry->wait_ns;
        if (entry->run_ns > run_ns) run_ns = entry->run_ns;
        if (!how->raw) normalize(entry->output, dim);
    }
    how->timings.queue_ns += wait_ns;
    how->timings.encode_ns += run_ns;
    return STATUS_OK;
}

/* ---- images ---- */

struct decode {
    struct call *call;
    const struct bytes *files; /* [count] */
    uint8_t *crops;            /* [count, crop_bytes] */
    size_t first;              /* the part under way starts here */
    uint64_t deadline_ns;
};

static enum status preprocess_file(struct engine *engine, struct bytes file, uint8_t *crop,
                                   struct error *err) {
    struct image image;
    enum status status = image_decode(&image, file, &engine->image_options, err);
    if (status) return status;
    status = preprocess_image(crop, &engine->preprocess, &image, err);
    image_free(&image);
    return status;
}

static void decode_one(void *context, size_t index) {
    struct decode *decode = context;
    struct engine *engine = decode->call->engine;
    index += decode->first;
    struct error *error = &decode->call->errors[index];
    uint64_t started = clock_now_ns();
    if (started >= decode->deadline_ns) {
        error_set(error, STATUS_TIMEOUT, "the deadline passed in the decoders' queue");
        return;
    }
    preprocess_file(engine, decode->files[index], decode->crops + index * engine->crop_bytes,
                    error);
    histogram_observe(&engine->decode_ns, clock_now_ns() - started);
}

static enum status run_decoders(struct decode *decode, size_t count, struct error *err) {
    struct engine *engine = decode->call->engine;
    enum status status = STATUS_OK;
    for (size_t part; decode->first < count && !status; decode->first += part) {
        part = part_of(engine, count - decode->first);
        status = thread_pool_run(runtime_decoders(engine->runtime), decode_one, decode, part, err);
    }
    return status;
}

static enum status embed_images(struct call *call, struct decode *decode, struct engine_call *how,
                                struct error *err) {
    struct engine *engine = call->engine;
    uint64_t started = clock_now_ns();
    enum status status = run_decoders(decode, call->count, err);
    how->timings.decode_ns += clock_now_ns() - started;
    if (!status) status = call_report(call, how->errors, err);
    if (status) return status;
    return call_encode(call, engine->images, decode->crops, engine->crop_bytes, how, err);
}

enum status engine_embed_images(struct engine *engine, const struct bytes *files, size_t count,
                                float *embeddings, struct engine_call *how, struct error *err) {
    if (count == 0) return STATUS_OK;
    if (!engine->images) {
        return error_set(err, STATUS_UNPROCESSABLE, "model \"%s\" has no vision tower",
                         engine->name);
    }
    struct call call;
    struct decode decode = {.call = &call, .files = files, .deadline_ns = how->deadline_ns};
    enum status status = call_init(&call, engine, count, embeddings, err);
    size_t bytes;
    if (size_multiply(&bytes, count, engine->crop_bytes)) decode.crops = malloc(bytes);
    if (!decode.crops) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for %zu images", count);
    } else if (!status) {
        status = embed_images(&call, &decode, how, err);
    }
    free(decode.crops);
    call_free(&call);
    return status;
}

enum status engine_preprocess(struct engine *engine, struct bytes file, uint8_t *pixels,
                              struct error *err) {
    return preprocess_file(engine, file, pixels, err);
}

/* ---- texts ---- */

static enum status no_texts(const struct engine *engine, struct error *err) {
    return error_set(err, STATUS_UNPROCESSABLE, "model \"%s\" has no %s", engine->name,
                     engine->info.text.layers ? "vocabulary" : "text tower");
}

enum status engine_tokenize(struct engine *engine, struct bytes text, bool truncate, uint32_t *ids,
                            struct engine_text_info *info, struct error *err) {
    if (!engine->tokenizer) return no_texts(engine, err);
    struct tokens tokens = {.ids = ids};
    enum status status = tokenizer_encode(engine->tokenizer, text, engine->info.context_length,
                                          truncate, &tokens, err);
    *info = (struct engine_text_info){.tokens = tokens.count, .truncated = tokens.truncated};
    return status;
}

/* As engine_tokenize(), and behind the text the padding that its tokenizer asks for. */
static void tokenize_input(struct engine *engine, struct bytes text, bool truncate,
                           struct model_text *out, uint32_t *ids, struct engine_text_info *info,
                           struct error *err) {
    enum status status = engine_tokenize(engine, text, truncate, ids, info, err);
    struct tokens tokens = {.ids = ids, .count = info->tokens};
    size_t count = info->tokens;
    if (!status) count = tokenizer_pad(engine->tokenizer, &tokens, engine->info.context_length);
    *out = (struct model_text){.ids = ids, .count = (uint32_t)count};
}

/* Tokenizes into `ids`, [count, context_length], and `inputs`, [count]. */
static enum status embed_texts(struct call *call, const struct bytes *texts, uint32_t *ids,
                               struct model_text *inputs, struct engine_call *how,
                               struct error *err) {
    uint64_t started = clock_now_ns();
    for (size_t i = 0; i < call->count; i++) {
        struct engine_text_info info;
        uint32_t *own = ids + i * call->engine->info.context_length;
        tokenize_input(call->engine, texts[i], !how->refuse_long, &inputs[i], own, &info,
                       &call->errors[i]);
        if (how->texts) how->texts[i] = info;
    }
    how->timings.decode_ns += clock_now_ns() - started;
    enum status status = call_report(call, how->errors, err);
    if (status) return status;
    return call_encode(call, call->engine->texts, inputs, sizeof(*inputs), how, err);
}

enum status engine_embed_texts(struct engine *engine, const struct bytes *texts, size_t count,
                               float *embeddings, struct engine_call *how, struct error *err) {
    if (count == 0) return STATUS_OK;
    if (!engine->texts) return no_texts(engine, err);
    struct call call;
    enum status status = call_init(&call, engine, count, embeddings, err);
    uint32_t *ids = NULL;
    struct model_text *inputs = calloc(count, sizeof(*inputs));
    size_t size;
    if (size_multiply(&size, count, engine->info.context_length)) ids = calloc(size, sizeof(*ids));
    if (!ids || !inputs) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for %zu texts", count);
    } else if (!status) {
        status = embed_texts(&call, texts, ids, inputs, how, err);
    }
    free(ids);
    free(inputs);
    call_free(&call);
    return status;
}
