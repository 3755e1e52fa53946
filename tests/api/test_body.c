/* Fields in all three forms of a body, and what each refuses. */
#include <check.h>
#include <string.h>

#include "api/body.h"
#include "tests/support/fake_request.h"
#include "tests/support/program.h"

enum {
    ANY_IMAGE = BODY_MODEL | BODY_NORMALIZE | BODY_ENCODING | BODY_PARTIAL | BODY_IMAGES,
    ANY_TEXT = BODY_MODEL | BODY_NORMALIZE | BODY_TRUNCATE | BODY_TEXTS,
    ANY_CLASSIFY =
        BODY_MODEL | BODY_PARTIAL | BODY_TOP_K | BODY_IMAGES | BODY_LABELS | BODY_TEMPLATES,
};

static const struct api_options options = {.images_max = 3, .texts_max = 4};
static struct fake_request fake;
static struct body body;
static struct error err;

static enum status read_body(unsigned allowed) {
    err = ERROR_NONE;
    return body_read(&body, &fake.request, &options, allowed, &err);
}

static enum status read_json(const char *text, unsigned allowed) {
    fake_request_init(&fake, "/", "application/json; charset=utf-8", bytes_of(text));
    return read_body(allowed);
}

static void check_refused(const char *text, unsigned allowed, enum status expected,
                          const char *where) {
    enum status status = read_json(text, allowed);
    ck_assert_msg(status == expected, "%s: %d %s", text, status, err.message);
    ck_assert_msg(!strcmp(err.where, where), "%s: at \"%s\"", text, err.where);
    ck_assert_int_eq(err.status, expected);
    body_free(&body);
}

static void check_item(const struct inputs *inputs, size_t index, const char *expected) {
    ck_assert_uint_lt(index, inputs->count);
    ck_assert_uint_eq(inputs->items[index].size, strlen(expected));
    ck_assert_mem_eq(inputs->items[index].data, expected, strlen(expected));
}

enum { ANY_STATES = BODY_IMAGES | BODY_LAYER | BODY_CLASS_TOKEN | BODY_FORMAT | BODY_DTYPE };

START_TEST(hidden_states) {
    ck_assert_int_eq(read_json("{\"image\":\"Y2F0\"}", ANY_STATES), STATUS_OK);
    ck_assert_int_eq(body.layer, -2);
    ck_assert(!body.class_token && !body.bare && !body.half);
    body_free(&body);
    ck_assert_int_eq(read_json("{\"image\":\"Y2F0\",\"layer\":-1000,\"class_token\":true,"
                               "\"format\":\"raw\",\"dtype\":\"float16\"}",
                               ANY_STATES),
                     STATUS_OK);
    ck_assert_int_eq(body.layer, -1000);
    ck_assert(body.class_token && body.bare && body.half);
    body_free(&body);
    check_refused("{\"image\":\"Y2F0\",\"layer\":1001}", ANY_STATES, STATUS_INVALID, "/layer");
    check_refused("{\"image\":\"Y2F0\",\"layer\":\"1\"}", ANY_STATES, STATUS_INVALID, "/layer");
    check_refused("{\"image\":\"Y2F0\",\"layer\":1.5}", ANY_STATES, STATUS_INVALID, "/layer");
    check_refused("{\"image\":\"Y2F0\",\"format\":\"csv\"}", ANY_STATES, STATUS_INVALID, "/format");
    check_refused("{\"image\":\"Y2F0\",\"dtype\":\"float\"}", ANY_STATES, STATUS_INVALID, "/dtype");
    check_refused("{\"image\":\"Y2F0\",\"layer\":1}", ANY_IMAGE, STATUS_INVALID, "/layer");
    static const struct {
        const char *text;
        enum status status;
        int32_t layer;
    } layers[] = {{"-1", STATUS_OK, -1},      {"1000", STATUS_OK, 1000},
                  {"0", STATUS_OK, 0},        {"-1001", STATUS_INVALID, 0},
                  {"", STATUS_INVALID, 0},    {"-", STATUS_INVALID, 0},
                  {"--1", STATUS_INVALID, 0}, {"1x", STATUS_INVALID, 0},
                  {"+1", STATUS_INVALID, 0},  {"99999999999", STATUS_INVALID, 0}};
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        fake_request_init(&fake, "/", "image/png", bytes_of("x"));
        fake.query[0] = "layer";
        fake.query[1] = layers[i].text;
        ck_assert_int_eq(read_body(ANY_STATES), layers[i].status);
        if (!layers[i].status) ck_assert_int_eq(body.layer, layers[i].layer);
        body_free(&body);
    }
}
END_TEST

START_TEST(json_images_in_every_spelling) {
    ck_assert_int_eq(read_json("{\"images\":[\"Y2F0\",{\"base64\":\"ZG9n\"},"
                               "\"DATA:image/png;name=x;Base64,YmlyZA\"],\"model\":\"m\","
                               "\"normalize\":false,\"encoding\":\"base64\",\"partial\":null}",
                               ANY_IMAGE),
                     STATUS_OK);
    check_item(&body.images, 0, "cat");
    check_item(&body.images, 1, "dog");
    check_item(&body.images, 2, "bird");
    ck_assert_str_eq(body.model, "m");
    ck_assert(!body.normalize && body.base64 && !body.partial);
    body_free(&body);
    ck_assert_int_eq(read_json("{\"image\":\"Y2F0\"}", ANY_IMAGE), STATUS_OK);
    check_item(&body.images, 0, "cat");
    ck_assert(body.normalize && !body.base64 && body.truncate);
    body_free(&body);
}
END_TEST

START_TEST(json_points_to_the_fault) {
    check_refused("{\"imagse\":[]}", ANY_IMAGE, STATUS_INVALID, "/imagse");
    check_refused("{\"a/b~c\":[]}", ANY_IMAGE, STATUS_INVALID, "/a~1b~0c");
    check_refused("{\"texts\":[\"a\"]}", ANY_IMAGE, STATUS_INVALID, "/texts");
    check_refused("{}", ANY_IMAGE, STATUS_INVALID, "/images");
    check_refused("{\"images\":[]}", ANY_IMAGE, STATUS_INVALID, "/images");
    check_refused("{\"images\":\"Y2F0\"}", ANY_IMAGE, STATUS_INVALID, "/images");
    check_refused("{\"images\":[\"Y2F0\",1]}", ANY_IMAGE, STATUS_INVALID, "/images/1");
    check_refused("{\"images\":[{\"base64\":\"Y2F0\",\"x\":1}]}", ANY_IMAGE, STATUS_INVALID,
                  "/images/0");
    check_refused("{\"images\":[\"Y2F0\",\"$\"]}", ANY_IMAGE, STATUS_INVALID, "/images/1");
    ck_assert_int_eq(err.input, 1);
    check_refused("{\"images\":[\"http://x/y.png\"]}", ANY_IMAGE, STATUS_INVALID, "/images/0");
    check_refused("{\"images\":[\"data:image/png,abc\"]}", ANY_IMAGE, STATUS_INVALID, "/images/0");
    check_refused("{\"images\":[\"data:\"]}", ANY_IMAGE, STATUS_INVALID, "/images/0");
    check_refused("{\"images\":[\"\"],\"image\":\"\"}", ANY_IMAGE, STATUS_INVALID, "/image");
    check_refused("{\"images\":[\"\"],\"normalize\":1}", ANY_IMAGE, STATUS_INVALID, "/normalize");
    check_refused("{\"images\":[\"\"],\"encoding\":\"f16\"}", ANY_IMAGE, STATUS_INVALID,
                  "/encoding");
    check_refused("{\"texts\":[\"a\",null]}", ANY_TEXT, STATUS_INVALID, "/texts/1");
    check_refused("{\"text\":[\"a\"]}", ANY_TEXT, STATUS_INVALID, "/text");
    check_refused("{\"image\":\"\",\"labels\":[\"a\"],\"top_k\":0}", ANY_CLASSIFY, STATUS_INVALID,
                  "/top_k");
    check_refused("{\"image\":\"\"}", ANY_CLASSIFY, STATUS_INVALID, "/labels");
}
END_TEST

START_TEST(counts_before_it_decodes) {
    check_refused("{\"images\":[\"$\",\"$\",\"$\",\"$\"]}", ANY_IMAGE, STATUS_TOO_LARGE, "/images");
    ck_assert_int_eq(read_json("{\"texts\":[\"\",\"b\",\"c\",\"d\"]}", ANY_TEXT), STATUS_OK);
    body_free(&body);
    check_refused("{\"texts\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", ANY_TEXT, STATUS_TOO_LARGE,
                  "/texts");
}
END_TEST

/* Whichever member comes first. */
START_TEST(partial_notes_bad_base64) {
    ck_assert_int_eq(
        read_json("{\"images\":[\"Y2F0\",\"$\",\"ZG9n\"],\"partial\":true}", ANY_IMAGE), STATUS_OK);
    ck_assert_uint_eq(body.images.count, 3);
    ck_assert_int_eq(body.images.errors[0].status, STATUS_OK);
    ck_assert_int_eq(body.images.errors[1].status, STATUS_INVALID);
    check_item(&body.images, 2, "dog");
    body_free(&body);
}
END_TEST

START_TEST(keeps_nul_in_texts_but_not_in_names) {
    ck_assert_int_eq(read_json("{\"text\":\"a\\u0000b\",\"model\":\"m\\u0000x\"}", ANY_TEXT), 0);
    ck_assert_uint_eq(body.texts.items[0].size, 3);
    ck_assert_str_eq(body.model, "?");
    body_free(&body);
}
END_TEST

static enum status read_form(const struct http_part *parts, size_t count, unsigned allowed) {
    fake_request_init(&fake, "/", "Multipart/Form-Data; boundary=x", (struct bytes){0});
    fake.request.parts = parts;
    fake.request.parts_count = count;
    return read_body(allowed);
}

static struct http_part part(const char *name, const char *data) {
    return (struct http_part){name, "", "", bytes_of(data)};
}

START_TEST(form_with_everything) {
    struct http_part parts[] = {part("image", "one"),      part("labels", "cat"),
                                part("image", "two"),      part("labels", "dog, big"),
                                part("template", "a {}."), part("top_k", "1"),
                                part("partial", "true"),   part("model", "m")};
    ck_assert_int_eq(read_form(parts, 8, ANY_CLASSIFY), STATUS_OK);
    check_item(&body.images, 1, "two");
    check_item(&body.labels, 1, "dog, big");
    check_item(&body.templates, 0, "a {}.");
    ck_assert_uint_eq(body.top_k, 1);
    ck_assert(body.partial);
    body_free(&body);
}
END_TEST

START_TEST(form_splits_a_single_labels_part) {
    struct http_part parts[] = {part("image", ""), part("labels", " cat ,big dog,,")};
    ck_assert_int_eq(read_form(parts, 2, ANY_CLASSIFY), STATUS_OK);
    ck_assert_uint_eq(body.labels.count, 4);
    check_item(&body.labels, 0, "cat");
    check_item(&body.labels, 1, "big dog");
    check_item(&body.labels, 2, "");
    body_free(&body);
    parts[1] = part("labels", "a,b,c,d,e");
    ck_assert_int_eq(read_form(parts, 2, ANY_CLASSIFY), STATUS_TOO_LARGE);
    body_free(&body);
}
END_TEST

START_TEST(form_refuses) {
    struct http_part unknown[] = {part("image", ""), part("file", "")};
    ck_assert_int_eq(read_form(unknown, 2, ANY_IMAGE), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/file");
    body_free(&body);
    struct http_part latin1[] = {part("image", ""), part("labels", "caf\xe9")};
    ck_assert_int_eq(read_form(latin1, 2, ANY_CLASSIFY), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/labels");
    body_free(&body);
    struct http_part many[] = {part("image", ""), part("image", ""), part("image", ""),
                               part("image", "")};
    ck_assert_int_eq(read_form(many, 4, ANY_IMAGE), STATUS_TOO_LARGE);
    body_free(&body);
    ck_assert_int_eq(read_form(many, 0, ANY_IMAGE), STATUS_INVALID);
    body_free(&body);
    struct http_part both[] = {part("image", ""), part("labels", "a"), part("template", "{}"),
                               part("templates", "a {}")};
    ck_assert_int_eq(read_form(both, 4, ANY_CLASSIFY), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/templates");
    body_free(&body);
    struct http_part flag[] = {part("image", ""), part("normalize", "yes")};
    ck_assert_int_eq(read_form(flag, 2, ANY_IMAGE), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/normalize");
    body_free(&body);
    static const char *const counts[] = {"", "0", "-1", "1x", "4294967296", "99999999999999"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct http_part top[] = {part("image", ""), part("labels", "a"), part("top_k", counts[i])};
        ck_assert_int_eq(read_form(top, 3, ANY_CLASSIFY), STATUS_INVALID);
        ck_assert_str_eq(err.where, "/top_k");
        body_free(&body);
    }
}
END_TEST

START_TEST(raw_image_with_query) {
    static const char *const types[] = {"image/jpeg", "IMAGE/x-whatever; q=1",
                                        "application/octet-stream", NULL};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        fake_request_init(&fake, "/", types[i], bytes_of("picture"));
        fake.query[0] = "labels";
        fake.query[1] = "cat,dog";
        fake.query[2] = "top_k";
        fake.query[3] = "4294967295";
        ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_OK);
        check_item(&body.images, 0, "picture");
        check_item(&body.labels, 1, "dog");
        ck_assert_uint_eq(body.top_k, 4294967295u);
        body_free(&body);
    }
}
END_TEST

START_TEST(query_options_yield_to_the_body) {
    fake_request_init(&fake, "/", NULL, bytes_of(" {\"image\":\"Y2F0\",\"encoding\":\"float\"}"));
    fake.query[0] = "encoding";
    fake.query[1] = "base64";
    fake.query[2] = "normalize";
    fake.query[3] = "0";
    ck_assert_int_eq(read_body(ANY_IMAGE), STATUS_OK);
    ck_assert(!body.base64 && !body.normalize);
    body_free(&body);
}
END_TEST

START_TEST(query_lists) {
    fake_request_init(&fake, "/", "image/png", bytes_of("picture"));
    const char *query[] = {"labels", "cat", "labels", "dog,bird", "template", "a {}", "utm", "x"};
    memcpy(fake.query, query, sizeof(query));
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_OK);
    ck_assert_uint_eq(body.labels.count, 2);
    check_item(&body.labels, 0, "cat");
    check_item(&body.labels, 1, "dog,bird");
    ck_assert_uint_eq(body.templates.count, 1);
    check_item(&body.templates, 0, "a {}");
    body_free(&body);
    fake.query[4] = "labels";
    fake.query[5] = "caf\xe9";
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/labels");
    body_free(&body);
    fake.query[5] = "e";
    fake.query[6] = fake.query[8] = "labels";
    fake.query[7] = fake.query[9] = "f";
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_TOO_LARGE);
    ck_assert_str_eq(err.where, "/labels");
    body_free(&body);
}
END_TEST

/* The body says nothing of templates, or of labels. */
START_TEST(query_lists_stand_beside_every_body) {
    struct http_part parts[] = {part("image", "picture"), part("labels", "cat")};
    const char *query[] = {"labels", "dog,bird", "template", "a {}", "template", "{}"};
    ck_assert_int_eq(read_form(parts, 2, ANY_CLASSIFY), STATUS_OK);
    memcpy(fake.query, query, sizeof(query));
    body_free(&body);
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_OK);
    ck_assert_uint_eq(body.labels.count, 1);
    check_item(&body.labels, 0, "cat");
    check_item(&body.templates, 1, "{}");
    body_free(&body);
    fake_request_init(&fake, "/", "application/json",
                      bytes_of("{\"image\":\"Y2F0\",\"templates\":[\"the {}\"]}"));
    memcpy(fake.query, query, sizeof(query));
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_OK);
    ck_assert_uint_eq(body.labels.count, 2);
    check_item(&body.labels, 1, "bird");
    ck_assert_uint_eq(body.templates.count, 1);
    check_item(&body.templates, 0, "the {}");
    body_free(&body);
    fake_request_init(&fake, "/", "application/json",
                      bytes_of("{\"image\":\"Y2F0\",\"labels\":[]}"));
    memcpy(fake.query, query, sizeof(query));
    ck_assert_int_eq(read_body(ANY_CLASSIFY), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/labels");
    body_free(&body);
}
END_TEST

START_TEST(empty_bodies) {
    static const char *const types[] = {"image/png", "application/json", NULL};
    for (size_t i = 0; i < 3; i++) {
        fake_request_init(&fake, "/", types[i], (struct bytes){0});
        ck_assert_int_eq(read_body(ANY_IMAGE), STATUS_INVALID);
        body_free(&body);
    }
}
END_TEST

START_TEST(knows_content_types) {
    ck_assert_int_eq(body_content(NULL), BODY_UNDECLARED);
    ck_assert_int_eq(body_content("Application/JSON"), BODY_JSON);
    ck_assert_int_eq(body_content("application/json-patch+json"), BODY_UNKNOWN);
    ck_assert_int_eq(body_content("image/webp"), BODY_IMAGE);
    ck_assert_int_eq(body_content("text/plain"), BODY_UNKNOWN);
    ck_assert_int_eq(body_content(""), BODY_UNKNOWN);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("body");
    tcase_add_test(tests, hidden_states);
    tcase_add_test(tests, json_images_in_every_spelling);
    tcase_add_test(tests, json_points_to_the_fault);
    tcase_add_test(tests, counts_before_it_decodes);
    tcase_add_test(tests, partial_notes_bad_base64);
    tcase_add_test(tests, keeps_nul_in_texts_but_not_in_names);
    tcase_add_test(tests, form_with_everything);
    tcase_add_test(tests, form_splits_a_single_labels_part);
    tcase_add_test(tests, form_refuses);
    tcase_add_test(tests, raw_image_with_query);
    tcase_add_test(tests, query_options_yield_to_the_body);
    tcase_add_test(tests, query_lists);
    tcase_add_test(tests, query_lists_stand_beside_every_body);
    tcase_add_test(tests, empty_bodies);
    tcase_add_test(tests, knows_content_types);
    return program_run("body", tests, CK_NOFORK);
}
