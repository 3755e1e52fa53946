/* The memory of passes is for the batches that were announced; larger ones go through in
 * parts, and nobody can tell. */
#include "core/towers/workspace.h"

#include <check.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/model/model_parts.h"
#include "tests/support/program.h"

enum { SIDE = 16, IMAGES = 5, EMBED_DIM = 12, ANNOUNCED = 2 };

static struct model *open_golden(const char *precision, uint32_t batch_max) {
    struct model_options options = {.path = "tests/golden/model/hf",
                                    .precision = precision,
                                    .features = isa_detect(),
                                    .workers = 1,
                                    .batch_max = batch_max};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(!model_open(&model, &options, &err), "%s", err.message);
    ck_assert_uint_eq(model_info(model)->embed_dim, EMBED_DIM);
    ck_assert_uint_eq(model_info(model)->image_size, SIDE);
    return model;
}

START_TEST(larger_batches_than_announced) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    static uint8_t pixels[IMAGES][SIDE * SIDE * 3];
    static float roomy[IMAGES][EMBED_DIM], tight[IMAGES][EMBED_DIM];
    const uint8_t *inputs[IMAGES];
    float *to_roomy[IMAGES], *to_tight[IMAGES];
    for (size_t i = 0; i < IMAGES; i++) {
        for (size_t j = 0; j < sizeof(pixels[i]); j++)
            pixels[i][j] = (uint8_t)((i + 3) * j + j / 97);
        inputs[i] = pixels[i];
        to_roomy[i] = roomy[i];
        to_tight[i] = tight[i];
    }
    struct model *any = open_golden(precisions[_i], 0);
    struct model *small = open_golden(precisions[_i], ANNOUNCED);
    ck_assert_uint_ge(any->workspace->images_max, IMAGES);
    ck_assert_uint_eq(small->workspace->images_max, ANNOUNCED);
    model_encode_images(any, 0, NULL, inputs, IMAGES, to_roomy);
    model_encode_images(small, 0, NULL, inputs, IMAGES, to_tight);
    ck_assert_mem_eq(roomy, tight, sizeof(roomy));
    model_close(any);
    model_close(small);
}
END_TEST

static void encode_both(const struct model *model, float both[2][EMBED_DIM]) {
    static const uint8_t pixels[SIDE * SIDE * 3] = {1, 2, 3};
    static const uint32_t ids[] = {1, 2};
    const uint8_t *image = pixels;
    const struct model_text text = {.ids = ids, .count = sizeof(ids) / sizeof(ids[0])};
    float *to[] = {both[0], both[1]};
    model_encode_texts(model, 0, NULL, &text, 1, &to[1]);
    model_encode_images(model, 0, NULL, &image, 1, &to[0]);
}

/* Rows of 43 channels, normalised into their place, and of 3, multiplied straight to it, have
 * padding in bf16. What others left there is not seen. */
START_TEST(stale_padding) {
    static const char *const paths[] = {"tests/golden/families/eva02",
                                        "tests/fuzz/corpus/safetensors/chinese"};
    static const uint32_t head_widths[] = {16, 2};
    struct model_options options = {.path = paths[_i],
                                    .head_width = head_widths[_i],
                                    .precision = "bf16",
                                    .features = isa_detect(),
                                    .workers = 1};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(!model_open(&model, &options, &err), "%s", err.message);
    ck_assert_uint_le(model_info(model)->embed_dim, EMBED_DIM);
    ck_assert_uint_le(model_info(model)->image_size, SIDE);
    float fresh[2][EMBED_DIM] = {0}, stale[2][EMBED_DIM] = {0};
    encode_both(model, fresh);
    const struct lane *lane = &model->workspace->lanes[0];
    memset(lane->input, 0xff, (size_t)((uint8_t *)lane->hidden - (uint8_t *)lane->input));
    memset(lane->hidden, 0xff, (size_t)((uint8_t *)lane->wide - (uint8_t *)lane->hidden));
    encode_both(model, stale);
    ck_assert_mem_eq(fresh, stale, sizeof(fresh));
    model_close(model);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("workspace");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, larger_batches_than_announced, 0, 3);
    tcase_add_loop_test(tests, stale_padding, 0, 2);
    return program_run("workspace", tests, CK_NOFORK);
}
