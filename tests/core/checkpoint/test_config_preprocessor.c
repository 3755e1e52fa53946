/* What is read from preprocessor_config.json, and what is refused. */
#include "core/checkpoint/config_preprocessor.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/checkpoint/config_hf.h"
#include "tests/support/configs.h"
#include "tests/support/program.h"

/* What old and new versions of transformers write. */
START_TEST(preprocessor_forms) {
    static const struct {
        const char *json;
        int resize;
        uint32_t resize_to, crop;
    } rows[] = {
        {"{\"size\":224,\"crop_size\":224}", MODEL_RESIZE_SHORTEST, 224, 224},
        {"{\"size\":{\"shortest_edge\":256},\"crop_size\":{\"height\":224,\"width\":224}}",
         MODEL_RESIZE_SHORTEST, 256, 224},
        {"{\"size\":{\"height\":224,\"width\":224},\"do_center_crop\":false}", MODEL_RESIZE_SQUASH,
         224, 224},
        {"{\"size\":{\"height\":256,\"width\":256},\"crop_size\":224}", MODEL_RESIZE_SQUASH, 256,
         224},
        {"{\"size\":224,\"crop_size\":224,\"do_resize\":false}", MODEL_RESIZE_NONE, 224, 224},
        {"{\"size\":224}", MODEL_RESIZE_SHORTEST, 224, 224},
        {"{}", MODEL_RESIZE_SHORTEST, 0, 0},
    };
    struct model_config config = configs_parse(config_preprocessor_parse, rows[_i].json);
    ck_assert_int_eq((int)config.preprocess.resize, rows[_i].resize);
    ck_assert_uint_eq(config.preprocess.resize_to, rows[_i].resize_to);
    ck_assert_uint_eq(config.crop_size, rows[_i].crop);
}
END_TEST

/* Without a size it is that of the processor's class, whose squashes only SigLIP's. */
START_TEST(preprocessor_without_size) {
    static const struct {
        const char *model, *json;
        int resize;
    } rows[] = {
        {"siglip", "{}", MODEL_RESIZE_SQUASH},
        {"siglip", "{\"do_center_crop\":false,\"size\":null}", MODEL_RESIZE_SQUASH},
        {"siglip_vision_model", "{}", MODEL_RESIZE_SQUASH},
        {"siglip", "{\"do_resize\":false}", MODEL_RESIZE_NONE},
        {"siglip", "{\"size\":{\"shortest_edge\":64}}", MODEL_RESIZE_SHORTEST},
        {"chinese_clip", "{}", MODEL_RESIZE_SHORTEST},
        {"clip", "{}", MODEL_RESIZE_SHORTEST},
    };
    char json[64];
    struct error err = ERROR_NONE;
    snprintf(json, sizeof(json), "{\"model_type\":\"%s\"}", rows[_i].model);
    struct model_config config = configs_parse(config_hf_parse, json);
    enum status status = config_preprocessor_parse(&config, bytes_of(rows[_i].json), &err);
    ck_assert_msg(!status, "%s", err.message);
    ck_assert_int_eq((int)config.preprocess.resize, rows[_i].resize);
    ck_assert_uint_eq(config.crop_size, strstr(rows[_i].json, "64") ? 64 : 0);
}
END_TEST

START_TEST(preprocessor_numbers) {
    struct model_config config = configs_parse(
        config_preprocessor_parse, "{\"resample\":2,\"rescale_factor\":0.5,\"image_mean\":[1,2,3],"
                                   "\"image_std\":[4,5,6],\"do_convert_rgb\":true}");
    ck_assert_uint_eq(config.preprocess.filter, 2);
    ck_assert_float_eq(config.preprocess.rescale, 0.5f);
    ck_assert_float_eq(config.preprocess.mean[2], 3);
    ck_assert_float_eq(config.preprocess.std[0], 4);
    config = configs_parse(config_preprocessor_parse,
                           "{\"do_rescale\":false,\"do_normalize\":false,\"image_mean\":[1,2,3]}");
    ck_assert_float_eq(config.preprocess.rescale, 1);
    ck_assert_float_eq(config.preprocess.mean[2], 0);
    ck_assert_float_eq(config.preprocess.std[2], 1);
}
END_TEST

START_TEST(preprocessor_refused) {
    static const struct {
        const char *json;
        enum status status;
        const char *message;
    } rows[] = {
        {"{\"size\":{\"shortest_edge\":224},\"do_center_crop\":false}", STATUS_UNSUPPORTED,
         "without a crop"},
        {"{\"size\":{\"height\":224,\"width\":448}}", STATUS_UNSUPPORTED, "size is neither"},
        {"{\"size\":{\"longest_edge\":224}}", STATUS_UNSUPPORTED, "size is neither"},
        {"{\"size\":{\"shortest_edge\":64,\"longest_edge\":80}}", STATUS_UNSUPPORTED,
         "size has a longest_edge of 80"},
        {"{\"size\":\"224\"}", STATUS_UNPROCESSABLE, "size is not an object"},
        {"{\"size\":0}", STATUS_UNPROCESSABLE, "size is not a whole number"},
        {"{\"resample\":6}", STATUS_UNPROCESSABLE, "resample is not a whole number from 0 to 5"},
        {"{\"image_mean\":0.5}", STATUS_UNPROCESSABLE, "image_mean is not"},
    };
    configs_refuse(config_preprocessor_parse, rows[_i].json, rows[_i].status, rows[_i].message);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, preprocessor_forms, 0, 7);
    tcase_add_loop_test(tests, preprocessor_without_size, 0, 7);
    tcase_add_test(tests, preprocessor_numbers);
    tcase_add_loop_test(tests, preprocessor_refused, 0, 8);
    return program_run("config_preprocessor", tests, CK_NOFORK);
}
