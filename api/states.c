/* POST /embed/image?output=patches: the hidden states of the image tower, as LLaVA and its like
 * take them from CLIP.
 *
 * They are large, 2 MB for an image of ViT-L/14 at 336 pixels, so they go as binary, and the
 * bytes of all such answers together are bounded, from the time that they are asked for to when
 * the client has them. */
#include <string.h>

#include "api/body.h"
#include "api/encode.h"
#include "api/half.h"
#include "api/npy_body.h"
#include "api/response.h"

enum {
    FIELDS = BODY_MODEL | BODY_IMAGES | BODY_LAYER | BODY_CLASS_TOKEN | BODY_FORMAT | BODY_DTYPE
};

/* Given back by api_finish(). */
static enum status reserve(struct api *api, struct http_request *request, size_t bytes,
                           struct error *err) {
    size_t most = api->options.states_max;
    if (bytes > most) {
        return error_set(err, STATUS_TOO_LARGE,
                         "these hidden states have %zu bytes, the limit is %zu", bytes, most);
    }
    if (!budget_take(&api->states, bytes)) {
        return error_set(err, STATUS_OVERLOADED, "answers with hidden states hold %zu bytes of %zu",
                         budget_used(&api->states), most);
    }
    request->states_bytes += bytes;
    return STATUS_OK;
}

static enum status answer(struct http_response *response, struct encode *encode,
                          const struct body *body, const struct engine_states *what,
                          struct error *err) {
    const size_t shape[] = {body->images.count, what->rows, what->width};
    size_t floats = shape[0] * shape[1] * shape[2]; /* fits: see states_post() */
    const char *descr = body->half ? "<f2" : "<f4";
    response_init(response, 200, body->bare ? "application/octet-stream" : "application/x-npy");
    response_header(response, "X-Shape", "%zu, %zu, %zu", shape[0], shape[1], shape[2]);
    if (engine_info(encode->engine)->preprocess.fast)
        response_header(response, "X-Preprocess", "fast");
    struct buffer *out = &response->body;
    enum status status = body->bare ? STATUS_OK : npy_body_write_header(out, descr, shape, 3, err);
    if (status) return status;
    uint8_t *room = buffer_reserve(out, floats * sizeof(float), err);
    if (!room) return STATUS_NO_MEMORY;
    /* The header is a multiple of what floats are aligned to. */
    float *states = (float *)(void *)room;
    status = encode_states(states, encode, &body->images, what, err);
    if (status) return status;
    if (body->half) half_from_floats(room, states, floats);
    out->size += floats * (body->half ? sizeof(uint16_t) : sizeof(float));
    return STATUS_OK;
}

enum status states_post(struct api *api, struct http_request *request,
                        struct http_response *response, struct error *err) {
    struct body body;
    struct encode encode = {0};
    struct engine_states what;
    size_t bytes;
    enum status status = body_read(&body, request, &api->options, FIELDS, err);
    if (!status) status = encode_init(&encode, api, request, body.model, err);
    if (!status) status = engine_states_of(&what, encode.engine, body.layer, body.class_token, err);
    if (!status) {
        size_t of_one = (size_t)what.rows * what.width * sizeof(float);
        if (!size_multiply(&bytes, of_one, body.images.count)) bytes = SIZE_MAX;
        status = reserve(api, request, bytes, err);
    }
    if (!status) status = answer(response, &encode, &body, &what, err);
    encode_free(&encode);
    body_free(&body);
    return status;
}
