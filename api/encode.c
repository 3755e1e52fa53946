#include "api/encode.h"

#include <stdlib.h>

#include "core/base/clock.h"

enum status encode_init(struct encode *out, struct api *api, struct http_request *request,
                        const char *model, struct error *err) {
    struct error error = ERROR_NONE;
    *out = (struct encode){.api = api, .request = request, .truncate = true};
    enum status status =
        registry_acquire(api->registry, model, encode_deadline(api, request), &out->engine, &error);
    if (!status) return STATUS_OK;
    if (status == STATUS_NOT_FOUND) return error_set_at(err, status, "/model", "%s", error.message);
    return error_set(err, status, "%s", error.message);
}

void encode_free(struct encode *encode) {
    if (encode->engine) registry_release(encode->api->registry, encode->engine);
    encode->engine = NULL;
}

uint64_t encode_deadline(const struct api *api, const struct http_request *request) {
    uint32_t timeout_ms = api->options.timeout_ms;
    return timeout_ms ? request->waiting_ns + (uint64_t)timeout_ms * CLOCK_NS_PER_MS : CLOCK_NEVER;
}

void encode_add_timings(struct encode *encode, const struct engine_timings *timings) {
    struct engine_timings *sum = &encode->request->timings;
    sum->decode_ns += timings->decode_ns;
    sum->queue_ns += timings->queue_ns;
    sum->encode_ns += timings->encode_ns;
}

static enum status allocate(struct encoded *out, const struct encode *encode, size_t count,
                            bool texts, struct error *err) {
    size_t floats, bytes;
    *out = (struct encoded){.count = count};
    if (size_multiply(&floats, count, engine_info(encode->engine)->embed_dim) &&
        size_multiply(&bytes, floats, sizeof(float))) {
        out->embeddings = malloc(bytes);
    }
    if (encode->partial) out->errors = calloc(count, sizeof(*out->errors));
    if (texts) out->infos = calloc(count, sizeof(*out->infos));
    bool complete = out->embeddings && (out->errors || !encode->partial) && (out->infos || !texts);
    if (complete) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu inputs", count);
}

static struct engine_call begin(const struct encode *encode, const struct encoded *out) {
    return (struct engine_call){
        .deadline_ns = encode_deadline(encode->api, encode->request),
        .gone = encode->request->gone,
        .raw = encode->raw,
        .errors = out->errors,
    };
}

/* An input is at fault, rather than the time or the load. */
static bool is_input_fault(enum status status) {
    return status == STATUS_INVALID || status == STATUS_UNSUPPORTED ||
           status == STATUS_UNPROCESSABLE || status == STATUS_TOO_LARGE;
}

/* One image of an unknown format makes the body an unsupported one (415); among
 * several it is one that cannot be used (422). */
static void judge(struct error *error, size_t count) {
    if (error->status == STATUS_UNSUPPORTED && count > 1) error->status = STATUS_UNPROCESSABLE;
}

/* Completes the report of a call: adds its times, where the input at fault lies, and
 * the failures known before the call. */
static enum status finish(struct encoded *out, struct encode *encode, const struct inputs *inputs,
                          const struct engine_call *call, struct error *error, struct error *err) {
    encode_add_timings(encode, &call->timings);
    bool listed = inputs->pointer[0] || inputs->count > 1;
    for (size_t i = 0; i < inputs->count && out->errors && !error->status; i++) {
        if (inputs->errors && inputs->errors[i].status) out->errors[i] = inputs->errors[i];
        if (!out->errors[i].status) continue;
        if (!is_input_fault(out->errors[i].status)) *error = out->errors[i];
        judge(&out->errors[i], inputs->count);
    }
    if (!error->status) return STATUS_OK;
    if (!listed || !is_input_fault(error->status)) error->input = -1;
    judge(error, inputs->count);
    inputs_locate(inputs, error);
    return error_pass(err, error);
}

enum status encode_images(struct encoded *out, struct encode *encode, const struct inputs *images,
                          struct error *err) {
    struct error error = ERROR_NONE;
    enum status status = allocate(out, encode, images->count, false, err);
    if (status) return status;
    struct engine_call call = begin(encode, out);
    encode->request->inputs += images->count;
    engine_embed_images(encode->engine, images->items, images->count, out->embeddings, &call,
                        &error);
    return finish(out, encode, images, &call, &error, err);
}

enum status encode_states(float *states, struct encode *encode, const struct inputs *images,
                          const struct engine_states *what, struct error *err) {
    struct error error = ERROR_NONE;
    struct encoded none = {.count = images->count};
    struct engine_call call = begin(encode, &none);
    encode->request->inputs += images->count;
    engine_image_states(encode->engine, images->items, images->count, what, states, &call, &error);
    return finish(&none, encode, images, &call, &error, err);
}

enum status encode_texts(struct encoded *out, struct encode *encode, const struct inputs *texts,
                         struct error *err) {
    struct error error = ERROR_NONE;
    enum status status = allocate(out, encode, texts->count, true, err);
    if (status) return status;
    struct engine_call call = begin(encode, out);
    encode->request->inputs += texts->count;
    call.refuse_long = !encode->truncate;
    call.texts = out->infos;
    engine_embed_texts(encode->engine, texts->items, texts->count, out->embeddings, &call, &error);
    return finish(out, encode, texts, &call, &error, err);
}

void encoded_free(struct encoded *encoded) {
    free(encoded->embeddings);
    free(encoded->errors);
    free(encoded->infos);
    *encoded = (struct encoded){0};
}

void encode_write(struct writer *writer, const struct encoded *encoded, size_t index, size_t dim,
                  bool base64) {
    const float *embedding = encoded->embeddings + index * dim;
    if (encoded->errors && encoded->errors[index].status)
        writer_null(writer);
    else if (base64)
        writer_base64(writer, embedding, dim);
    else
        writer_floats(writer, embedding, dim);
}

void encode_write_truncated(struct writer *writer, const bool *truncated, size_t count) {
    size_t whole = 0;
    while (whole < count && !truncated[whole]) whole++;
    if (whole == count) return;
    writer_key(writer, "truncated");
    writer_begin_array(writer);
    for (size_t i = 0; i < count; i++) writer_bool(writer, truncated[i]);
    writer_end_array(writer);
}

void encode_write_preprocess(struct writer *writer, const struct engine_info *model) {
    if (!model->preprocess.fast) return;
    writer_key(writer, "preprocess");
    writer_text(writer, "fast");
}
