/* POST /embed/image and POST /embed/text.
 *
 * Answers to "partial": true have the embedding null where an input failed, and
 * "errors", which is empty when none did. They are 200 even if all failed: the
 * request was understood and every input answered. */
#include <string.h>

#include "api/body.h"
#include "api/encode.h"
#include "api/problem.h"
#include "api/response.h"

enum { COMMON = BODY_MODEL | BODY_NORMALIZE | BODY_ENCODING | BODY_PARTIAL };

static void write_text_infos(struct writer *writer, const struct encoded *texts) {
    writer_key(writer, "tokens");
    writer_begin_array(writer);
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->errors && texts->errors[i].status)
            writer_null(writer);
        else
            writer_uint(writer, texts->infos[i].tokens);
    }
    writer_end_array(writer);
    writer_key(writer, "truncated");
    writer_begin_array(writer);
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->errors && texts->errors[i].status)
            writer_null(writer);
        else
            writer_bool(writer, texts->infos[i].truncated);
    }
    writer_end_array(writer);
}

static enum status answer(struct http_response *response, const struct engine_info *model,
                          const struct encoded *encoded, bool base64, struct error *err) {
    struct writer writer;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "model");
    writer_text(&writer, model->name);
    writer_key(&writer, "dim");
    writer_uint(&writer, model->embed_dim);
    writer_key(&writer, "embeddings");
    writer_begin_array(&writer);
    for (size_t i = 0; i < encoded->count; i++) {
        encode_write(&writer, encoded, i, model->embed_dim, base64);
    }
    writer_end_array(&writer);
    if (encoded->infos)
        write_text_infos(&writer, encoded);
    else
        encode_write_preprocess(&writer, model);
    if (encoded->errors) {
        writer_key(&writer, "errors");
        problem_write_items(&writer, encoded->errors, encoded->count);
    }
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

typedef enum status tower_fn(struct encoded *out, struct encode *encode,
                             const struct inputs *inputs, struct error *err);

/* One input list through one tower. */
static enum status run(struct http_response *response, struct encode *encode,
                       const struct body *body, const struct inputs *inputs, tower_fn *tower,
                       struct error *err) {
    struct encoded encoded = {0};
    encode->raw = !body->normalize;
    encode->truncate = body->truncate;
    encode->partial = body->partial;
    enum status status = tower(&encoded, encode, inputs, err);
    if (!status) {
        status = answer(response, engine_info(encode->engine), &encoded, body->base64, err);
    }
    encoded_free(&encoded);
    return status;
}

enum status embed_image(struct api *api, struct http_request *request,
                        struct http_response *response, struct error *err) {
    struct body body;
    struct encode encode = {0};
    const char *output = request->query(request, "output");
    if (output && !strcmp(output, "patches")) return states_post(api, request, response, err);
    if (output && strcmp(output, "embedding") != 0) {
        return error_set_at(err, STATUS_INVALID, "/output",
                            "output is \"%.32s\", embedding or patches is expected", output);
    }
    enum status status = body_read(&body, request, &api->options, COMMON | BODY_IMAGES, err);
    if (!status) status = encode_init(&encode, api, request, body.model, err);
    if (!status) status = run(response, &encode, &body, &body.images, encode_images, err);
    encode_free(&encode);
    body_free(&body);
    return status;
}

enum status embed_text(struct api *api, struct http_request *request,
                       struct http_response *response, struct error *err) {
    struct body body;
    struct encode encode = {0};
    enum status status =
        body_read(&body, request, &api->options, COMMON | BODY_TEXTS | BODY_TRUNCATE, err);
    if (!status) status = encode_init(&encode, api, request, body.model, err);
    if (!status) status = run(response, &encode, &body, &body.texts, encode_texts, err);
    encode_free(&encode);
    body_free(&body);
    return status;
}
