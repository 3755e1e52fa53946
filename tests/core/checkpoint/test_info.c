/* The work of known towers, against counts made by hand (2 per product that is added). */
#include "core/checkpoint/info.h"

#include <check.h>

#include "tests/support/program.h"

static const struct model_info vit_b_32 = {
    .embed_dim = 512,
    .image_size = 224,
    .image_width = 224,
    .patch_size = 32,
    .vision = {.width = 768,
               .layers = 12,
               .heads = 12,
               .head_width = 64,
               .pooled_width = 768,
               .mlp_width = 3072,
               .projected = true},
    .text = {.width = 512,
             .layers = 12,
             .heads = 8,
             .head_width = 64,
             .pooled_width = 512,
             .mlp_width = 2048,
             .projected = true},
};

START_TEST(operations) {
    ck_assert_double_eq_tol(model_image_operations(&vit_b_32), 8.818e9, 1e6);
    ck_assert_double_eq_tol(model_text_operations(&vit_b_32, 77), 5.960e9, 1e6);
    ck_assert_double_eq_tol(model_text_operations(&vit_b_32, 16), 1.215e9, 1e6);
}
END_TEST

START_TEST(no_projection) {
    struct model_info info = vit_b_32;
    info.vision.projected = false;
    double less = model_image_operations(&vit_b_32) - model_image_operations(&info);
    ck_assert_double_eq_tol(less, 2.0 * 768 * 512, 1);
}
END_TEST

/* Of BERT's, all of whose rows see each other, padding is none; the projection is of two products.
 */
START_TEST(bert) {
    struct model_info info = vit_b_32;
    info.text_tower = MODEL_TEXT_ROBERTA;
    info.bidirectional = true;
    info.context_length = 77;
    double plain = model_text_operations(&vit_b_32, 16);
    ck_assert_double_eq_tol(model_text_operations(&info, 16), plain, 1);
    info.text.projection_hidden = info.text.pooled_width = 640;
    double more = 2.0 * 512 * 640 + 2.0 * 640 * 512 - 2.0 * 512 * 512;
    ck_assert_double_eq_tol(model_text_operations(&info, 16), plain + more, 1);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("info");
    tcase_add_test(tests, operations);
    tcase_add_test(tests, no_projection);
    tcase_add_test(tests, bert);
    return program_run("info", tests, CK_NOFORK);
}
