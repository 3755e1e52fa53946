/* fuzz_json_body.c - any bytes as the JSON body of every route that takes one.
 *
 * What must hold besides not crashing: a refusal has a status and a message, and the
 * answer to it is JSON; what was read keeps to the limits, and is written as JSON. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/openai_body.h"
#include "api/problem.h"
#include "tests/support/fake_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct api_options options = {.images_max = 4, .texts_max = 8};

static void require(bool holds) {
    if (!holds) abort();
}

static void check_json(struct bytes text) {
    json_t *root =
        json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    require(root != NULL);
    json_decref(root);
}

static void check_refusal(const struct http_request *request, enum status status,
                          const struct error *err) {
    struct http_response response = {0};
    require(err->status == status && err->message[0]);
    require(!err->where[0] || err->where[0] == '/');
    problem_respond(&response, request, 0, err, 0);
    check_json(buffer_view(&response.body));
    buffer_free(&response.body);
}

static void check_inputs(const struct inputs *inputs) {
    struct buffer text;
    struct writer writer;
    require(inputs->count <= inputs->limit);
    for (size_t i = 0; i < inputs->count; i++) {
        buffer_init(&text, 64 << 20);
        writer_init(&writer, &text);
        writer_string(&writer, inputs->items[i]);
        require(writer_finish(&writer, NULL) == STATUS_OK);
        check_json(buffer_view(&text));
        buffer_free(&text);
    }
}

static void read_native(struct bytes text, const char *path, unsigned allowed) {
    struct fake_request fake;
    struct body body;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, path, "application/json", text);
    enum status status = body_read(&body, &fake.request, &options, allowed, &err);
    check_inputs(&body.images);
    check_inputs(&body.texts);
    check_inputs(&body.labels);
    check_inputs(&body.templates);
    if (status) check_refusal(&fake.request, status, &err);
    body_free(&body);
}

static void read_openai(struct bytes text) {
    struct fake_request fake;
    struct openai_body body;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/v1/embeddings", "application/json", text);
    enum status status = openai_body_read(&body, &fake.request, &options, &err);
    check_inputs(&body.images);
    check_inputs(&body.texts);
    if (status)
        check_refusal(&fake.request, status, &err);
    else
        require(body.images.count + body.texts.count > 0);
    openai_body_free(&body);
}

static void compare_string(const struct json_body *json, const json_t *ours, const json_t *theirs) {
    struct bytes text;
    if (!json_is_string(theirs)) return;
    require(json_body_string(&text, json, ours, "/x", NULL) == STATUS_OK);
    require(text.size == json_string_length(theirs));
    require(!text.size || memcmp(text.data, json_string_value(theirs), text.size) == 0);
}

/* Long strings stay out of our tree: whoever reads them must not notice. */
static void compare_with_jansson(struct bytes text) {
    struct json_body json;
    if (json_body_parse(&json, text, 1000, NULL, NULL)) return;
    json_t *root = json_loadb((const char *)text.data, text.size, JSON_ALLOW_NUL, NULL);
    require(root != NULL);
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        const json_t *ours = json_object_get(json.root, name);
        require(ours && json_typeof(ours) == json_typeof(value));
        compare_string(&json, ours, value);
        for (size_t i = 0; i < json_array_size(value); i++) {
            compare_string(&json, json_array_get(ours, i), json_array_get(value, i));
        }
    }
    json_decref(root);
    json_body_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes text = {.data = data, .size = size};
    unsigned options_of_embed = BODY_MODEL | BODY_NORMALIZE | BODY_ENCODING | BODY_PARTIAL;
    read_native(text, "/embed/image", options_of_embed | BODY_IMAGES);
    read_native(text, "/embed/text", options_of_embed | BODY_TRUNCATE | BODY_TEXTS);
    read_native(text, "/classify",
                BODY_MODEL | BODY_PARTIAL | BODY_TOP_K | BODY_IMAGES | BODY_LABELS |
                    BODY_TEMPLATES);
    read_openai(text);
    compare_with_jansson(text);
    return 0;
}
