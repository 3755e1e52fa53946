#include "core/towers/plan.h"

#include <check.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/towers/resnet.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

static const struct model_info both = {
    .vision = {.layers = 3, .projected = true},
    .text = {.layers = 2, .projected = true},
};

/* Every number names a place of its own, and all places have a number. */
START_TEST(numbers) {
    static const size_t counts[] = {3 * 4 + 2, 2 * 4 + 1};
    struct plan plan;
    plan_fill(&plan, MODEL_INT8);
    ck_assert_uint_eq(plan_exceptions(&plan, &both), 0);
    uint32_t exceptions = 0;
    for (int tower = 0; tower < PLAN_TOWERS; tower++) {
        ck_assert_uint_eq(plan_count(&both, (enum plan_tower)tower), counts[tower]);
        for (size_t i = 0; i < counts[tower]; i++) {
            *plan_at(&plan, &both, (enum plan_tower)tower, i) = MODEL_FP32;
            ck_assert_uint_eq(plan_exceptions(&plan, &both), ++exceptions);
        }
    }
    ck_assert_uint_eq(plan.patch, MODEL_FP32);
    ck_assert_uint_eq(plan.projection[PLAN_VISION], MODEL_FP32);
    ck_assert_uint_eq(plan.projection[PLAN_TEXT], MODEL_FP32);
    ck_assert_uint_eq(plan.layers[PLAN_VISION][2][PLAN_PROJ], MODEL_FP32);
    ck_assert_uint_eq(plan.layers[PLAN_TEXT][2][PLAN_QKV], MODEL_INT8);
    ck_assert_ptr_eq(plan_at(&plan, &both, PLAN_VISION, 5), &plan.layers[PLAN_VISION][1][PLAN_OUT]);
}
END_TEST

/* Blocks of three and four convolutions, and the attention behind them. */
START_TEST(numbers_of_a_resnet) {
    const struct model_info info = {.vision = {.layers = 7, .projected = true},
                                    .image_tower = MODEL_IMAGE_RESNET,
                                    .resnet = {8, {2, 1, 1, 2}}};
    static const struct {
        size_t number;
        const char *name;
    } names[] = {{0, "layer 1 qkv"}, {3, "layer 1 proj"}, {4, "layer 2 qkv"}, {6, "layer 2 fc"},
                 {7, "layer 3 qkv"}, {22, "layer 7 qkv"}, {23, "patch"},      {24, "projection"}};
    struct plan plan;
    ck_assert_uint_eq(plan_count(&info, PLAN_VISION), 4 + 3 + 4 + 4 + 4 + 3 + 1 + 2);
    plan_fill(&plan, MODEL_INT8);
    for (uint32_t i = 0; i < 25; i++) {
        *plan_at(&plan, &info, PLAN_VISION, i) = MODEL_FP32;
        ck_assert_uint_eq(plan_exceptions(&plan, &info), i + 1);
    }
    ck_assert_uint_eq(plan.layers[PLAN_VISION][1][RESNET_SHORTCUT], MODEL_INT8);
    ck_assert_uint_eq(plan.layers[PLAN_VISION][6][PLAN_OUT], MODEL_INT8);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        tower_name_product(name, &info, PLAN_VISION, names[i].number);
        ck_assert_str_eq(name, names[i].name);
    }
}
END_TEST

START_TEST(towers_that_are_not_there) {
    const struct model_info alone = {.vision = {.layers = 1}};
    ck_assert_uint_eq(plan_count(&alone, PLAN_VISION), 5);
    ck_assert_uint_eq(plan_count(&alone, PLAN_TEXT), 0);
}
END_TEST

START_TEST(defaults) {
    static const struct {
        unsigned features;
        enum model_precision fallback;
    } rows[] = {{0, MODEL_FP32}, {ISA_AVX2, MODEL_FP32}, {ISA_ALL, MODEL_BF16}};
    for (size_t i = 0; i < 3; i++) {
        struct plan plan, same;
        plan_default(&plan, &both, MODEL_INT8, rows[i].features);
        ck_assert_uint_eq(plan_exceptions(&plan, &both), 3);
        ck_assert_uint_eq(plan.projection[PLAN_VISION], rows[i].fallback);
        ck_assert_uint_eq(plan.projection[PLAN_TEXT], rows[i].fallback);
        ck_assert_uint_eq(plan.layers[PLAN_TEXT][0][PLAN_QKV], rows[i].fallback);
        plan_default(&plan, &both, MODEL_BF16, rows[i].features);
        plan_fill(&same, MODEL_BF16);
        ck_assert_mem_eq(&plan, &same, sizeof(plan));
        const struct model_info siglip = {.no_class_token = true};
        plan_default(&plan, &siglip, MODEL_BF16, rows[i].features);
        same.patch = MODEL_FP32;
        ck_assert_mem_eq(&plan, &same, sizeof(plan));
    }
}
END_TEST

/* A profile of another machine. */
START_TEST(fit) {
    struct plan plan;
    plan_fill(&plan, MODEL_INT8);
    plan.patch = MODEL_BF16;
    plan.projection[PLAN_TEXT] = MODEL_FP32;
    plan_fit(&plan, ISA_ALL);
    ck_assert_uint_eq(plan.patch, MODEL_BF16);
    ck_assert_uint_eq(plan.projection[PLAN_TEXT], MODEL_FP32);
    plan_fit(&plan, ISA_AVX2);
    ck_assert_uint_eq(plan.patch, MODEL_FP32);
    ck_assert_uint_eq(plan_exceptions(&plan, &both), 2);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("plan");
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, numbers_of_a_resnet);
    tcase_add_test(tests, towers_that_are_not_there);
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, fit);
    return program_run("plan", tests, CK_NOFORK);
}
