/* POST /classify: the labels become class embeddings (from the cache when they were
 * seen before), the images embeddings, and every image gets its labels, best first. */
#include <stdlib.h>

#include "api/body.h"
#include "api/encode.h"
#include "api/problem.h"
#include "api/response.h"

enum {
    FIELDS = BODY_MODEL | BODY_PARTIAL | BODY_TOP_K | BODY_IMAGES | BODY_LABELS | BODY_TEMPLATES
};

/* One request on its way. */
struct classification {
    struct body body;
    struct encode encode;
    struct encoded images;
    float *labels;                 /* [labels.count, embed_dim] */
    bool *truncated;               /* [labels.count] */
    struct classify_score *scores; /* [labels.count] */
};

/* Passes a report on label or template `error->input` on. Where it lies says which: the index
 * would be taken for an image's. */
static enum status fail_in(const struct inputs *inputs, struct error *error, struct error *err) {
    inputs_locate(inputs, error);
    error->input = -1;
    return error_pass(err, error);
}

static enum status check_prompts(struct body *body, const struct api_options *options,
                                 struct error *err) {
    struct inputs *labels = &body->labels, *templates = &body->templates;
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->items[i].size) continue;
        struct error error = {.input = (int)i};
        error_set(&error, STATUS_INVALID, "an empty label");
        return fail_in(labels, &error, err);
    }
    for (size_t i = 0; i < templates->count; i++) {
        struct error error = {.input = (int)i};
        if (classify_check_template(templates->items[i], &error)) {
            return fail_in(templates, &error, err);
        }
    }
    if (templates->count == 0) {
        enum status status = inputs_add(templates, bytes_of(classify_template_default), err);
        if (status) return status;
    }
    size_t prompts;
    if (size_multiply(&prompts, labels->count, templates->count) && prompts <= options->texts_max) {
        return STATUS_OK;
    }
    return error_set_at(err, STATUS_TOO_LARGE, "/labels",
                        "%zu labels in %zu templates, the limit is %u prompts", labels->count,
                        templates->count, options->texts_max);
}

static enum status embed_labels(struct classification *c, struct error *err) {
    struct encode *encode = &c->encode;
    const struct inputs *labels = &c->body.labels, *templates = &c->body.templates;
    struct engine_call call = {.deadline_ns = encode_deadline(encode->api, encode->request),
                               .gone = encode->request->gone};
    size_t floats, bytes;
    if (size_multiply(&floats, labels->count, engine_info(encode->engine)->embed_dim) &&
        size_multiply(&bytes, floats, sizeof(float))) {
        c->labels = malloc(bytes);
    }
    c->truncated = calloc(labels->count, sizeof(*c->truncated));
    c->scores = calloc(labels->count, sizeof(*c->scores));
    if (!c->labels || !c->truncated || !c->scores) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu labels", labels->count);
    }
    struct error error = ERROR_NONE;
    struct label_set set = {.labels = labels->items,
                            .labels_count = labels->count,
                            .templates = templates->items,
                            .templates_count = templates->count};
    enum status status = classify_embed_labels(encode->api->classifier, encode->engine, &set,
                                               c->labels, c->truncated, &call, &error);
    encode->request->inputs += labels->count;
    encode_add_timings(encode, &call.timings);
    return status ? fail_in(labels, &error, err) : STATUS_OK;
}

/* Labels are as long as the client likes, and come again for each image: the answer is charged
 * label by label, and refused when it is full. */
static enum status write_label(struct writer *writer, struct http_response *response,
                               struct bytes label, const struct classify_score *score,
                               struct error *err) {
    if (response_is_full(response))
        return error_set(err, STATUS_TOO_LARGE,
                         "answer has more than %zu bytes: send fewer images, or a lower top_k",
                         response->body.size);
    writer_begin_object(writer);
    writer_key(writer, "label");
    writer_string(writer, label);
    writer_key(writer, "probability");
    writer_float(writer, score->probability);
    writer_key(writer, "cosine");
    writer_float(writer, score->cosine);
    writer_end_object(writer);
    enum status status = writer_finish(writer, err);
    return status ? status : response_charge(response, err);
}

static enum status write_result(struct writer *writer, struct http_response *response,
                                struct classification *c, size_t image, struct error *err) {
    struct engine *engine = c->encode.engine;
    const struct inputs *labels = &c->body.labels;
    if (c->images.errors && c->images.errors[image].status) {
        writer_null(writer);
        return STATUS_OK;
    }
    classify_score(engine, c->images.embeddings + image * engine_info(engine)->embed_dim, c->labels,
                   labels->count, c->scores);
    size_t top = c->body.top_k;
    if (top == 0 || top > labels->count) top = labels->count;
    writer_begin_object(writer);
    writer_key(writer, "labels");
    writer_begin_array(writer);
    for (size_t i = 0; i < top; i++) {
        const struct classify_score *score = &c->scores[i];
        enum status status = write_label(writer, response, labels->items[score->label], score, err);
        if (status) return status;
    }
    writer_end_array(writer);
    writer_end_object(writer);
    return STATUS_OK;
}

static enum status answer(struct http_response *response, struct classification *c,
                          struct error *err) {
    struct writer writer;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "model");
    writer_text(&writer, engine_info(c->encode.engine)->name);
    writer_key(&writer, "scoring");
    writer_text(&writer, engine_info(c->encode.engine)->sigmoid ? "sigmoid" : "softmax");
    encode_write_preprocess(&writer, engine_info(c->encode.engine));
    writer_key(&writer, "results");
    writer_begin_array(&writer);
    for (size_t i = 0; i < c->images.count; i++) {
        enum status status = write_result(&writer, response, c, i, err);
        if (status) return status;
    }
    writer_end_array(&writer);
    encode_write_truncated(&writer, c->truncated, c->body.labels.count);
    if (c->images.errors) {
        writer_key(&writer, "errors");
        problem_write_items(&writer, c->images.errors, c->images.count);
    }
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

enum status classify_post(struct api *api, struct http_request *request,
                          struct http_response *response, struct error *err) {
    struct classification c = {0};
    enum status status = body_read(&c.body, request, &api->options, FIELDS, err);
    if (!status) status = check_prompts(&c.body, &api->options, err);
    if (!status) status = encode_init(&c.encode, api, request, c.body.model, err);
    c.encode.partial = c.body.partial;
    /* The image first: if it is bad, no label need be embedded. */
    if (!status) status = encode_images(&c.images, &c.encode, &c.body.images, err);
    if (!status) status = embed_labels(&c, err);
    if (!status) status = answer(response, &c, err);
    free(c.labels);
    free(c.truncated);
    free(c.scores);
    encoded_free(&c.images);
    encode_free(&c.encode);
    body_free(&c.body);
    return status;
}
