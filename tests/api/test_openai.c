/* What clients of OpenAI's API see, over the starter model. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/support/service.h"

START_TEST(openai_mix) {
    json_t *mix = service_post("/v1/embeddings",
                               "{\"input\":[\"a cat\",{\"image\":\"" SERVICE_PIXEL "\"}]}", 200);
    json_t *text = service_post("/embed/text", "{\"text\":\"a cat\"}", 200);
    json_t *image = service_post("/embed/image", "{\"image\":\"" SERVICE_PIXEL "\"}", 200);
    const json_t *data = json_object_get(mix, "data");
    const json_t *usage = json_object_get(mix, "usage");
    ck_assert_str_eq(service_string(mix, "object"), "list");
    ck_assert(json_equal(json_object_get(json_array_get(data, 0), "embedding"),
                         json_array_get(json_object_get(text, "embeddings"), 0)));
    ck_assert(json_equal(json_object_get(json_array_get(data, 1), "embedding"),
                         json_array_get(json_object_get(image, "embeddings"), 0)));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(data, 1), "index")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(usage, "prompt_tokens")),
                     (int)service_number(json_object_get(text, "tokens"), 0));
    json_decref(mix);
    json_decref(text);
    json_decref(image);
}
END_TEST

/* In a header: the answer has what OpenAI's has. */
START_TEST(openai_long_texts) {
    static const char *const inputs =
        "\"" SERVICE_LONG_TEXT "\",{\"image\":\"" SERVICE_PIXEL "\"},\"a cat\",";
    struct buffer text;
    json_t *answer = service_post("/v1/embeddings", "{\"input\":[\"a cat\"]}", 200);
    ck_assert_uint_eq(json_object_size(answer), 4);
    ck_assert_str_eq(service_header("X-Truncated"), "");
    json_decref(answer);
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"input\":[%s\"" SERVICE_LONG_TEXT "\"]}", inputs);
    buffer_append(&text, "", 1, NULL);
    answer = service_post("/v1/embeddings", (const char *)text.data, 200);
    ck_assert_uint_eq(json_object_size(answer), 4);
    ck_assert_str_eq(service_header("X-Truncated"), "0, 3");
    json_decref(answer);
    buffer_free(&text);
}
END_TEST

/* More than there is room for: what is not told is told of. */
START_TEST(openai_many_long_texts) {
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"input\":[\"\"");
    for (int i = 1; i < 64; i++) buffer_printf(&text, NULL, ",\"" SERVICE_LONG_TEXT "\"");
    buffer_append(&text, "]}", 3, NULL);
    json_decref(service_post("/v1/embeddings", (const char *)text.data, 200));
    buffer_free(&text);
    const char *list = service_header("X-Truncated");
    ck_assert_msg(!strncmp(list, "1, 2, 3, ", 9), "%s", list);
    ck_assert_msg(strlen(list) < 200 && !strcmp(list + strlen(list) - 5, ", ..."), "%s", list);
}
END_TEST

static void check_openai_error(const char *text, int status, const char *param) {
    json_t *answer = service_post("/v1/embeddings", text, status);
    const json_t *error = json_object_get(answer, "error");
    const char *index = param ? strchr(param, '[') : NULL;
    char number[16] = "";
    if (index) snprintf(number, sizeof(number), "input %d: ", atoi(index + 1));
    ck_assert_msg(strstr(service_string(error, "message"), number) != NULL, "no \"%s\"", number);
    ck_assert_uint_eq(json_object_size(answer), 1);
    ck_assert_uint_eq(json_object_size(error), 4);
    ck_assert_str_eq(service_string(error, "param"), param ? param : "(none)");
    ck_assert_str_eq(service_response.content_type, "application/json");
    json_decref(answer);
}

START_TEST(openai_errors) {
    check_openai_error("{", 400, NULL);
    check_openai_error("{\"input\":\"a\",\"dimensions\":64}", 400, "dimensions");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"$\"}]}", 400, "input[1].image");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"aGk=\"}]}", 415, "input[1]");
    check_openai_error("{\"input\":[\"a\",{\"image\":\"" SERVICE_PIXEL "\"},\"" SERVICE_LONG_TEXT
                       "\"],\"truncate\":false}",
                       422, "input[2]");
    check_openai_error("{\"input\":\"" SERVICE_LONG_TEXT "\",\"truncate\":false}", 422, "input");
    json_decref(service_post("/v1/embeddings", "{\"input\":\"a\",\"dimensions\":192}", 200));
}
END_TEST

static void check_model(const json_t *model) {
    const json_t *aliases = json_object_get(model, "aliases");
    ck_assert_str_eq(service_string(model, "id"), "starter");
    ck_assert_str_eq(service_string(model, "object"), "model");
    ck_assert_uint_eq(json_array_size(aliases), 2);
    ck_assert_str_eq(json_string_value(json_array_get(aliases, 0)), "small");
}

START_TEST(openai_model_names) {
    static const char *const paths[] = {"starter", "small", "a%2Fb"};
    json_t *list = service_get("/v1/models", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(list, "data")), 1);
    check_model(json_array_get(json_object_get(list, "data"), 0));
    json_decref(list);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/models/%s", paths[i]);
        json_t *model = service_get(path, 200);
        check_model(model);
        json_decref(model);
    }
    json_t *answer = service_get("/v1/models/smal", 404);
    const json_t *error = json_object_get(answer, "error");
    ck_assert_uint_eq(json_object_size(answer), 1);
    ck_assert_str_eq(service_string(error, "code"), "model_not_found");
    ck_assert_str_eq(service_string(error, "param"), "model");
    ck_assert_ptr_nonnull(strstr(service_string(error, "message"), "\"smal\""));
    json_decref(answer);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("openai");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, service_open, service_close);
    tcase_add_checked_fixture(tests, service_begin, service_end);
    tcase_add_test(tests, openai_mix);
    tcase_add_test(tests, openai_long_texts);
    tcase_add_test(tests, openai_many_long_texts);
    tcase_add_test(tests, openai_errors);
    tcase_add_test(tests, openai_model_names);
    return program_run("openai", tests, CK_NOFORK);
}
