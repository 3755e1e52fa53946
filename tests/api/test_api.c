/* The whole service but the sockets, over the starter model. */
#include "api/api.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "tests/support/fake_request.h"

enum { EMBED_DIM = 192 };

#define PIXEL                                                                                      \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg" \
    "gg=="

static struct registry *registry;
static struct api *api;
static struct http_response response;
static struct buffer pixel; /* a PNG of one pixel */

static void open_service(void) {
    struct error err = ERROR_NONE;
    struct api_options options = api_options_default;
    struct registry_model model = {.engine = {.name = "starter", .path = "models/starter"}};
    struct registry_setup setup = {.models = &model, .models_count = 1};
    options.images_max = 4;
    options.texts_max = 64;
    log_init(LOG_OFF, LOG_TEXT);
    buffer_init(&pixel, 4096);
    base64_decode(&pixel, bytes_of(PIXEL), &err);
    registry_create(&registry, &runtime_options_default, &err);
    registry_configure(registry, &setup, &err);
    api_create(&api, &options, registry, &err);
    ck_assert_msg(err.status == STATUS_OK, "%s", err.message);
    api_set_state(api, API_READY);
}

static void close_service(void) {
    api_destroy(api);
    registry_destroy(registry);
    buffer_free(&pixel);
}

static void setup(void) {
    response = (struct http_response){0};
}

static void teardown(void) {
    buffer_free(&response.body);
}

static const char *header(const char *name) {
    for (size_t i = 0; i < response.headers_count; i++) {
        if (strcmp(response.headers[i].name, name) == 0) return response.headers[i].value;
    }
    return "";
}

/* All of a request's way; the answer's status. */
static int run(struct fake_request *fake) {
    struct api_admission admission;
    if (api_admit(api, &fake->request, &admission, &response)) {
        api_handle(api, &fake->request, &response);
    }
    api_finish(api, &fake->request, &response, true);
    return response.status;
}

/* Check cannot print long messages. */
static int shown(void) {
    return response.body.size < 300 ? (int)response.body.size : 300;
}

static json_t *body(void) {
    json_t *root = json_loadb((const char *)response.body.data, response.body.size, 0, NULL);
    ck_assert_msg(root != NULL, "%.*s", shown(), (const char *)response.body.data);
    return root;
}

/* Posts JSON; the answer is to be released. */
static json_t *post(const char *path, const char *text, int status) {
    struct fake_request fake;
    fake_request_init(&fake, path, "application/json", bytes_of(text));
    int found = run(&fake);
    ck_assert_msg(found == status, "%.200s: %d %.*s", text, found, shown(),
                  (const char *)response.body.data);
    return body();
}

static json_t *get(const char *path, int status) {
    struct fake_request fake;
    fake_request_init(&fake, path, NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    ck_assert_int_eq(run(&fake), status);
    return strstr(response.content_type, "json") ? body() : NULL;
}

static const char *string_at(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "(none)";
}

static double number_at(const json_t *array, size_t index) {
    return json_number_value(json_array_get(array, index));
}

/* A failure in the form of our own routes. */
static void check_problem(const char *path, const char *text, int status, const char *code,
                          const char *pointer, int index) {
    json_t *problem = post(path, text, status);
    const json_t *errors = json_object_get(problem, "errors");
    const json_t *at = json_object_get(problem, "index");
    ck_assert_str_eq(response.content_type, "application/problem+json");
    ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")), status);
    ck_assert_str_eq(string_at(problem, "code"), code);
    ck_assert_str_eq(string_at(problem, "type"), "about:blank");
    ck_assert_str_eq(string_at(problem, "instance"), "test");
    ck_assert_str_eq(string_at(json_array_get(errors, 0), "pointer"), pointer ? pointer : "(none)");
    ck_assert_int_eq(at ? (int)json_integer_value(at) : -1, index);
    json_decref(problem);
}

/* ---- admission ---- */

START_TEST(unknown_paths_and_methods) {
    struct fake_request fake;
    json_decref(get("/nothing", 404));
    ck_assert_str_eq(response.content_type, "application/problem+json");
    json_decref(get("/v1/nothing", 404));
    ck_assert_str_eq(response.content_type, "application/json");
    json_decref(get("/embed/text", 405));
    ck_assert_str_eq(header("Allow"), "POST");
    fake_request_init(&fake, "/models", NULL, (struct bytes){0});
    ck_assert_int_eq(run(&fake), 405);
    ck_assert_str_eq(header("Allow"), "GET, HEAD");
    fake.request.method = HTTP_HEAD;
    ck_assert_int_eq(run(&fake), 200);
}
END_TEST

START_TEST(types_that_no_route_takes) {
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", "text/plain", bytes_of("x"));
    ck_assert_int_eq(run(&fake), 415);
    fake_request_init(&fake, "/embed/text", "image/png", bytes_of("x"));
    ck_assert_int_eq(run(&fake), 415);
    fake_request_init(&fake, "/v1/embeddings", "multipart/form-data", bytes_of("x"));
    ck_assert_int_eq(run(&fake), 415);
}
END_TEST

START_TEST(limits_and_probes_of_admission) {
    struct fake_request fake;
    struct api_admission admission;
    fake_request_init(&fake, "/embed/text", NULL, (struct bytes){0});
    ck_assert(api_admit(api, &fake.request, &admission, &response));
    ck_assert_uint_eq(admission.body_max, api_options_default.text_body_max);
    ck_assert(!admission.immediate);
    fake_request_init(&fake, "/livez", NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    ck_assert(api_admit(api, &fake.request, &admission, &response));
    ck_assert(admission.immediate && !admission.probing);
    /* It reads a file of the store. */
    fake_request_init(&fake, "/readyz", NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    ck_assert(api_admit(api, &fake.request, &admission, &response));
    ck_assert(!admission.immediate && admission.probing);
}
END_TEST

START_TEST(loading_and_draining) {
    static const enum api_state states[] = {API_LOADING, API_DRAINING};
    for (size_t i = 0; i < 2; i++) {
        api_set_state(api, states[i]);
        json_decref(get("/livez", 200));
        json_decref(get("/readyz", 503));
        ck_assert_str_ne(header("Retry-After"), "");
        json_decref(get("/metrics", 200));
        json_decref(get("/openapi.yaml", 200));
        json_decref(get("/models", 503));
        ck_assert_str_eq(header("Retry-After"), "5");
        json_decref(get("/v1/models", 503));
        json_decref(get("/nothing", 404));
    }
    api_set_state(api, API_LEAVING);
    json_decref(get("/readyz", 503));
    json_decref(get("/models", 200));
    api_set_state(api, API_READY);
    json_decref(get("/readyz", 200));
}
END_TEST

START_TEST(refusals_of_the_server) {
    struct fake_request fake;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/embed/text", NULL, (struct bytes){0});
    error_set(&err, STATUS_INVALID, "no length");
    api_refuse(api, &fake.request, 411, &err, &response);
    ck_assert_int_eq(response.status, 411);
    err = ERROR_NONE;
    error_set(&err, STATUS_OVERLOADED, "too many connections");
    api_refuse(api, &fake.request, 0, &err, &response);
    ck_assert_int_eq(response.status, 503);
    ck_assert_str_eq(header("Retry-After"), "1");
}
END_TEST

/* ---- embeddings ---- */

START_TEST(all_forms_of_an_image_are_one) {
    struct fake_request fake;
    json_t *json = post("/embed/image", "{\"images\":[\"" PIXEL "\"]}", 200);
    ck_assert_str_ne(header("Server-Timing"), "");
    fake_request_init(&fake, "/embed/image", "image/png", buffer_view(&pixel));
    ck_assert_int_eq(run(&fake), 200);
    json_t *raw = body();
    fake_request_init(&fake, "/embed/image", "multipart/form-data; boundary=x", (struct bytes){0});
    struct http_part parts[] = {{"image", "a.png", "", buffer_view(&pixel)}};
    fake.request.parts = parts;
    fake.request.parts_count = 1;
    ck_assert_int_eq(run(&fake), 200);
    json_t *form = body();
    ck_assert(json_equal(json, raw) && json_equal(json, form));
    ck_assert_str_eq(string_at(json, "model"), "starter");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "dim")), EMBED_DIM);
    double sum = 0;
    const json_t *embedding = json_array_get(json_object_get(json, "embeddings"), 0);
    for (size_t i = 0; i < EMBED_DIM; i++) sum += number_at(embedding, i) * number_at(embedding, i);
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    json_decref(json);
    json_decref(raw);
    json_decref(form);
}
END_TEST

/* The base64 and the numbers are the same floats, to the bit. */
START_TEST(both_encodings_are_exact) {
    struct buffer bytes;
    json_t *numbers = post("/embed/text", "{\"text\":\"a cat\",\"normalize\":false}", 200);
    json_t *text = post("/embed/text",
                        "{\"text\":\"a cat\",\"normalize\":false,\"encoding\":\"base64\"}", 200);
    const json_t *embedding = json_array_get(json_object_get(numbers, "embeddings"), 0);
    const json_t *base64 = json_array_get(json_object_get(text, "embeddings"), 0);
    buffer_init(&bytes, 4096);
    base64_decode(&bytes, bytes_of(json_string_value(base64)), NULL);
    ck_assert_uint_eq(bytes.size, EMBED_DIM * sizeof(float));
    for (size_t i = 0; i < EMBED_DIM; i++) {
        float number;
        memcpy(&number, bytes.data + i * sizeof(number), sizeof(number));
        ck_assert((float)number_at(embedding, i) == number);
    }
    buffer_free(&bytes);
    json_decref(numbers);
    json_decref(text);
}
END_TEST

START_TEST(one_bad_image_among_several) {
    check_problem("/embed/image", "{\"images\":[\"" PIXEL "\",\"R0lGODlh\"]}", 422, "unprocessable",
                  "/images/1", 1);
    check_problem("/embed/image", "{\"images\":[\"" PIXEL "\",\"iVBORw0KGgo=\"]}", 422,
                  "unprocessable", "/images/1", 1);
    check_problem("/embed/image", "{\"images\":[\"R0lGODlh\"]}", 415, "unsupported", "/images/0",
                  0);
    check_problem("/embed/image", "{\"images\":[\"\",\"\",\"\",\"\",\"\"]}", 413, "too_large",
                  "/images", -1);
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", "image/gif", bytes_of("GIF89a.."));
    ck_assert_int_eq(run(&fake), 415);
    fake_request_init(&fake, "/embed/image", NULL, bytes_of("no image"));
    ck_assert_int_eq(run(&fake), 415);
}
END_TEST

START_TEST(partial_answers) {
    json_t *answer = post("/embed/image",
                          "{\"images\":[\"R0lGODlh\",\"" PIXEL "\",\"$\"],\"partial\":true}", 200);
    const json_t *embeddings = json_object_get(answer, "embeddings");
    const json_t *errors = json_object_get(answer, "errors");
    ck_assert(json_is_null(json_array_get(embeddings, 0)));
    ck_assert_uint_eq(json_array_size(json_array_get(embeddings, 1)), EMBED_DIM);
    ck_assert(json_is_null(json_array_get(embeddings, 2)));
    ck_assert_uint_eq(json_array_size(errors), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(errors, 0), "index")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(errors, 0), "status")), 422);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(errors, 1), "index")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(errors, 1), "status")), 400);
    json_decref(answer);
    answer = post("/embed/image", "{\"image\":\"" PIXEL "\",\"partial\":true}", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "errors")), 0);
    ck_assert(json_is_array(json_object_get(answer, "errors")));
    json_decref(answer);
}
END_TEST

/* A text of many words; longer than the starter's context of 32. */
#define WORDS "a a a a a a a a a a a a a a a a a a a a "
#define LONG_TEXT WORDS WORDS WORDS WORDS

START_TEST(long_texts) {
    json_t *answer = post("/embed/text", "{\"texts\":[\"a cat\",\"" LONG_TEXT "\"]}", 200);
    const json_t *truncated = json_object_get(answer, "truncated");
    ck_assert(json_is_false(json_array_get(truncated, 0)));
    ck_assert(json_is_true(json_array_get(truncated, 1)));
    ck_assert_int_eq((int)number_at(json_object_get(answer, "tokens"), 1), 32);
    json_decref(answer);
    check_problem("/embed/text", "{\"texts\":[\"a cat\",\"" LONG_TEXT "\"],\"truncate\":false}",
                  422, "unprocessable", "/texts/1", 1);
    check_problem("/embed/text", "{\"text\":\"" LONG_TEXT "\",\"truncate\":false}", 422,
                  "unprocessable", "/text", 0);
    answer = post("/embed/text",
                  "{\"texts\":[\"" LONG_TEXT "\",\"\"],\"truncate\":false,\"partial\":true}", 200);
    ck_assert(json_is_null(json_array_get(json_object_get(answer, "tokens"), 0)));
    ck_assert_int_eq((int)number_at(json_object_get(answer, "tokens"), 1), 2);
    json_decref(answer);
}
END_TEST

START_TEST(unknown_models) {
    check_problem("/embed/text", "{\"text\":\"a\",\"model\":\"b\"}", 404, "not_found", "/model",
                  -1);
    check_problem("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"a\"],\"model\":\"b\"}", 404,
                  "not_found", "/model", -1);
    json_t *answer = post("/v1/embeddings", "{\"input\":\"a\",\"model\":\"b\"}", 404);
    const json_t *error = json_object_get(answer, "error");
    ck_assert_str_eq(string_at(error, "code"), "model_not_found");
    ck_assert_str_eq(string_at(error, "param"), "model");
    ck_assert_str_eq(string_at(error, "type"), "invalid_request_error");
    json_decref(answer);
}
END_TEST

START_TEST(deadlines) {
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", NULL, buffer_view(&pixel));
    fake.request.waiting_ns -= UINT64_C(31) * CLOCK_NS_PER_S;
    ck_assert_int_eq(run(&fake), 504);
    fake_request_init(&fake, "/embed/image", NULL, buffer_view(&pixel));
    fake.query[0] = "partial";
    fake.query[1] = "1";
    fake.request.waiting_ns -= UINT64_C(31) * CLOCK_NS_PER_S;
    ck_assert_int_eq(run(&fake), 504);
}
END_TEST

/* ---- classification ---- */

static const json_t *label_at(const json_t *answer, size_t image, size_t label) {
    const json_t *result = json_array_get(json_object_get(answer, "results"), image);
    return json_array_get(json_object_get(result, "labels"), label);
}

static double probability_at(const json_t *answer, size_t label) {
    return json_number_value(json_object_get(label_at(answer, 0, label), "probability"));
}

START_TEST(labels_of_all_kinds) {
    json_t *one = post("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"cat\"]}", 200);
    ck_assert_double_eq(probability_at(one, 0), 1);
    json_decref(one);
    json_t *twice =
        post("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"cat\",\"cat\"]}", 200);
    ck_assert_double_eq(probability_at(twice, 0), 0.5);
    ck_assert_double_eq(probability_at(twice, 1), 0.5);
    json_decref(twice);
    json_t *unicode = post(
        "/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"\\u732b\",\"ko\xc4\x8dka\"]}", 200);
    double sum = probability_at(unicode, 0) + probability_at(unicode, 1);
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    ck_assert(probability_at(unicode, 0) >= probability_at(unicode, 1));
    json_decref(unicode);
    json_t *top = post("/classify",
                       "{\"images\":[\"" PIXEL "\",\"" PIXEL "\"],\"labels\":[\"a\",\"b\",\"c\"],"
                       "\"top_k\":2,\"templates\":[\"a {}.\",\"{}\"]}",
                       200);
    ck_assert_ptr_nonnull(label_at(top, 1, 1));
    ck_assert_ptr_null(label_at(top, 1, 2));
    ck_assert(json_equal(label_at(top, 0, 0), label_at(top, 1, 0)));
    json_decref(top);
}
END_TEST

START_TEST(classify_refuses) {
    check_problem("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[]}", 400, "invalid", "/labels",
                  -1);
    check_problem("/classify", "{\"image\":\"" PIXEL "\"}", 400, "invalid", "/labels", -1);
    check_problem("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"a\",\"\"]}", 400, "invalid",
                  "/labels/1", -1);
    check_problem("/classify",
                  "{\"image\":\"" PIXEL "\",\"labels\":[\"a\"],\"template\":\"a photo\"}", 400,
                  "invalid", "/template", -1);
    check_problem("/classify",
                  "{\"image\":\"" PIXEL "\",\"labels\":[\"a\"],\"templates\":[\"{}\",\"{}{}\"]}",
                  400, "invalid", "/templates/1", -1);
    check_problem("/classify", "{\"images\":[\"" PIXEL "\",\"aGk=\"],\"labels\":[\"a\"]}", 422,
                  "unprocessable", "/images/1", 1);
    json_t *partial =
        post("/classify",
             "{\"images\":[\"aGk=\",\"" PIXEL "\"],\"labels\":[\"a\"],\"partial\":true}", 200);
    ck_assert(json_is_null(json_array_get(json_object_get(partial, "results"), 0)));
    ck_assert_ptr_nonnull(label_at(partial, 1, 0));
    json_decref(partial);
}
END_TEST

START_TEST(long_labels) {
    static const char request[] =
        "{\"image\":\"" PIXEL "\",\"labels\":[\"a cat\",\"" LONG_TEXT "\"],\"top_k\":1}";
    for (int round = 0; round < 2; round++) { /* the second from the cache */
        json_t *answer = post("/classify", request, 200);
        const json_t *truncated = json_object_get(answer, "truncated");
        ck_assert_uint_eq(json_array_size(truncated), 2);
        ck_assert(json_is_false(json_array_get(truncated, 0)));
        ck_assert(json_is_true(json_array_get(truncated, 1)));
        json_decref(answer);
    }
    json_t *whole = post("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"a cat\"]}", 200);
    ck_assert_ptr_null(json_object_get(whole, "truncated"));
    json_decref(whole);
}
END_TEST

/* A form with an image, a label and two fields more. */
static void check_form(const char *names[2], const char *values[2], const char *pointer) {
    struct fake_request fake;
    struct http_part parts[] = {{"image", "", "", buffer_view(&pixel)},
                                {"labels", "", "", bytes_of("cat")},
                                {names[0], "", "", bytes_of(values[0])},
                                {names[1], "", "", bytes_of(values[1])}};
    fake_request_init(&fake, "/classify", "multipart/form-data; boundary=x", (struct bytes){0});
    fake.request.parts = parts;
    fake.request.parts_count = 4;
    ck_assert_int_eq(run(&fake), 400);
    json_t *problem = body();
    const json_t *error = json_array_get(json_object_get(problem, "errors"), 0);
    ck_assert_str_eq(string_at(error, "pointer"), pointer);
    ck_assert_ptr_null(json_object_get(problem, "index"));
    ck_assert_ptr_null(strstr(string_at(problem, "detail"), "input "));
    json_decref(problem);
}

/* By the name under which it came, and never as an image. */
START_TEST(names_the_field_at_fault) {
    check_form((const char *[]){"top_k", "template"}, (const char *[]){"1", "no place"},
               "/template");
    check_form((const char *[]){"template", "template"}, (const char *[]){"a {}", "no place"},
               "/template/1");
    check_form((const char *[]){"templates", "top_k"}, (const char *[]){"no place", "1"},
               "/templates");
    check_form((const char *[]){"labels", "top_k"}, (const char *[]){"", "1"}, "/labels/1");
}
END_TEST

static void classify_in_two_templates(int labels, struct buffer *text) {
    buffer_init(text, 1 << 20);
    buffer_printf(text, NULL, "{\"image\":\"" PIXEL "\",\"templates\":[\"{}\",\"a {}\"],");
    for (int i = 0; i < labels; i++) {
        buffer_printf(text, NULL, "%s\"%d\"", i ? "," : "\"labels\":[", i);
    }
    buffer_append(text, "]}", 3, NULL);
}

START_TEST(classify_bounds_labels_times_templates) {
    struct buffer text;
    classify_in_two_templates(32, &text);
    json_decref(post("/classify", (const char *)text.data, 200));
    buffer_free(&text);
    classify_in_two_templates(33, &text);
    check_problem("/classify", (const char *)text.data, 413, "too_large", "/labels", -1);
    buffer_free(&text);
}
END_TEST

/* ---- OpenAI ---- */

START_TEST(openai_mix) {
    json_t *mix = post("/v1/embeddings", "{\"input\":[\"a cat\",{\"image\":\"" PIXEL "\"}]}", 200);
    json_t *text = post("/embed/text", "{\"text\":\"a cat\"}", 200);
    json_t *image = post("/embed/image", "{\"image\":\"" PIXEL "\"}", 200);
    const json_t *data = json_object_get(mix, "data");
    const json_t *usage = json_object_get(mix, "usage");
    ck_assert_str_eq(string_at(mix, "object"), "list");
    ck_assert(json_equal(json_object_get(json_array_get(data, 0), "embedding"),
                         json_array_get(json_object_get(text, "embeddings"), 0)));
    ck_assert(json_equal(json_object_get(json_array_get(data, 1), "embedding"),
                         json_array_get(json_object_get(image, "embeddings"), 0)));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(data, 1), "index")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(usage, "prompt_tokens")),
                     (int)number_at(json_object_get(text, "tokens"), 0));
    json_decref(mix);
    json_decref(text);
    json_decref(image);
}
END_TEST

/* In a header: the answer has what OpenAI's has. */
START_TEST(openai_long_texts) {
    static const char *const inputs = "\"" LONG_TEXT "\",{\"image\":\"" PIXEL "\"},\"a cat\",";
    struct buffer text;
    json_t *answer = post("/v1/embeddings", "{\"input\":[\"a cat\"]}", 200);
    ck_assert_uint_eq(json_object_size(answer), 4);
    ck_assert_str_eq(header("X-Truncated"), "");
    json_decref(answer);
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"input\":[%s\"" LONG_TEXT "\"]}", inputs);
    buffer_append(&text, "", 1, NULL);
    answer = post("/v1/embeddings", (const char *)text.data, 200);
    ck_assert_uint_eq(json_object_size(answer), 4);
    ck_assert_str_eq(header("X-Truncated"), "0, 3");
    json_decref(answer);
    buffer_free(&text);
}
END_TEST

/* More than there is room for: what is not told is told of. */
START_TEST(openai_many_long_texts) {
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"input\":[\"\"");
    for (int i = 1; i < 64; i++) buffer_printf(&text, NULL, ",\"" LONG_TEXT "\"");
    buffer_append(&text, "]}", 3, NULL);
    json_decref(post("/v1/embeddings", (const char *)text.data, 200));
    buffer_free(&text);
    const char *list = header("X-Truncated");
    ck_assert_msg(!strncmp(list, "1, 2, 3, ", 9), "%s", list);
    ck_assert_msg(strlen(list) < 200 && !strcmp(list + strlen(list) - 5, ", ..."), "%s", list);
}
END_TEST

static void check_openai_error(const char *text, int status, const char *param) {
    json_t *answer = post("/v1/embeddings", text, status);
    const json_t *error = json_object_get(answer, "error");
    const char *index = param ? strchr(param, '[') : NULL;
    char number[16] = "";
    if (index) snprintf(number, sizeof(number), "input %d: ", atoi(index + 1));
    ck_assert_msg(strstr(string_at(error, "message"), number) != NULL, "no \"%s\"", number);
    ck_assert_uint_eq(json_object_size(answer), 1);
    ck_assert_uint_eq(json_object_size(error), 4);
    ck_assert_str_eq(string_at(error, "param"), param ? param : "(none)");
    ck_assert_str_eq(response.content_type, "application/json");
    json_decref(answer);
}

START_TEST(openai_errors) {
    check_openai_error("{", 400, NULL);
    check_openai_error("{\"input\":\"a\",\"dimensions\":64}", 400, "dimensions");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"$\"}]}", 400, "input[1].image");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"aGk=\"}]}", 415, "input[1]");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"" PIXEL "\"},\"" LONG_TEXT
                       "\"],\"truncate\":false}",
                       422, "input[2]");
    check_openai_error("{\"input\":\"" LONG_TEXT "\",\"truncate\":false}", 422, "input");
    json_decref(post("/v1/embeddings", "{\"input\":\"a\",\"dimensions\":192}", 200));
}
END_TEST

/* ---- the rest ---- */

START_TEST(describes_its_models) {
    json_t *answer = get("/models", 200);
    const json_t *model = json_array_get(json_object_get(answer, "models"), 0);
    ck_assert_str_eq(string_at(model, "name"), "starter");
    ck_assert_uint_eq(strlen(string_at(model, "sha256")), 64);
    ck_assert_int_eq(json_integer_value(json_object_get(model, "context_length")), 32);
    json_decref(answer);
    answer = get("/v1/models", 200);
    model = json_array_get(json_object_get(answer, "data"), 0);
    ck_assert_str_eq(string_at(model, "id"), "starter");
    json_decref(answer);
}
END_TEST

START_TEST(serves_its_description) {
    struct buffer file;
    buffer_init(&file, 1 << 20);
    ck_assert_int_eq(file_read(&file, "openapi.yaml", NULL), STATUS_OK);
    get("/openapi.yaml", 200);
    ck_assert_uint_eq(response.body.size, file.size);
    ck_assert_mem_eq(response.body.data, file.data, file.size);
    buffer_free(&file);
}
END_TEST

START_TEST(counts_what_it_does) {
    static const char *const expected[] = {
        "clipd_http_requests_total{route=\"/embed/text\",method=\"POST\",code=\"400\"} 1\n",
        "clipd_http_requests_total{route=\"other\",method=\"GET\",code=\"404\"} 1\n",
        "clipd_rejected_total{reason=\"too_large\"} 1\n",
        "clipd_queue_depth{model=\"starter\",tower=\"text\"} 0\n",
        "clipd_batch_size_bucket{model=\"starter\",tower=\"vision\",le=\"+Inf\"} 2\n",
        "clipd_decode_seconds_count{model=\"starter\"} 2\n",
        "clipd_label_cache_misses_total 1\n",
        "clipd_label_cache_hits_total 1\n",
        "clipd_model_info{model=\"starter\",sha256=\"",
        "\nprocess_resident_memory_bytes ",
    };
    close_service();
    open_service();
    json_decref(post("/embed/text", "{}", 400));
    json_decref(get("/none", 404));
    json_decref(post("/embed/image", "{\"images\":[\"\",\"\",\"\",\"\",\"\"]}", 413));
    json_decref(post("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"a\"]}", 200));
    json_decref(post("/classify", "{\"image\":\"" PIXEL "\",\"labels\":[\"a\"]}", 200));
    get("/metrics", 200);
    buffer_append(&response.body, "", 1, NULL);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const char *text = (const char *)response.body.data;
        ck_assert_msg(strstr(text, expected[i]) != NULL, "no %s", expected[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api");
    TCase *tests = tcase_create("api");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, open_service, close_service);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, unknown_paths_and_methods);
    tcase_add_test(tests, types_that_no_route_takes);
    tcase_add_test(tests, limits_and_probes_of_admission);
    tcase_add_test(tests, loading_and_draining);
    tcase_add_test(tests, refusals_of_the_server);
    tcase_add_test(tests, all_forms_of_an_image_are_one);
    tcase_add_test(tests, both_encodings_are_exact);
    tcase_add_test(tests, one_bad_image_among_several);
    tcase_add_test(tests, partial_answers);
    tcase_add_test(tests, long_texts);
    tcase_add_test(tests, unknown_models);
    tcase_add_test(tests, deadlines);
    tcase_add_test(tests, labels_of_all_kinds);
    tcase_add_test(tests, classify_refuses);
    tcase_add_test(tests, names_the_field_at_fault);
    tcase_add_test(tests, long_labels);
    tcase_add_test(tests, classify_bounds_labels_times_templates);
    tcase_add_test(tests, openai_mix);
    tcase_add_test(tests, openai_long_texts);
    tcase_add_test(tests, openai_many_long_texts);
    tcase_add_test(tests, openai_errors);
    tcase_add_test(tests, describes_its_models);
    tcase_add_test(tests, serves_its_description);
    tcase_add_test(tests, counts_what_it_does);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
