/* Known architectures: each is found by its name and, from what random weights of it say, by its
 * dimensions. */
#include "core/model/architectures.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/invent.h"

START_TEST(by_name_and_dimensions) {
    const struct architecture *architecture = &architectures[_i];
    struct blueprint blueprint;
    struct model_info info;
    ck_assert_ptr_eq(architecture_named(architecture->name), architecture);
    ck_assert_int_eq(invent_model(&blueprint, &info, architecture, false, NULL), STATUS_OK);
    ck_assert_ptr_nonnull(architecture_of(&info));
    ck_assert_str_eq(architecture_of(&info)->name, architecture->name);
    if (info.vision.heads)
        ck_assert_uint_eq((size_t)info.vision.head_width * info.vision.heads, info.vision.width);
    blueprint_free(&blueprint);
}
END_TEST

START_TEST(styles) {
    struct blueprint blueprint;
    struct model_info info;
    invent_model(&blueprint, &info, architecture_named("EVA02-L-14"), false, NULL);
    ck_assert(info.vision.gated && info.vision.inner_norms && info.vision.rope_side == 16);
    ck_assert_uint_eq(blueprint.vit.rope.rows, 256);
    blueprint_free(&blueprint);
    invent_model(&blueprint, &info, architecture_named("EVA02-E-14"), false, NULL);
    ck_assert_int_eq(info.vision.norm_order, MODEL_NORM_RESULT);
    ck_assert(!info.vision.gated && info.patch_bias);
    blueprint_free(&blueprint);
    ck_assert_ptr_null(architecture_named("ViT-B-33"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("architectures");
    TCase *tests = tcase_create("architectures");
    tcase_add_loop_test(tests, by_name_and_dimensions, 0, (int)architectures_count);
    tcase_add_test(tests, styles);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
