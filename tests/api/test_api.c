/* The way of every request, and embeddings, over the starter model. */
#include "api/api.h"

#include <check.h>
#include <jansson.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/support/service.h"

enum { EMBED_DIM = 192 };

/* ---- admission ---- */

START_TEST(unknown_paths_and_methods) {
    struct fake_request fake;
    json_decref(service_get("/nothing", 404));
    ck_assert_str_eq(service_response.content_type, "application/problem+json");
    json_decref(service_get("/v1/nothing", 404));
    ck_assert_str_eq(service_response.content_type, "application/json");
    json_decref(service_get("/embed/text", 405));
    ck_assert_str_eq(service_header("Allow"), "POST");
    fake_request_init(&fake, "/models", NULL, (struct bytes){0});
    ck_assert_int_eq(service_run(&fake), 405);
    ck_assert_str_eq(service_header("Allow"), "GET, HEAD");
    fake.request.method = HTTP_HEAD;
    ck_assert_int_eq(service_run(&fake), 200);
}
END_TEST

START_TEST(types_that_no_route_takes) {
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", "text/plain", bytes_of("x"));
    ck_assert_int_eq(service_run(&fake), 415);
    fake_request_init(&fake, "/embed/text", "image/png", bytes_of("x"));
    ck_assert_int_eq(service_run(&fake), 415);
    fake_request_init(&fake, "/v1/embeddings", "multipart/form-data", bytes_of("x"));
    ck_assert_int_eq(service_run(&fake), 415);
}
END_TEST

START_TEST(limits_and_probes_of_admission) {
    struct fake_request fake;
    struct api_admission admission;
    fake_request_init(&fake, "/embed/text", NULL, (struct bytes){0});
    ck_assert(api_admit(service_api, &fake.request, &admission, &service_response));
    ck_assert_uint_eq(admission.body_max, api_options_default.text_body_max);
    ck_assert(!admission.immediate && !admission.bodyless);
    fake_request_init(&fake, "/livez", NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    ck_assert(api_admit(service_api, &fake.request, &admission, &service_response));
    ck_assert(admission.immediate && !admission.probing && admission.bodyless);
    /* It reads a file of the store. */
    fake_request_init(&fake, "/readyz", NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    ck_assert(api_admit(service_api, &fake.request, &admission, &service_response));
    ck_assert(!admission.immediate && admission.probing);
}
END_TEST

START_TEST(loading_and_draining) {
    static const enum api_state states[] = {API_LOADING, API_DRAINING};
    for (size_t i = 0; i < 2; i++) {
        api_set_state(service_api, states[i]);
        json_decref(service_get("/livez", 200));
        json_decref(service_get("/readyz", 503));
        ck_assert_str_ne(service_header("Retry-After"), "");
        json_decref(service_get("/metrics", 200));
        json_decref(service_get("/openapi.yaml", 200));
        json_decref(service_get("/models", 503));
        ck_assert_str_eq(service_header("Retry-After"), "5");
        json_decref(service_get("/v1/models", 503));
        json_decref(service_get("/nothing", 404));
    }
    api_set_state(service_api, API_LEAVING);
    json_decref(service_get("/readyz", 503));
    json_decref(service_get("/models", 200));
    api_set_state(service_api, API_READY);
    json_decref(service_get("/readyz", 200));
}
END_TEST

START_TEST(refusals_of_the_server) {
    struct fake_request fake;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/embed/text", NULL, (struct bytes){0});
    error_set(&err, STATUS_INVALID, "no length");
    api_refuse(service_api, &fake.request, 411, &err, &service_response);
    ck_assert_int_eq(service_response.status, 411);
    err = ERROR_NONE;
    error_set(&err, STATUS_OVERLOADED, "too many connections");
    api_refuse(service_api, &fake.request, 0, &err, &service_response);
    ck_assert_int_eq(service_response.status, 503);
    ck_assert_str_eq(service_header("Retry-After"), "1");
}
END_TEST

/* ---- embeddings ---- */

START_TEST(all_forms_of_an_image_are_one) {
    struct fake_request fake;
    json_t *json = service_post("/embed/image", "{\"images\":[\"" SERVICE_PIXEL "\"]}", 200);
    ck_assert_str_ne(service_header("Server-Timing"), "");
    fake_request_init(&fake, "/embed/image", "image/png", buffer_view(&service_pixel));
    ck_assert_int_eq(service_run(&fake), 200);
    json_t *raw = service_body();
    fake_request_init(&fake, "/embed/image", "multipart/form-data; boundary=x", (struct bytes){0});
    struct http_part parts[] = {{"image", "a.png", "", buffer_view(&service_pixel)}};
    fake.request.parts = parts;
    fake.request.parts_count = 1;
    ck_assert_int_eq(service_run(&fake), 200);
    json_t *form = service_body();
    ck_assert(json_equal(json, raw) && json_equal(json, form));
    ck_assert_str_eq(service_string(json, "model"), "starter");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "dim")), EMBED_DIM);
    double sum = 0;
    const json_t *embedding = json_array_get(json_object_get(json, "embeddings"), 0);
    for (size_t i = 0; i < EMBED_DIM; i++)
        sum += service_number(embedding, i) * service_number(embedding, i);
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    json_decref(json);
    json_decref(raw);
    json_decref(form);
}
END_TEST

/* The base64 and the numbers are the same floats, to the bit. */
START_TEST(both_encodings_are_exact) {
    struct buffer bytes;
    json_t *numbers = service_post("/embed/text", "{\"text\":\"a cat\",\"normalize\":false}", 200);
    json_t *text = service_post(
        "/embed/text", "{\"text\":\"a cat\",\"normalize\":false,\"encoding\":\"base64\"}", 200);
    const json_t *embedding = json_array_get(json_object_get(numbers, "embeddings"), 0);
    const json_t *base64 = json_array_get(json_object_get(text, "embeddings"), 0);
    buffer_init(&bytes, 4096);
    base64_decode(&bytes, bytes_of(json_string_value(base64)), NULL);
    ck_assert_uint_eq(bytes.size, EMBED_DIM * sizeof(float));
    for (size_t i = 0; i < EMBED_DIM; i++) {
        float number;
        memcpy(&number, bytes.data + i * sizeof(number), sizeof(number));
        ck_assert((float)service_number(embedding, i) == number);
    }
    buffer_free(&bytes);
    json_decref(numbers);
    json_decref(text);
}
END_TEST

START_TEST(one_bad_image_among_several) {
    service_check_problem("/embed/image", "{\"images\":[\"" SERVICE_PIXEL "\",\"R0lGODlh\"]}", 422,
                          "unprocessable", "/images/1", 1);
    service_check_problem("/embed/image", "{\"images\":[\"" SERVICE_PIXEL "\",\"iVBORw0KGgo=\"]}",
                          422, "unprocessable", "/images/1", 1);
    service_check_problem("/embed/image", "{\"images\":[\"R0lGODlh\"]}", 415, "unsupported",
                          "/images/0", 0);
    service_check_problem("/embed/image", "{\"images\":[\"\",\"\",\"\",\"\",\"\"]}", 413,
                          "too_large", "/images", -1);
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", "image/gif", bytes_of("GIF89a.."));
    ck_assert_int_eq(service_run(&fake), 415);
    fake_request_init(&fake, "/embed/image", NULL, bytes_of("no image"));
    ck_assert_int_eq(service_run(&fake), 415);
}
END_TEST

START_TEST(partial_answers) {
    json_t *answer = service_post(
        "/embed/image", "{\"images\":[\"R0lGODlh\",\"" SERVICE_PIXEL "\",\"$\"],\"partial\":true}",
        200);
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
    answer =
        service_post("/embed/image", "{\"image\":\"" SERVICE_PIXEL "\",\"partial\":true}", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "errors")), 0);
    ck_assert(json_is_array(json_object_get(answer, "errors")));
    json_decref(answer);
}
END_TEST

START_TEST(long_texts) {
    json_t *answer =
        service_post("/embed/text", "{\"texts\":[\"a cat\",\"" SERVICE_LONG_TEXT "\"]}", 200);
    const json_t *truncated = json_object_get(answer, "truncated");
    ck_assert(json_is_false(json_array_get(truncated, 0)));
    ck_assert(json_is_true(json_array_get(truncated, 1)));
    ck_assert_int_eq((int)service_number(json_object_get(answer, "tokens"), 1), 32);
    json_decref(answer);
    service_check_problem("/embed/text",
                          "{\"texts\":[\"a cat\",\"" SERVICE_LONG_TEXT "\"],\"truncate\":false}",
                          422, "unprocessable", "/texts/1", 1);
    service_check_problem("/embed/text", "{\"text\":\"" SERVICE_LONG_TEXT "\",\"truncate\":false}",
                          422, "unprocessable", "/text", 0);
    answer = service_post(
        "/embed/text",
        "{\"texts\":[\"" SERVICE_LONG_TEXT "\",\"\"],\"truncate\":false,\"partial\":true}", 200);
    ck_assert(json_is_null(json_array_get(json_object_get(answer, "tokens"), 0)));
    ck_assert_int_eq((int)service_number(json_object_get(answer, "tokens"), 1), 2);
    json_decref(answer);
}
END_TEST

START_TEST(unknown_models) {
    service_check_problem("/embed/text", "{\"text\":\"a\",\"model\":\"b\"}", 404, "not_found",
                          "/model", -1);
    service_check_problem("/classify",
                          "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a\"],\"model\":\"b\"}",
                          404, "not_found", "/model", -1);
    json_t *answer = service_post("/v1/embeddings", "{\"input\":\"a\",\"model\":\"b\"}", 404);
    const json_t *error = json_object_get(answer, "error");
    ck_assert_str_eq(service_string(error, "code"), "model_not_found");
    ck_assert_str_eq(service_string(error, "param"), "model");
    ck_assert_str_eq(service_string(error, "type"), "invalid_request_error");
    json_decref(answer);
}
END_TEST

START_TEST(deadlines) {
    struct fake_request fake;
    fake_request_init(&fake, "/embed/image", NULL, buffer_view(&service_pixel));
    fake.request.waiting_ns -= UINT64_C(31) * CLOCK_NS_PER_S;
    ck_assert_int_eq(service_run(&fake), 504);
    fake_request_init(&fake, "/embed/image", NULL, buffer_view(&service_pixel));
    fake.query[0] = "partial";
    fake.query[1] = "1";
    fake.request.waiting_ns -= UINT64_C(31) * CLOCK_NS_PER_S;
    ck_assert_int_eq(service_run(&fake), 504);
}
END_TEST

START_TEST(clients_that_have_gone) {
    static const _Atomic bool gone = true;
    static const char *const paths[] = {"/embed/image", "/embed/text", "/classify"};
    struct fake_request fake;
    for (size_t i = 0; i < 3; i++) {
        fake_request_init(&fake, paths[i], "application/json",
                          bytes_of(i == 1 ? "{\"text\":\"a cat\"}"
                                          : "{\"image\":\"" SERVICE_PIXEL "\",\"partial\":true}"));
        if (i == 2)
            fake.request.body =
                bytes_of("{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a cat\"]}");
        fake.request.gone = &gone;
        ck_assert_int_eq(service_run(&fake), 499);
    }
    service_get("/metrics", 200);
    buffer_append(&service_response.body, "", 1, NULL);
    ck_assert_ptr_nonnull(strstr((const char *)service_response.body.data,
                                 "clipd_rejected_total{reason=\"client_gone\"} 3\n"));
}
END_TEST

/* ---- the rest ---- */

START_TEST(describes_its_models) {
    json_t *answer = service_get("/models", 200);
    const json_t *model = json_array_get(json_object_get(answer, "models"), 0);
    ck_assert_str_eq(service_string(model, "name"), "starter");
    ck_assert_uint_eq(strlen(service_string(model, "sha256")), 64);
    ck_assert_int_eq(json_integer_value(json_object_get(model, "context_length")), 32);
    json_decref(answer);
    answer = service_get("/v1/models", 200);
    model = json_array_get(json_object_get(answer, "data"), 0);
    ck_assert_str_eq(service_string(model, "id"), "starter");
    json_decref(answer);
}
END_TEST

START_TEST(serves_its_description) {
    struct buffer file;
    buffer_init(&file, 1 << 20);
    ck_assert_int_eq(file_read(&file, "openapi.yaml", NULL), STATUS_OK);
    service_get("/openapi.yaml", 200);
    ck_assert_uint_eq(service_response.body.size, file.size);
    ck_assert_mem_eq(service_response.body.data, file.data, file.size);
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
    service_close();
    service_open();
    json_decref(service_post("/embed/text", "{}", 400));
    json_decref(service_get("/none", 404));
    json_decref(service_post("/embed/image", "{\"images\":[\"\",\"\",\"\",\"\",\"\"]}", 413));
    json_decref(
        service_post("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a\"]}", 200));
    json_decref(
        service_post("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a\"]}", 200));
    service_get("/metrics", 200);
    buffer_append(&service_response.body, "", 1, NULL);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const char *text = (const char *)service_response.body.data;
        ck_assert_msg(strstr(text, expected[i]) != NULL, "no %s", expected[i]);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("api");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, service_open, service_close);
    tcase_add_checked_fixture(tests, service_begin, service_end);
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
    tcase_add_test(tests, clients_that_have_gone);
    tcase_add_test(tests, describes_its_models);
    tcase_add_test(tests, serves_its_description);
    tcase_add_test(tests, counts_what_it_does);
    return program_run("api", tests, CK_NOFORK);
}
