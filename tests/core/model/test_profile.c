#include "core/model/profile.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

static const char digest[] = "555faba23741ca0874f1805d53f760153c658c5ac0edc34d188538cd3bbb4bc3";

static struct profile *make(void) {
    struct profile *profile = calloc(1, sizeof(*profile));
    ck_assert_ptr_nonnull(profile);
    plan_fill(&profile->plan, MODEL_INT8);
    memcpy(profile->sha256, digest, sizeof(digest));
    memcpy(profile->kernel, "int8-p16w63-1", sizeof("int8-p16w63-1"));
    profile->plan.patch = MODEL_BF16;
    profile->plan.projection[PLAN_VISION] = MODEL_FP32;
    profile->plan.layers[PLAN_TEXT][1][PLAN_OUT] = MODEL_BF16;
    for (int i = 0; i < PLAN_TOWERS; i++) {
        struct profile_tower *tower = &profile->towers[i];
        tower->layers = i == PLAN_VISION ? 3 : 2;
        tower->inputs = 64;
        tower->projected = i == PLAN_VISION;
        tower->total = (struct model_cosines){0.9991 - i / 1e4, 0.9995, 0.98, 0.99 + i / 1e3};
        for (uint32_t k = 0; k < tower->layers; k++) {
            tower->residual[k] = (struct model_cosines){0.999 + k / 1e6, 0.9999, -0.25, 1};
        }
    }
    return profile;
}

static struct buffer print(const struct profile *profile) {
    struct buffer text;
    buffer_init(&text, PROFILE_SIZE_MAX);
    ck_assert_int_eq(profile_print(profile, &text, NULL), STATUS_OK);
    return text;
}

START_TEST(round_trip) {
    struct profile *profile = make(), *found = calloc(1, sizeof(*found));
    struct buffer text = print(profile);
    struct error err = ERROR_NONE;
    enum status status = profile_parse(found, buffer_view(&text), "p.json", &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    ck_assert_str_eq(found->sha256, digest);
    ck_assert_str_eq(found->kernel, "int8-p16w63-1");
    ck_assert_mem_eq(&found->plan, &profile->plan, sizeof(found->plan));
    struct buffer again = print(found);
    ck_assert_uint_eq(again.size, text.size);
    ck_assert_mem_eq(again.data, text.data, text.size);
    struct model_cosines total = profile_cosines(found);
    ck_assert_double_eq_tol(total.min, 0.9990, 1e-12);
    ck_assert_double_eq_tol(total.centred_mean, 0.99, 1e-12);
    buffer_free(&again);
    buffer_free(&text);
    free(found);
    free(profile);
}
END_TEST

/* Replaces the first `from` by `to`. */
static struct buffer edit(const struct buffer *text, const char *from, const char *to) {
    struct buffer out;
    buffer_init(&out, PROFILE_SIZE_MAX);
    const uint8_t *at = memmem(text->data, text->size, from, strlen(from));
    ck_assert_msg(at != NULL, "%s is not there", from);
    size_t before = (size_t)(at - text->data);
    ck_assert_int_eq(buffer_append(&out, text->data, before, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&out, to, strlen(to), NULL), STATUS_OK);
    ck_assert_int_eq(
        buffer_append(&out, at + strlen(from), text->size - before - strlen(from), NULL),
        STATUS_OK);
    return out;
}

START_TEST(damaged) {
    static const struct {
        const char *from, *to, *message;
    } rows[] = {
        {"}", "", "p.json line "},
        {"{", "[", "p.json line "},
        {"\"clipd_profile\": 1", "\"clipd_profile\": 2", "only version 1 is known"},
        {"\"clipd_profile\": 1,", "", "clipd_profile"},
        {"\"kernel\": ", "\"kernal\": ", "kernel"},
        {"int8-p16w63-1", "", "no such kernel"},
        {"int8-p16w63-1", "int8-p16w63-1int8-p16w63-1int8-p16", "no such kernel"},
        {"\"sha256\": \"5", "\"sha256\": \"", "sha256: 64 digits"},
        {"\"sha256\": \"5", "\"sha256\": \"F", "sha256: 64 digits"},
        {"\"text\"", "\"txet\"", "txet"},
        {"\"inputs\": 64", "\"inputs\": 0", "vision: inputs is out of range"},
        {"\"inputs\": 64", "\"inputs\": 6.4", "vision"},
        {"\"patch\": \"bf16\",", "", "vision: patch is missing"},
        {"\"patch\": \"bf16\"", "\"patch\": \"fp16\"", "vision: a precision is one of"},
        {"\"qkv\": \"int8\"", "\"qkv\": \"\"", "vision layer 1: a precision is one of"},
        {"\"qkv\": \"int8\", ", "", "vision layer 1: "},
        {"\"qkv\": \"int8\"", "\"qkv\": \"int8\", \"more\": 1", "more"},
        {"\"min\": 0.999100000", "\"min\": 1.5", "vision: a cosine lies between -1 and 1"},
        {"\"min\": 0.999100000", "\"min\": \"1\"", "vision"},
        {"\"min\": 0.999000000", "\"min\": -2", "vision layer 1: a cosine lies"},
        {"\"layers\": [", "\"layers\": [], \"x\": [", "x"},
    };
    struct profile *profile = make(), *found = calloc(1, sizeof(*found));
    struct buffer text = print(profile);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_NONE;
        struct buffer edited = edit(&text, rows[i].from, rows[i].to);
        enum status status = profile_parse(found, buffer_view(&edited), "p.json", &err);
        ck_assert_msg(status == STATUS_UNPROCESSABLE, "row %zu: %s", i, err.message);
        ck_assert_msg(strstr(err.message, "p.json") && strstr(err.message, rows[i].message),
                      "row %zu: %s", i, err.message);
        buffer_free(&edited);
    }
    buffer_free(&text);
    free(found);
    free(profile);
}
END_TEST

/* As many layers as there may be, and one more; none. */
START_TEST(sizes) {
    struct profile *profile = make(), *found = calloc(1, sizeof(*found));
    profile->towers[PLAN_TEXT].layers = PLAN_LAYERS_MAX;
    struct buffer text = print(profile);
    struct error err = ERROR_NONE;
    enum status status = profile_parse(found, buffer_view(&text), "p.json", &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    ck_assert_uint_eq(found->towers[PLAN_TEXT].layers, PLAN_LAYERS_MAX);
    const char layer[] = "\"text\": {\n    \"inputs\": 64", more[] = "\"layers\": [\n";
    struct buffer cut = edit(&text, layer, "\"vision\": {\n    \"inputs\": 64");
    ck_assert_int_eq(profile_parse(found, buffer_view(&cut), "p.json", NULL), STATUS_UNPROCESSABLE);
    buffer_free(&cut);
    cut = edit(&text, more, "\"layers\": [null, ");
    ck_assert_int_eq(profile_parse(found, buffer_view(&cut), "p.json", NULL), STATUS_UNPROCESSABLE);
    buffer_free(&cut);
    buffer_free(&text);
    profile->towers[PLAN_VISION].layers = profile->towers[PLAN_TEXT].layers = 0;
    text = print(profile);
    ck_assert_int_eq(profile_parse(found, buffer_view(&text), "p.json", &err),
                     STATUS_UNPROCESSABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "vision and text are both missing"));
    buffer_free(&text);
    free(found);
    free(profile);
}
END_TEST

START_TEST(another_model) {
    struct model_info info = {.vision = {.layers = 3, .projected = true}, .text = {.layers = 2}};
    struct profile *profile = make();
    struct error err = ERROR_NONE;
    memcpy(info.sha256, digest, sizeof(digest));
    ck_assert_int_eq(profile_check(profile, &info, NULL), STATUS_OK);
    info.sha256[63] = '4';
    ck_assert_int_eq(profile_check(profile, &info, &err), STATUS_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.message, "clipd quantize"));
    info.sha256[63] = '3';
    info.text.layers = 3;
    ck_assert_int_eq(profile_check(profile, &info, NULL), STATUS_CONFLICT);
    info.text.layers = 0;
    ck_assert_int_eq(profile_check(profile, &info, NULL), STATUS_CONFLICT);
    info.text.layers = 2;
    info.vision.projected = false;
    ck_assert_int_eq(profile_check(profile, &info, NULL), STATUS_CONFLICT);
    free(profile);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("profile");
    tcase_add_test(tests, round_trip);
    tcase_add_test(tests, damaged);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, another_model);
    return program_run("profile", tests, CK_NOFORK);
}
