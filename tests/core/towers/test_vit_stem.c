/* MobileCLIP-B, a ViT that begins with convolutions, on our own golden
 * (tests/golden/make_mobileclip_goldens.py): features in every precision, at other sizes, alone and
 * among others. */
#include "core/towers/vit_stem.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/kernels/gemm.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

#define GOLDEN "tests/golden/mobileclip/b"

static struct tower_pictures pictures;

static void read_pictures(void) {
    tower_pictures_read(&pictures);
}

START_TEST(features) {
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    const uint8_t *const large = pictures.large;
    struct model *model = tower_open(GOLDEN, &(struct model_options){.precision = "fp32"});
    tower_check(model, natives, TOWER_IMAGES, GOLDEN "_native.npy", 0);
    ck_assert(model_info(model)->conv_stem);
    ck_assert_uint_eq(model_info(model)->vision.heads, 12);
    model_close(model);
    model = tower_open(GOLDEN, &(struct model_options){.image_size = TOWER_LARGE});
    tower_check(model, &large, 1, GOLDEN "_larger.npy", 0);
    model_close(model);
    model = tower_open(GOLDEN, &(struct model_options){.image_size = TOWER_NATIVE / 2,
                                                       .image_width = TOWER_LARGE});
    tower_check(model, &large, 1, GOLDEN "_oblong.npy", 0);
    model_close(model);
}
END_TEST

START_TEST(every_precision_and_kernel) {
    tower_check_precisions(GOLDEN, GOLDEN "_native.npy", 0.99);
}
END_TEST

START_TEST(alone_or_among_others) {
    tower_check_batches(GOLDEN);
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("vit_stem");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, read_pictures, NULL);
    tcase_add_test(tcase, features);
    tcase_add_test(tcase, every_precision_and_kernel);
    tcase_add_test(tcase, alone_or_among_others);
    return program_run("vit_stem", tcase, CK_NOFORK);
}
