#include "core/model/model.h"

#include <assert.h>
#include <stdlib.h>

#include "core/model/model_load.h"
#include "core/model/model_parts.h"
#include "core/towers/text.h"

enum { MODEL_PASS_MAX = 256 }; /* images */

enum status model_open(struct model **out, const struct model_options *options, struct error *err) {
    assert(options->workers && !(options->plan && options->cache));
    struct model *model = calloc(1, sizeof(*model));
    if (!model) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    enum status status = model_load(model, options, err);
    if (status) {
        model_close(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

void model_close(struct model *model) {
    if (!model) return;
    model_parts_free(model);
    free(model);
}

const struct model_info *model_info(const struct model *model) {
    return &model->info;
}

const char *model_identity(const struct model *model) {
    return model->identity;
}

/* ---- running ---- */

static struct pass pass_of(const struct model *model, uint32_t worker, struct team *team) {
    assert(worker < model->workspace->workers && (team || !worker));
    return (struct pass){.rows = model->towers.rows,
                         .workspace = model->workspace,
                         .lane = &model->workspace->lanes[worker],
                         .team = team};
}

/* Images that go through in one pass. */
static uint32_t images_per_pass(const struct model *model) {
    size_t fit = model->workspace->images_max;
    return fit < MODEL_PASS_MAX ? (uint32_t)fit : MODEL_PASS_MAX;
}

static void encode_images(const struct model *model, const struct pass *pass,
                          const struct vision_input *inputs, uint32_t count,
                          float *const *embeddings) {
    vision_encode(&model->towers, &model->info, &model->levels, pass, inputs, count, embeddings);
}

void model_encode_images(const struct model *model, uint32_t worker, struct team *team,
                         const uint8_t *const *pixels, uint32_t count, float *const *embeddings) {
    struct pass pass = pass_of(model, worker, team);
    uint32_t most = images_per_pass(model);
    for (uint32_t first = 0; first < count; first += most) {
        struct vision_input inputs[MODEL_PASS_MAX];
        uint32_t part = count - first < most ? count - first : most;
        for (uint32_t i = 0; i < part; i++) {
            inputs[i] = (struct vision_input){.pixels = pixels[first + i]};
        }
        encode_images(model, &pass, inputs, part, embeddings + first);
    }
}

void model_encode_patches(const struct model *model, uint32_t worker, struct team *team,
                          const float *const *patches, uint32_t count, float *const *embeddings) {
    struct pass pass = pass_of(model, worker, team);
    uint32_t most = images_per_pass(model);
    for (uint32_t first = 0; first < count; first += most) {
        struct vision_input inputs[MODEL_PASS_MAX];
        uint32_t part = count - first < most ? count - first : most;
        for (uint32_t i = 0; i < part; i++) {
            inputs[i] = (struct vision_input){.patches = patches[first + i]};
        }
        encode_images(model, &pass, inputs, part, embeddings + first);
    }
}

size_t model_states_rows(const struct model_info *info) {
    bool has = info->vision.layers && info->image_tower == MODEL_IMAGE_VIT;
    return has ? model_image_tokens(info) : 0;
}

void model_encode_states(const struct model *model, uint32_t worker, struct team *team,
                         const struct vision_input *images, uint32_t count,
                         const struct model_states *what, float *const *states) {
    struct pass pass = pass_of(model, worker, team);
    struct tap tap = {.layers = what->layers, .skip = what->skip};
    assert(what->layers <= model->info.vision.layers);
    pass.tap = &tap;
    uint32_t most = images_per_pass(model);
    for (uint32_t first = 0; first < count; first += most) {
        uint32_t part = count - first < most ? count - first : most;
        tap.states = states + first;
        encode_images(model, &pass, images + first, part, NULL);
    }
}

void model_encode_texts(const struct model *model, uint32_t worker, struct team *team,
                        const struct model_text *texts, uint32_t count, float *const *embeddings) {
    struct pass pass = pass_of(model, worker, team);
    for (uint32_t first = 0; first < count;) {
        uint32_t part = 0;
        size_t rows = 0;
        while (first + part < count) {
            rows += text_rows(&model->info, &texts[first + part]);
            if (part && rows > WORKSPACE_ROWS) break;
            part++;
        }
        text_encode(&model->towers, &model->info, &pass, texts + first, part, embeddings + first);
        first += part;
    }
}

/* ---- comparing arithmetics ---- */

void model_trace_image(const struct model *model, uint32_t worker, const uint8_t *pixels,
                       float *embedding, float *trace) {
    struct team alone = {.leader = worker};
    struct pass pass = pass_of(model, worker, &alone);
    struct vision_input input = {.pixels = pixels};
    pass.trace = trace;
    encode_images(model, &pass, &input, 1, &embedding);
}

void model_trace_text(const struct model *model, uint32_t worker, const struct model_text *text,
                      float *embedding, float *trace) {
    struct team alone = {.leader = worker};
    struct pass pass = pass_of(model, worker, &alone);
    pass.trace = trace;
    text_encode(&model->towers, &model->info, &pass, text, 1, &embedding);
}

enum status model_mix(struct model **out, const struct model *int8, const struct model *other,
                      const struct plan *plan, uint32_t workers, struct error *err) {
    struct model *model = calloc(1, sizeof(*model));
    if (!model) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    model->info = int8->info;
    model->plan = *plan;
    enum status status = towers_mix(&model->towers, &int8->towers, &other->towers, plan, err);
    if (!status) status = model_parts_prepare(model, workers, 0, err);
    if (status)
        model_close(model);
    else
        *out = model;
    return status;
}
