/* The memory of passes is for the batches that were announced; larger ones go through in
 * parts, and nobody can tell. */
#include "core/model/workspace.h"

#include <check.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/model/model_parts.h"

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

int main(void) {
    Suite *suite = suite_create("workspace");
    TCase *tests = tcase_create("workspace");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, larger_batches_than_announced, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
