/* The conductor: decoders, preprocessing, tokenizer, batcher and model each do one
 * thing and know nothing of each other; here they are called in order.
 *
 * Images go through the decode pool to 8-bit crops, the crops through the batcher
 * to an encoder worker. Both queues are bounded, and with them the crops that
 * exist at a time. Texts are tokenized on the caller's thread: that takes
 * microseconds. */
#include "core/engine_load.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/thread_pool.h"

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
    return left < engine->part_max ? left : engine->part_max;
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
