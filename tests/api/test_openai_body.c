#include <check.h>
#include <string.h>

#include "api/openai_body.h"
#include "tests/support/program.h"

static const struct api_options options = {.images_max = 2, .texts_max = 4};
static struct openai_body body;
static struct error err;

static enum status read_body(const char *text) {
    const struct http_request request = {.body = bytes_of(text)};
    err = ERROR_NONE;
    return openai_body_read(&body, &request, &options, &err);
}

static void check_refused(const char *text, enum status expected, const char *where) {
    enum status status = read_body(text);
    ck_assert_msg(status == expected, "%s: %d %s", text, status, err.message);
    ck_assert_msg(!strcmp(err.where, where), "%s: at \"%s\"", text, err.where);
    openai_body_free(&body);
}

static void check_item(const struct inputs *inputs, size_t index, const char *expected) {
    ck_assert_uint_lt(index, inputs->count);
    ck_assert_uint_eq(inputs->items[index].size, strlen(expected));
    ck_assert_mem_eq(inputs->items[index].data, expected, strlen(expected));
}

static void check_one(const char *text, bool image, const char *expected) {
    ck_assert_msg(read_body(text) == STATUS_OK, "%s: %s", text, err.message);
    ck_assert_uint_eq(body.images.count + body.texts.count, 1);
    ck_assert(body.is_image[0] == image);
    check_item(image ? &body.images : &body.texts, 0, expected);
    openai_body_free(&body);
}

START_TEST(reads_every_dialect) {
    check_one("{\"input\":\"cat\",\"model\":\"m\",\"user\":\"u\",\"dimensions\":null}", false,
              "cat");
    check_one("{\"input\":[\"cat\"],\"input_type\":\"query\",\"task\":\"t\"}", false, "cat");
    check_one("{\"input\":{\"text\":\"cat\"}}", false, "cat");
    check_one("{\"input\":[{\"image\":\"Y2F0\"}]}", true, "cat");
    check_one("{\"input\":[{\"image\":\"data:;base64,Y2F0\"}]}", true, "cat");
    check_one("{\"input\":[{\"type\":\"text\",\"text\":\"cat\"}]}", false, "cat");
    check_one("{\"input\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"Y2F0\"}}]}", true,
              "cat");
    check_one("{\"input\":[{\"type\":\"image\",\"image_url\":{\"url\":\"Y2F0\"}}]}", true, "cat");
    check_one("{\"input\":[{\"type\":\"image_url\",\"image_url\":\"Y2F0\"}]}", true, "cat");
    check_one("{\"input\":[{\"type\":\"image_base64\",\"image_base64\":\"Y2F0\"}]}", true, "cat");
    check_one("{\"input\":\"Y2F0\",\"modality\":\"image\"}", true, "cat");
    check_one("{\"input\":\"data:image/png;base64,Y2F0\"}", true, "cat");
    check_one("{\"input\":[\"DATA:image/webp;base64,Y2F0\"]}", true, "cat");
    check_one("{\"input\":\"data:image/png;base64,Y2F0\",\"modality\":\"text\"}", false,
              "data:image/png;base64,Y2F0");
    check_one("{\"input\":{\"text\":\"data:image/png;base64,Y2F0\"}}", false,
              "data:image/png;base64,Y2F0");
    check_one("{\"input\":\"data:imagery\"}", false, "data:imagery");
    check_one("{\"messages\":[{\"content\":\"data:image/png;base64,Y2F0\"}]}", true, "cat");
    check_one("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
              "\"image_url\":{\"url\":\"Y2F0\"}}]}]}",
              true, "cat");
    check_one("{\"messages\":[{\"role\":\"user\",\"content\":\"cat\"}]}", false, "cat");
}
END_TEST

START_TEST(keeps_the_order_of_a_mix) {
    ck_assert_int_eq(read_body("{\"input\":[\"a\",{\"image\":\"Y2F0\"},{\"text\":\"b\"}],"
                               "\"encoding_format\":\"base64\",\"normalized\":false,"
                               "\"dimensions\":8}"),
                     STATUS_OK);
    ck_assert(!body.is_image[0] && body.is_image[1] && !body.is_image[2]);
    check_item(&body.texts, 1, "b");
    ck_assert(body.base64 && !body.normalize);
    ck_assert_uint_eq(body.dimensions, 8);
    openai_body_free(&body);
}
END_TEST

START_TEST(points_to_the_fault) {
    check_refused("{}", STATUS_INVALID, "/input");
    check_refused("{\"input\":null}", STATUS_INVALID, "/input");
    check_refused("{\"input\":[]}", STATUS_INVALID, "/input");
    check_refused("{\"input\":[1,2]}", STATUS_INVALID, "/input/0");
    ck_assert_msg(strstr(err.message, "check_embedding_ctx_length=False"), "%s", err.message);
    check_refused("{\"input\":[[1,2]]}", STATUS_INVALID, "/input/0");
    check_refused("{\"input\":[\"a\",true]}", STATUS_INVALID, "/input/1");
    check_refused("{\"input\":[{}]}", STATUS_INVALID, "/input/0");
    check_refused("{\"input\":[{\"text\":\"a\",\"image\":\"b\"}]}", STATUS_INVALID, "/input/0");
    check_refused("{\"input\":[{\"type\":\"image\",\"text\":\"b\"}]}", STATUS_INVALID, "/input/0");
    check_refused("{\"input\":[{\"image\":\"$\"}]}", STATUS_INVALID, "/input/0/image");
    check_refused("{\"input\":[\"a\",\"data:image/png,Y2F0\"]}", STATUS_INVALID, "/input/1");
    check_refused("{\"input\":[{\"image_url\":{}}]}", STATUS_INVALID, "/input/0/image_url");
    check_refused("{\"input\":[{\"image_url\":{\"url\":\"https://x/\"}}]}", STATUS_INVALID,
                  "/input/0/image_url/url");
    check_refused("{\"input\":\"a\",\"encoding_format\":\"int8\"}", STATUS_INVALID,
                  "/encoding_format");
    check_refused("{\"input\":\"a\",\"dimensions\":0}", STATUS_INVALID, "/dimensions");
    check_refused("{\"input\":\"a\",\"model\":5}", STATUS_INVALID, "/model");
    check_refused("{\"input\":\"a\",\"modality\":\"audio\"}", STATUS_INVALID, "/modality");
    check_refused("{\"input\":\"a\",\"messages\":[]}", STATUS_INVALID, "/messages");
    check_refused("{\"messages\":[]}", STATUS_INVALID, "/messages");
    check_refused("{\"messages\":[{\"content\":[\"a\",\"b\"]}]}", STATUS_INVALID, "/messages");
    check_refused("{\"input\":\"a\",\"inptu\":1}", STATUS_INVALID, "/inptu");
}
END_TEST

START_TEST(bounds_the_inputs) {
    check_refused("{\"input\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", STATUS_TOO_LARGE, "/input");
    check_refused("{\"input\":[{\"image\":\"\"},{\"image\":\"\"},{\"image\":\"\"}]}",
                  STATUS_TOO_LARGE, "/input/2/image");
    ck_assert_int_eq(read_body("{\"input\":[\"a\",\"b\",\"c\",\"d\"]}"), STATUS_OK);
    openai_body_free(&body);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("openai_body");
    tcase_add_test(tests, reads_every_dialect);
    tcase_add_test(tests, keeps_the_order_of_a_mix);
    tcase_add_test(tests, points_to_the_fault);
    tcase_add_test(tests, bounds_the_inputs);
    return program_run("openai_body", tests, CK_NOFORK);
}
