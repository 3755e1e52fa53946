/* ConvNeXts on our own goldens (tests/golden/make_convnext_goldens.py), with both forms of the
 * end: features in every precision, at other sizes, alone and among others, calibrated; and what a
 * wrong file is told. */
#include "core/towers/convnext.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/checkpoint/architecture_info.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

#define GOLDEN "tests/golden/convnext/"

static struct tower_pictures pictures;

static void read_pictures(void) {
    tower_pictures_read(&pictures);
}

static const char *const kinds[] = {"linear", "mlp"};

START_TEST(features) {
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    const uint8_t *const large = pictures.large;
    const struct {
        const char *name;
        uint32_t height, width;
    } sizes[] = {
        {"native", 0, 0}, {"larger", TOWER_LARGE, 0}, {"oblong", TOWER_NATIVE / 2, TOWER_LARGE}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char path[96], expected[96];
        snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
        snprintf(expected, sizeof(expected), GOLDEN "%s_%s.npy", kinds[_i], sizes[i].name);
        struct model *model =
            tower_open(path, &(struct model_options){.image_size = sizes[i].height,
                                                     .image_width = sizes[i].width});
        tower_check(model, i ? &large : natives, i ? 1 : TOWER_IMAGES, expected, 0);
        const struct model_info *info = model_info(model);
        ck_assert_uint_eq(info->convnext.widths[3], 20);
        ck_assert_uint_eq(info->convnext.hidden, _i ? 24 : 0);
        ck_assert_uint_eq(info->vision.layers, 5);
        model_close(model);
    }
}
END_TEST

START_TEST(every_precision_and_kernel) {
    char path[96], expected[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
    snprintf(expected, sizeof(expected), GOLDEN "%s_native.npy", kinds[_i]);
    tower_check_precisions(path, expected, 0.99);
}
END_TEST

START_TEST(alone_or_among_others) {
    char path[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
    tower_check_batches(path);
}
END_TEST

START_TEST(calibrated) {
    /* Two products for each of five blocks, three halvings, the stem, the end. */
    tower_check_calibrated(GOLDEN "mlp", 15);
}
END_TEST

START_TEST(products_have_names) {
    const struct model_info info = {.vision = {.layers = 5, .projected = true},
                                    .image_tower = MODEL_IMAGE_CONVNEXT,
                                    .convnext = {.blocks = {1, 2, 1, 1}}};
    static const char *const names[] = {"layer 1 fc", "layer 1 proj", "layer 2 qkv",
                                        "layer 2 fc", "layer 2 proj", "layer 3 fc"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        tower_name_product(name, &info, PLAN_VISION, i);
        ck_assert_str_eq(name, names[i]);
    }
}
END_TEST

/* The rows of open_clip's configurations; what an image costs, added up by hand, in 10^9. */
START_TEST(architectures_of_open_clip) {
    static const struct {
        const char *name;
        double operations;
    } rows[] = {
        {"convnext_base", 30.708}, {"convnext_large_d", 89.764}, {"convnext_xxlarge", 395.94}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct architecture a;
        ck_assert(architecture_named(&a, rows[i].name));
        const struct model_convnext *convnext = architecture_convnext(&a);
        ck_assert_ptr_nonnull(convnext);
        struct model_info info;
        architecture_info_fill(&info, &a);
        uint32_t blocks = 0;
        for (int j = 0; j < MODEL_STAGES; j++) blocks += convnext->blocks[j];
        ck_assert_uint_eq(a.vision_layers, blocks);
        ck_assert_uint_eq(a.vision_width, convnext->widths[MODEL_STAGES - 1]);
        double operations = model_image_operations(&info) / 1e9;
        ck_assert_msg(fabs(operations / rows[i].operations - 1) < 1e-3, "%s: %g", a.name,
                      operations);
    }
}
END_TEST

START_TEST(refusals) {
    static const struct {
        uint32_t size;
        enum status status;
        const char *words;
    } rows[] = {{100, STATUS_INVALID, "multiples of 32 pixels"},
                {32768, STATUS_INVALID, "up to 16384"},
                {16384, STATUS_TOO_LARGE, "images of 16384 x 16384 pixels are too large"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct model_options options = {.path = GOLDEN "mlp",
                                        .precision = "fp32",
                                        .workers = 1,
                                        .features = isa_detect(),
                                        .image_size = rows[i].size};
        struct model *model = NULL;
        struct error err = ERROR_NONE;
        ck_assert_int_eq(model_open(&model, &options, &err), rows[i].status);
        ck_assert_msg(strstr(err.message, rows[i].words), "%s", err.message);
    }
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("convnext");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, read_pictures, NULL);
    tcase_add_loop_test(tcase, features, 0, 2);
    tcase_add_loop_test(tcase, every_precision_and_kernel, 0, 2);
    tcase_add_loop_test(tcase, alone_or_among_others, 0, 2);
    tcase_add_test(tcase, calibrated);
    tcase_add_test(tcase, products_have_names);
    tcase_add_test(tcase, architectures_of_open_clip);
    tcase_add_test(tcase, refusals);
    return program_run("convnext", tcase, CK_NOFORK);
}
