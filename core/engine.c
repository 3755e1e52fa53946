/* The conductor: decoders, preprocessing, tokenizer, batcher and model each do one
 * thing and know nothing of each other; here they are called in order.
 *
 * Images go through the decode pool to 8-bit crops, the crops through the batcher
 * to an encoder worker. Both queues are bounded, and with them the crops that
 * exist at a time. Texts are tokenized on the caller's thread: that takes
 * microseconds. */
#include "core/engine.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "core/call.h"
#include "core/towers/vision.h"

/* ---- opening ---- */

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

/* An entry of the queue of hidden states. */
struct states_input {
    const uint8_t *pixels;
    struct model_states what;
};

/* Neighbours that want the same go through together. */
static void run_states(void *context, uint32_t worker, struct team *team,
                       struct batch_entry *const *entries, uint32_t count) {
    struct engine *engine = context;
    struct vision_input images[BATCH_MAX_LIMIT];
    float *states[BATCH_MAX_LIMIT];
    for (uint32_t first = 0, part; first < count; first += part) {
        const struct model_states *what =
            &((const struct states_input *)entries[first]->input)->what;
        for (part = 0; first + part < count; part++) {
            const struct states_input *input = entries[first + part]->input;
            if (input->what.layers != what->layers || input->what.skip != what->skip) break;
            images[part] = (struct vision_input){.pixels = input->pixels};
            states[part] = entries[first + part]->output;
        }
        model_encode_states(engine->model, worker, team, images, part, what, states);
    }
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

static enum status open_queues(struct engine *engine, const struct engine_options *own,
                               struct error *err) {
    const struct runtime_options *options = runtime_options(engine->runtime);
    struct batcher *batcher = runtime_batcher(engine->runtime);
    struct batch_queue_options queue = {
        .batch_max = own->batch_max ? own->batch_max : options->batch_max,
        .queue_limit = own->queue_limit ? own->queue_limit : options->queue_limit,
        .context = engine,
    };
    uint32_t least =
        queue.queue_limit < options->queue_limit ? queue.queue_limit : options->queue_limit;
    engine->part_max = (least + 1) / 2;
    if (engine->info.vision.layers) {
        queue.run = run_images;
        enum status status = batch_queue_open(&engine->images, batcher, &queue, err);
        if (status) return status;
    }
    if (model_states_rows(model_info(engine->model))) {
        queue.run = run_states;
        enum status status = batch_queue_open(&engine->states, batcher, &queue, err);
        if (status) return status;
    }
    if (!engine->tokenizer) return STATUS_OK;
    queue.run = run_texts;
    queue.batch_max *= RUNTIME_TEXTS_PER_IMAGE;
    if (queue.batch_max > BATCH_MAX_LIMIT) queue.batch_max = BATCH_MAX_LIMIT;
    return batch_queue_open(&engine->texts, batcher, &queue, err);
}

enum status engine_open(struct engine **out, struct runtime *runtime,
                        const struct engine_options *options, struct error *err) {
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    engine->runtime = runtime;
    histogram_init(&engine->decode_ns, &histogram_durations);
    enum status status = engine_load(engine, options, err);
    if (!status) status = open_queues(engine, options, err);
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
    batch_queue_close(engine->states);
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
        .states = engine->states ? batch_queue_stats(engine->states) : NULL,
        .decode_ns = &engine->decode_ns,
    };
}

/* ---- images ---- */

struct decode {
    struct call *call;
    const struct model_states *states; /* NULL: embeddings are wanted */
    const struct bytes *files;         /* [count] */
    uint8_t *crops;                    /* [count, crop_bytes] */
    size_t first;                      /* the part under way starts here */
    const struct engine_call *how;
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
    if (decode->how->gone && atomic_load(decode->how->gone)) {
        error_set(error, STATUS_CANCELLED, "whoever asked has gone");
        return;
    }
    if (started >= decode->how->deadline_ns) {
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
        part = call_part(engine, count - decode->first);
        status = thread_pool_run(runtime_decoders(engine->runtime), decode_one, decode, part, err);
    }
    return status;
}

static enum status encode_states(struct call *call, const struct decode *decode,
                                 struct engine_call *how, struct error *err) {
    struct engine *engine = call->engine;
    struct states_input *inputs = calloc(call->count, sizeof(*inputs));
    if (!inputs)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu images", call->count);
    for (size_t i = 0; i < call->count; i++) {
        inputs[i] = (struct states_input){.pixels = decode->crops + i * engine->crop_bytes,
                                          .what = *decode->states};
    }
    enum status status = call_encode(call, engine->states, inputs, sizeof(*inputs), how, err);
    free(inputs);
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
    if (decode->states) return encode_states(call, decode, how, err);
    return call_encode(call, engine->images, decode->crops, engine->crop_bytes, how, err);
}

/* From files to what `call` and `decode` say. */
static enum status run_call(struct call *call, struct decode *decode, struct engine_call *how,
                            struct error *err) {
    size_t bytes;
    if (size_multiply(&bytes, call->count, call->engine->crop_bytes)) decode->crops = malloc(bytes);
    if (!decode->crops)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu images", call->count);
    enum status status = embed_images(call, decode, how, err);
    free(decode->crops);
    return status;
}

enum status engine_embed_images(struct engine *engine, const struct bytes *files, size_t count,
                                float *embeddings, struct engine_call *how, struct error *err) {
    if (count == 0) return STATUS_OK;
    if (!engine->images) {
        return error_set(err, STATUS_UNPROCESSABLE, "model \"%s\" has no vision tower",
                         engine->name);
    }
    struct call call;
    struct decode decode = {.call = &call, .files = files, .how = how};
    enum status status = call_init(&call, engine, count, embeddings, err);
    if (!status) status = run_call(&call, &decode, how, err);
    call_free(&call);
    return status;
}

enum status engine_states_of(struct engine_states *out, const struct engine *engine, int32_t layer,
                             bool class_token, struct error *err) {
    const struct model_info *model = model_info(engine->model);
    int64_t layers = model->vision.layers, wanted = layer < 0 ? layers + 1 + layer : layer;
    size_t rows = model_states_rows(model), patches = rows ? model_patches(model) : 0;
    if (!rows) {
        return error_set(err, STATUS_UNPROCESSABLE, "model \"%s\" has no hidden states of patches",
                         engine->name);
    }
    if (wanted < 0 || wanted > layers) {
        return error_set_at(err, STATUS_UNPROCESSABLE, "/layer",
                            "layer is %d, model \"%s\" has 0 to %d, or -1 to %d", layer,
                            engine->name, (int)layers, -1 - (int)layers);
    }
    if (class_token && rows == patches) {
        return error_set_at(err, STATUS_UNPROCESSABLE, "/class_token",
                            "model \"%s\" has no class token", engine->name);
    }
    *out = (struct engine_states){.layers = (uint32_t)wanted,
                                  .class_token = class_token,
                                  .rows = (uint32_t)(class_token ? rows : patches),
                                  .width = model->vision.width};
    return STATUS_OK;
}

enum status engine_image_states(struct engine *engine, const struct bytes *files, size_t count,
                                const struct engine_states *what, float *states,
                                struct engine_call *how, struct error *err) {
    if (count == 0) return STATUS_OK;
    struct call call;
    struct model_states model = {.layers = what->layers,
                                 .skip = (uint32_t)model_states_rows(model_info(engine->model)) -
                                         what->rows};
    struct decode decode = {.call = &call, .states = &model, .files = files, .how = how};
    enum status status = call_init(&call, engine, count, states, err);
    call.dim = (size_t)what->rows * what->width;
    how->raw = true;
    if (!status) status = run_call(&call, &decode, how, err);
    call_free(&call);
    return status;
}

/* ---- texts ---- */

static enum status no_texts(const struct engine *engine, struct error *err) {
    return error_set(err, STATUS_UNPROCESSABLE, "model \"%s\" has no %s", engine->name,
                     engine->info.text.layers ? "vocabulary" : "text tower");
}

/* The text, and behind it the padding that its tokenizer asks for. */
static void tokenize_input(struct engine *engine, struct bytes text, bool truncate,
                           struct model_text *out, uint32_t *ids, struct engine_text_info *info,
                           struct error *err) {
    size_t context_length = engine->info.context_length;
    struct tokens tokens = {.ids = ids};
    enum status status =
        tokenizer_encode(engine->tokenizer, text, context_length, truncate, &tokens, err);
    size_t count =
        status ? tokens.count : tokenizer_pad(engine->tokenizer, &tokens, context_length);
    *info = (struct engine_text_info){.tokens = tokens.count, .truncated = tokens.truncated};
    *out = (struct model_text){.ids = ids, .count = (uint32_t)count};
}

/* Tokenizes into `ids`, [count, context_length], and `inputs`, [count]. */
static enum status embed_texts(struct call *call, const struct bytes *texts, uint32_t *ids,
                               struct model_text *inputs, struct engine_call *how,
                               struct error *err) {
    uint64_t started = clock_now_ns();
    for (size_t i = 0; i < call->count; i++) {
        struct engine_text_info info = {0};
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
