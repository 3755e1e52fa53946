#include "core/model/quality.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/thread_pool.h"
#include "core/model/cosines.h"

/* ---- running samples ---- */

enum status outputs_create(struct outputs *out, const struct model_info *info,
                           enum plan_tower tower, size_t count, bool traced, struct error *err) {
    const struct model_tower *shape = tower == PLAN_VISION ? &info->vision : &info->text;
    *out = (struct outputs){
        .count = count, .dim = info->embed_dim, .layers = shape->layers, .width = shape->width};
    out->embeddings = calloc(count * out->dim, sizeof(float));
    if (traced) out->traces = calloc(count * out->layers * out->width, sizeof(float));
    if (out->embeddings && (out->traces || !traced)) return STATUS_OK;
    outputs_free(out);
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu embeddings", count);
}

void outputs_free(struct outputs *outputs) {
    free(outputs->embeddings);
    free(outputs->traces);
    *outputs = (struct outputs){.count = 0};
}

struct run {
    struct outputs *outputs;
    const struct model *model;
    enum plan_tower tower;
    const struct samples *samples;
    uint32_t workers;
    float *traces; /* [workers, layers, width], scratch */
};

static void run_sample(const struct run *run, size_t index, uint32_t worker) {
    struct outputs *out = run->outputs;
    size_t row = out->width, layers = out->layers;
    float *embedding = out->embeddings + index * out->dim;
    float *trace = run->traces ? run->traces + worker * layers * row : NULL;
    if (run->tower == PLAN_VISION)
        model_trace_image(run->model, worker, run->samples->pixels[index], embedding, trace);
    else
        model_trace_text(run->model, worker, &run->samples->texts[index], embedding, trace);
    for (size_t i = 0; trace && i < layers; i++) {
        memcpy(out->traces + (i * out->count + index) * row, trace + i * row, row * sizeof(*trace));
    }
}

static void run_share(void *context, size_t worker) {
    const struct run *run = context;
    for (size_t i = worker; i < run->outputs->count; i += run->workers) {
        run_sample(run, i, (uint32_t)worker);
    }
}

enum status outputs_compute(struct outputs *outputs, const struct model *model,
                            enum plan_tower tower, const struct samples *samples,
                            struct thread_pool *pool, uint32_t workers, struct error *err) {
    assert(outputs->count <= samples->counts[tower]);
    assert(tower == PLAN_VISION ? samples->pixels != NULL : samples->texts != NULL);
    struct run run = {outputs, model, tower, samples, workers, NULL};
    if (outputs->traces) {
        run.traces = calloc(run.workers * outputs->layers * outputs->width, sizeof(float));
        if (!run.traces) return error_set(err, STATUS_NO_MEMORY, "out of memory for a trace");
    }
    enum status status = thread_pool_run(pool, run_share, &run, workers, err);
    free(run.traces);
    return status;
}

/* ---- invented samples ---- */

enum { INVENTED = 8, WAVES = 4, IDS_MIN = 8 };

/* Uniform in [0, 1). */
static double chance(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 16777216.0;
}

/* A few slow waves of each colour, as large as photographs vary. */
static void draw_picture(uint8_t *pixels, size_t height, size_t width, uint32_t *state) {
    for (size_t c = 0; c < 3; c++) {
        double waves[WAVES][4], level = 64 + 128 * chance(state);
        for (size_t i = 0; i < WAVES; i++) {
            waves[i][0] = 48 * chance(state);
            for (size_t j = 1; j < 4; j++) waves[i][j] = 20 * (chance(state) - 0.5);
        }
        for (size_t i = 0; i < height * width; i++) {
            size_t row = i / width, column = i % width;
            double x = (double)column / (double)width, y = (double)row / (double)height;
            double value = level;
            for (size_t k = 0; k < WAVES; k++) {
                value += waves[k][0] * sin(waves[k][1] * x + waves[k][2] * y + waves[k][3]);
            }
            pixels[3 * i + c] = (uint8_t)fmax(0, fmin(255, value));
        }
    }
}

/* Random ids between what is taken for start and end token: the two largest, as in CLIP's
 * vocabulary, unless the model knows its end token. */
static void write_text(struct model_text *out, uint32_t *ids, const struct model_info *info,
                       size_t index, uint32_t *state) {
    uint32_t end = info->vocab_size - 1, count = IDS_MIN + 2 * (uint32_t)index;
    if (info->pooling == MODEL_POOL_EOS) end = info->end_token;
    if (count > info->context_length) count = info->context_length;
    for (uint32_t i = 0; i + 1 < count; i++) {
        ids[i] = (uint32_t)(chance(state) * (info->vocab_size - 1));
        if (ids[i] == end) ids[i] = end ? end - 1 : 0;
    }
    ids[count - 1] = end;
    *out = (struct model_text){.ids = ids, .count = count};
}

enum status samples_invent(struct samples *out, const struct model_info *info, struct error *err) {
    size_t bytes = 3 * (size_t)info->image_size * info->image_width, room = info->context_length;
    *out = (struct samples){.pixels = NULL};
    if (info->vision.layers) out->counts[PLAN_VISION] = INVENTED;
    if (info->text.layers) out->counts[PLAN_TEXT] = INVENTED;
    struct {
        const uint8_t *pixels[INVENTED];
        struct model_text texts[INVENTED];
        uint32_t ids[];
    } *all = malloc(sizeof(*all) + INVENTED * (room * sizeof(uint32_t) + bytes));
    if (!all) return error_set(err, STATUS_NO_MEMORY, "out of memory for samples");
    uint8_t *pixels = (uint8_t *)(all->ids + INVENTED * room);
    uint32_t state = 1;
    for (size_t i = 0; i < out->counts[PLAN_VISION]; i++) {
        all->pixels[i] = pixels + i * bytes;
        draw_picture(pixels + i * bytes, info->image_size, info->image_width, &state);
    }
    for (size_t i = 0; i < out->counts[PLAN_TEXT]; i++) {
        write_text(&all->texts[i], all->ids + i * room, info, i, &state);
    }
    out->pixels = all->pixels;
    out->texts = all->texts;
    return STATUS_OK;
}

void samples_free(struct samples *invented) {
    free(invented->pixels); /* the first member of what was allocated */
    *invented = (struct samples){.pixels = NULL};
}

/* ---- both together ---- */

/* Two models that are compared. */
struct pair {
    const struct model *model, *reference;
    struct thread_pool *pool;
    uint32_t workers;
};

static enum status measure_tower(struct model_cosines *out, const struct pair *pair,
                                 enum plan_tower tower, const struct samples *samples,
                                 struct error *err) {
    struct outputs want = {.count = 0}, got = {.count = 0};
    const struct model_info *info = model_info(pair->model);
    struct thread_pool *pool = pair->pool;
    size_t count = samples->counts[tower];
    enum status status = outputs_create(&want, info, tower, count, false, err);
    if (!status) status = outputs_create(&got, info, tower, count, false, err);
    if (!status)
        status = outputs_compute(&want, pair->reference, tower, samples, pool, pair->workers, err);
    if (!status)
        status = outputs_compute(&got, pair->model, tower, samples, pool, pair->workers, err);
    if (!status) status = cosines_of(out, want.embeddings, got.embeddings, count, want.dim, err);
    outputs_free(&want);
    outputs_free(&got);
    return status;
}

enum status quality_measure(struct model_cosines *out, const struct model *model,
                            const struct model *reference, uint32_t workers, struct error *err) {
    const struct thread_pool_options threads = {
        .name = "quality", .threads = workers, .queue_limit = workers};
    struct pair pair = {.model = model, .reference = reference, .workers = workers};
    struct samples samples;
    enum status status = samples_invent(&samples, model_info(model), err);
    if (status) return status;
    status = thread_pool_create(&pair.pool, &threads, err);
    *out = (struct model_cosines){1, 1, 1, 1};
    for (int tower = 0; tower < PLAN_TOWERS && !status; tower++) {
        struct model_cosines cosines;
        if (!samples.counts[tower]) continue;
        status = measure_tower(&cosines, &pair, (enum plan_tower)tower, &samples, err);
        if (!status) *out = cosines_worse(*out, cosines);
    }
    thread_pool_destroy(pair.pool);
    samples_free(&samples);
    return status;
}
