/* POST /classify over the starter model. */
#include <check.h>
#include <jansson.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/support/service.h"

static const json_t *label_at(const json_t *answer, size_t image, size_t label) {
    const json_t *result = json_array_get(json_object_get(answer, "results"), image);
    return json_array_get(json_object_get(result, "labels"), label);
}

static double probability_at(const json_t *answer, size_t label) {
    return json_number_value(json_object_get(label_at(answer, 0, label), "probability"));
}

START_TEST(labels_of_all_kinds) {
    json_t *one =
        service_post("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"cat\"]}", 200);
    ck_assert_double_eq(probability_at(one, 0), 1);
    json_decref(one);
    json_t *twice = service_post(
        "/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"cat\",\"cat\"]}", 200);
    ck_assert_double_eq(probability_at(twice, 0), 0.5);
    ck_assert_double_eq(probability_at(twice, 1), 0.5);
    json_decref(twice);
    json_t *unicode = service_post(
        "/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"\\u732b\",\"ko\xc4\x8dka\"]}",
        200);
    double sum = probability_at(unicode, 0) + probability_at(unicode, 1);
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    ck_assert(probability_at(unicode, 0) >= probability_at(unicode, 1));
    json_decref(unicode);
    json_t *top = service_post("/classify",
                               "{\"images\":[\"" SERVICE_PIXEL "\",\"" SERVICE_PIXEL
                               "\"],\"labels\":[\"a\",\"b\",\"c\"],"
                               "\"top_k\":2,\"templates\":[\"a {}.\",\"{}\"]}",
                               200);
    ck_assert_ptr_nonnull(label_at(top, 1, 1));
    ck_assert_ptr_null(label_at(top, 1, 2));
    ck_assert(json_equal(label_at(top, 0, 0), label_at(top, 1, 0)));
    json_decref(top);
}
END_TEST

START_TEST(classify_refuses) {
    service_check_problem("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[]}", 400,
                          "invalid", "/labels", -1);
    service_check_problem("/classify", "{\"image\":\"" SERVICE_PIXEL "\"}", 400, "invalid",
                          "/labels", -1);
    service_check_problem("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a\",\"\"]}",
                          400, "invalid", "/labels/1", -1);
    service_check_problem("/classify",
                          "{\"image\":\"" SERVICE_PIXEL
                          "\",\"labels\":[\"a\"],\"template\":\"a photo\"}",
                          400, "invalid", "/template", -1);
    service_check_problem("/classify",
                          "{\"image\":\"" SERVICE_PIXEL
                          "\",\"labels\":[\"a\"],\"templates\":[\"{}\",\"{}{}\"]}",
                          400, "invalid", "/templates/1", -1);
    service_check_problem("/classify",
                          "{\"images\":[\"" SERVICE_PIXEL "\",\"aGk=\"],\"labels\":[\"a\"]}", 422,
                          "unprocessable", "/images/1", 1);
    json_t *partial = service_post(
        "/classify",
        "{\"images\":[\"aGk=\",\"" SERVICE_PIXEL "\"],\"labels\":[\"a\"],\"partial\":true}", 200);
    ck_assert(json_is_null(json_array_get(json_object_get(partial, "results"), 0)));
    ck_assert_ptr_nonnull(label_at(partial, 1, 0));
    json_decref(partial);
}
END_TEST

START_TEST(long_labels) {
    static const char request[] =
        "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a cat\",\"" SERVICE_LONG_TEXT
        "\"],\"top_k\":1}";
    for (int round = 0; round < 2; round++) { /* the second from the cache */
        json_t *answer = service_post("/classify", request, 200);
        const json_t *truncated = json_object_get(answer, "truncated");
        ck_assert_uint_eq(json_array_size(truncated), 2);
        ck_assert(json_is_false(json_array_get(truncated, 0)));
        ck_assert(json_is_true(json_array_get(truncated, 1)));
        json_decref(answer);
    }
    json_t *whole =
        service_post("/classify", "{\"image\":\"" SERVICE_PIXEL "\",\"labels\":[\"a cat\"]}", 200);
    ck_assert_ptr_null(json_object_get(whole, "truncated"));
    json_decref(whole);
}
END_TEST

/* A form with an image, a label and two fields more. */
static void check_form(const char *names[2], const char *values[2], const char *pointer) {
    struct fake_request fake;
    struct http_part parts[] = {{"image", "", "", buffer_view(&service_pixel)},
                                {"labels", "", "", bytes_of("cat")},
                                {names[0], "", "", bytes_of(values[0])},
                                {names[1], "", "", bytes_of(values[1])}};
    fake_request_init(&fake, "/classify", "multipart/form-data; boundary=x", (struct bytes){0});
    fake.request.parts = parts;
    fake.request.parts_count = 4;
    ck_assert_int_eq(service_run(&fake), 400);
    json_t *problem = service_body();
    const json_t *error = json_array_get(json_object_get(problem, "errors"), 0);
    ck_assert_str_eq(service_string(error, "pointer"), pointer);
    ck_assert_ptr_null(json_object_get(problem, "index"));
    ck_assert_ptr_null(strstr(service_string(problem, "detail"), "input "));
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
    buffer_printf(text, NULL, "{\"image\":\"" SERVICE_PIXEL "\",\"templates\":[\"{}\",\"a {}\"],");
    for (int i = 0; i < labels; i++) {
        buffer_printf(text, NULL, "%s\"%d\"", i ? "," : "\"labels\":[", i);
    }
    buffer_append(text, "]}", 3, NULL);
}

START_TEST(classify_bounds_labels_times_templates) {
    struct buffer text;
    classify_in_two_templates(32, &text);
    json_decref(service_post("/classify", (const char *)text.data, 200));
    buffer_free(&text);
    classify_in_two_templates(33, &text);
    service_check_problem("/classify", (const char *)text.data, 413, "too_large", "/labels", -1);
    buffer_free(&text);
}
END_TEST

/* Each image brings the labels again: 4 x 8 of 60 kB are more than a quarter of the memory. */
START_TEST(a_full_answer_is_refused) {
    struct budget memory = {.max = 4 << 20};
    char label[60000];
    struct buffer text;
    memset(label, 'x', sizeof(label));
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"images\":[\"" SERVICE_PIXEL "\"");
    for (int i = 1; i < 4; i++) buffer_printf(&text, NULL, ",\"" SERVICE_PIXEL "\"");
    for (int i = 0; i < 8; i++)
        buffer_printf(&text, NULL, "%s\"%d%.*s\"", i ? "," : "],\"labels\":[", i,
                      (int)sizeof(label), label);
    buffer_append(&text, "]}", 3, NULL);
    service_response.memory = &memory;
    service_check_problem("/classify", (const char *)text.data, 413, "too_large", NULL, -1);
    ck_assert_uint_eq(budget_used(&memory), 0);
    buffer_free(&text);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("classify");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, service_open, service_close);
    tcase_add_checked_fixture(tests, service_begin, service_end);
    tcase_add_test(tests, labels_of_all_kinds);
    tcase_add_test(tests, classify_refuses);
    tcase_add_test(tests, a_full_answer_is_refused);
    tcase_add_test(tests, names_the_field_at_fault);
    tcase_add_test(tests, long_labels);
    tcase_add_test(tests, classify_bounds_labels_times_templates);
    return program_run("classify", tests, CK_NOFORK);
}
