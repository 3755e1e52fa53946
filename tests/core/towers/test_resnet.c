/* ModifiedResNets on our own goldens (tests/golden/make_resnet_goldens.py): features in every
 * precision, by both names, at other sizes, alone and among others; what a wrong file is told;
 * and the shapes of the architectures that people have. */
#include "core/towers/resnet.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint/architecture_info.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/model/calibrate.h"
#include "core/model/model.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

#define GOLDEN "tests/golden/resnet/"

static struct tower_pictures pictures;

static void read_pictures(void) {
    tower_pictures_read(&pictures);
}

START_TEST(features) {
    static const char *const paths[] = {GOLDEN "open_clip", GOLDEN "tinyclip.safetensors"};
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    for (size_t i = 0; i < 2; i++) {
        struct model *model =
            tower_open(paths[i], &(struct model_options){.head_width = 32 * (uint32_t)i});
        const struct model_info *info = model_info(model);
        ck_assert_int_eq(info->image_tower, MODEL_IMAGE_RESNET);
        ck_assert_uint_eq(info->resnet.width, 2);
        ck_assert_uint_eq(info->vision.layers, 6);
        ck_assert_uint_eq(info->vision.heads, 2);
        ck_assert_uint_eq(info->image_size, TOWER_NATIVE);
        tower_check(model, natives, TOWER_IMAGES, GOLDEN "native.npy", 0);
        model_close(model);
    }
}
END_TEST

START_TEST(other_sizes) {
    struct model *model =
        tower_open(GOLDEN "open_clip", &(struct model_options){.image_size = TOWER_LARGE});
    const uint8_t *pixels = pictures.large;
    tower_check(model, &pixels, 1, GOLDEN "larger.npy", 0);
    model_close(model);
    model = tower_open(GOLDEN "open_clip",
                       &(struct model_options){.image_size = 32, .image_width = TOWER_LARGE});
    tower_check(model, &pixels, 1, GOLDEN "oblong.npy", 0);
    model_close(model);
}
END_TEST

START_TEST(every_precision_and_kernel) {
    tower_check_precisions(GOLDEN "open_clip", GOLDEN "native.npy", 0.995);
}
END_TEST

START_TEST(alone_or_among_others) {
    tower_check_batches(GOLDEN "open_clip");
}
END_TEST

/* A profile may leave any convolution out of int8, and what it measured holds. */
START_TEST(calibrated) {
    const struct samples none = {.counts = {0}};
    struct calibrate_options options = {
        .model = {.path = GOLDEN "open_clip", .features = isa_detect(), .workers = 2}};
    struct profile *profile = malloc(sizeof(*profile));
    struct calibration *calibration;
    ck_assert_ptr_nonnull(profile);
    ck_assert_int_eq(calibration_open(&calibration, &options, NULL), STATUS_OK);
    ck_assert_int_eq(calibration_run(profile, calibration, &none, NULL), STATUS_OK);
    double plain = profile->towers[PLAN_VISION].total.min;
    ck_assert_uint_eq(profile->towers[PLAN_VISION].layers, 6);
    calibration_close(calibration);
    options.target = 1 - (1 - plain) / 4;
    ck_assert_int_eq(calibration_open(&calibration, &options, NULL), STATUS_OK);
    const struct model_info *info = calibration_info(calibration);
    ck_assert_int_eq(calibration_run(profile, calibration, &none, NULL), STATUS_OK);
    ck_assert_double_ge(profile->towers[PLAN_VISION].total.min, options.target);
    uint32_t excepted = 0;
    for (size_t i = 0; i < plan_count(info, PLAN_VISION); i++) {
        excepted += *plan_at(&profile->plan, info, PLAN_VISION, i) != MODEL_INT8;
    }
    ck_assert_uint_gt(excepted, 1);
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_double_gt(profile->towers[PLAN_VISION].residual[i].min, 0.9);
    }
    calibration_close(calibration);
    free(profile);
}
END_TEST

static bool has_blocks(const struct model_info *info) {
    return info->resnet.blocks[0] == 2;
}

START_TEST(packed_file) {
    tower_check_packed(GOLDEN "open_clip", has_blocks, NULL);
}
END_TEST

static void save(const char *directory, const char *name, const struct buffer *content) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content->data, 1, content->size, file), content->size);
    ck_assert_int_eq(fclose(file), 0);
}

/* Writes a copy of the golden in which one name or number is another, and expects a refusal
 * with these words. */
static void check_refused(const char *from, const char *to, const struct model_options *more,
                          enum status status, const char *words) {
    struct buffer weights = files_load(GOLDEN "open_clip/open_clip_model.safetensors");
    struct buffer config = files_load(GOLDEN "open_clip/open_clip_config.json");
    char *directory = folder_make();
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_uint_eq(strlen(from), strlen(to));
    struct buffer *const both[] = {&weights, &config};
    for (size_t i = 0; i < 2 && *from; i++) {
        void *at = memmem(both[i]->data, both[i]->size, from, strlen(from));
        if (at) memcpy(at, to, strlen(to));
    }
    save(directory, "open_clip_model.safetensors", &weights);
    save(directory, "open_clip_config.json", &config);
    struct model_options options = *more;
    options.path = directory;
    options.workers = 1;
    options.features = isa_detect();
    ck_assert_int_eq(model_open(&model, &options, &err), status);
    ck_assert_msg(strstr(err.message, words), "%s", err.message);
    buffer_free(&weights);
    buffer_free(&config);
    folder_remove(directory);
}

START_TEST(refusals) {
    const struct model_options plain = {.precision = "fp32"};
    check_refused("layer1.1.conv2.weight", "layer1.1.convX.weight", &plain, STATUS_UNPROCESSABLE,
                  "tensor visual.layer1.1.conv2.weight is missing, [2, 2, 3, 3] is expected");
    check_refused("layer2.0.bn1.running_var", "layer2.0.bn1.running_xxx", &plain,
                  STATUS_UNPROCESSABLE, "layer2.0.bn1.running_var is missing, [4]");
    check_refused("\"layers\": [\n    2", "\"layers\": [\n    3", &plain, STATUS_UNPROCESSABLE,
                  "vision layers[0] 3, the weights have 2");
    check_refused("\"width\": 2", "\"width\": 4", &plain, STATUS_UNPROCESSABLE,
                  "vision width 4, the weights have 2");
    check_refused("", "", &(struct model_options){.image_size = 100}, STATUS_INVALID,
                  "multiples of 32 pixels");
    check_refused("", "", &(struct model_options){.image_size = 16384}, STATUS_TOO_LARGE,
                  "images of 16384 x 16384 pixels are too large");
}
END_TEST

/* SPEC 2's table, and what an image costs (in 10^9 operations, added up by hand). */
START_TEST(architectures_of_spec) {
    static const struct {
        const char *name;
        uint32_t channels, tokens, heads, text_width;
        double operations;
    } rows[] = {
        {"RN50", 2048, 50, 32, 512, 11.586},
        {"RN101", 2048, 50, 32, 512, 19.009},
        {"RN50x4", 2560, 82, 40, 640, 41.16},
        {"RN50x16", 3072, 145, 48, 768, 145.74},
        {"RN50x64", 4096, 197, 64, 1024, 520.25},
        {"TinyCLIP-ResNet-19M-Text-19M", 1408, 50, 22, 512, 5.482},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct architecture a;
        ck_assert(architecture_named(&a, rows[i].name));
        const struct model_resnet *resnet = architecture_resnet(&a);
        ck_assert_ptr_nonnull(resnet);
        struct model_info info;
        architecture_info_fill(&info, &a);
        uint32_t blocks = 0;
        for (int j = 0; j < MODEL_STAGES; j++) blocks += resnet->blocks[j];
        ck_assert_uint_eq(a.vision_layers, blocks + 1);
        ck_assert_uint_eq(a.vision_width, rows[i].channels);
        ck_assert_uint_eq(a.vision_width / 32, resnet->width);
        ck_assert_uint_eq(a.vision_heads, rows[i].heads);
        ck_assert_uint_eq(a.text_width, rows[i].text_width);
        ck_assert_uint_eq(model_image_tokens(&info), rows[i].tokens);
        double operations = model_image_operations(&info) / 1e9;
        ck_assert_msg(fabs(operations / rows[i].operations - 1) < 1e-3, "%s: %g", a.name,
                      operations);
    }
}
END_TEST

int main(void) {
    gemm_blas_init();

    TCase *tcase = tcase_create("resnet");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, read_pictures, NULL);
    tcase_add_test(tcase, features);
    tcase_add_test(tcase, other_sizes);
    tcase_add_test(tcase, every_precision_and_kernel);
    tcase_add_test(tcase, alone_or_among_others);
    tcase_add_test(tcase, calibrated);
    tcase_add_test(tcase, packed_file);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, architectures_of_spec);
    return program_run("resnet", tcase, CK_NOFORK);
}
