/* Calibration of the starter model, and what model_open() does with a profile, without
 * one, and with one that is not its own. */
#include "core/model/calibrate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

#define STARTER "models/starter"
enum { SIDE = 16 }; /* of its pictures: few tokens, little to wait for */

static char folder[] = "/tmp/clipd-test-XXXXXX", profile_path[64], cache[64];

static struct model_options options_of(const char *profile) {
    return (struct model_options){.path = STARTER,
                                  .precision = "int8",
                                  .image_size = SIDE,
                                  .features = isa_detect(),
                                  .workers = 2,
                                  .cache = cache,
                                  .profile = profile,
                                  .cosine_min = 0.999};
}

static size_t passes;

static void count_passes(void *context, size_t done, size_t total) {
    ck_assert_ptr_eq(context, &passes);
    ck_assert_uint_eq(done, passes + 1);
    ck_assert_uint_le(done, total);
    passes = done;
}

static enum status calibrate(struct profile *out, double target, struct error *err) {
    struct calibrate_options options = {
        .model = options_of(NULL), .target = target, .progress = count_passes, .context = &passes};
    struct calibration *calibration;
    const struct samples none = {.counts = {0}};
    passes = 0;
    ck_assert_int_eq(calibration_open(&calibration, &options, NULL), STATUS_OK);
    enum status status = calibration_run(out, calibration, &none, err);
    calibration_close(calibration);
    return status;
}

static void write_profile(const struct profile *profile) {
    struct buffer text;
    buffer_init(&text, PROFILE_SIZE_MAX);
    ck_assert_int_eq(profile_print(profile, &text, NULL), STATUS_OK);
    FILE *file = fopen(profile_path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text.data, 1, text.size, file), text.size);
    fclose(file);
    buffer_free(&text);
}

static struct model *open_model(const struct model_options *options) {
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(model_open(&model, options, &err) == STATUS_OK, "%s", err.message);
    return model;
}

static void count_file(void *context, const char *path, struct bytes file) {
    (void)path;
    (void)file;
    ++*(size_t *)context;
}

/* ---- the search ---- */

/* The more is asked for, the more exceptions there are, and each target is met. */
START_TEST(targets) {
    static const double steps[] = {0.999, 0.9999, 0.99999};
    struct profile *profile = malloc(sizeof(*profile));
    uint32_t exceptions = 0;
    struct model_info info;
    ck_assert_int_eq(model_describe(&info, STARTER, NULL), STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(calibrate(profile, steps[i], NULL), STATUS_OK);
        uint32_t found = plan_exceptions(&profile->plan, &info);
        ck_assert_double_ge(profile_cosines(profile).min, steps[i]);
        ck_assert_uint_ge(found, i ? exceptions : 3);
        ck_assert_uint_lt(found, plan_count(&info, PLAN_VISION) + plan_count(&info, PLAN_TEXT));
        ck_assert(i < 2 || found > 3);
        exceptions = found;
        const struct profile_tower *vision = &profile->towers[PLAN_VISION];
        ck_assert_uint_eq(vision->layers, info.vision.layers);
        for (uint32_t k = 0; k < vision->layers; k++) {
            ck_assert_double_gt(vision->residual[k].min, 0.999);
            ck_assert_double_le(vision->residual[k].min, 1);
        }
    }
    free(profile);
}
END_TEST

/* A cosine of 1 only fp32 has, and it may round as well. */
START_TEST(target_that_nothing_reaches) {
    struct profile *profile = malloc(sizeof(*profile));
    struct error err = ERROR_NONE;
    ck_assert_int_eq(calibrate(profile, 1.5, &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, "the target is 1.5"), "%s", err.message);
    free(profile);
}
END_TEST

/* What the profile promises is what the model does that is opened with it. */
START_TEST(profile_in_use) {
    struct profile *profile = malloc(sizeof(*profile));
    ck_assert_int_eq(calibrate(profile, 0.9999, NULL), STATUS_OK);
    write_profile(profile);
    struct model_options options = options_of(profile_path);
    struct model *model = open_model(&options);
    const struct model_quality *quality = &model_info(model)->quality;
    ck_assert(quality->measured);
    ck_assert_double_eq_tol(quality->cosines.min, profile_cosines(profile).min, 1e-8);
    ck_assert_uint_eq(quality->exceptions, plan_exceptions(&profile->plan, model_info(model)));
    options = (struct model_options){.path = STARTER,
                                     .image_size = SIDE,
                                     .precision = "fp32",
                                     .features = options.features,
                                     .workers = 1,
                                     .cosine_min = 0.999};
    struct model *reference = open_model(&options);
    ck_assert(!model_info(reference)->quality.measured);
    struct model_cosines found;
    ck_assert_int_eq(quality_measure(&found, model, reference, 1, NULL), STATUS_OK);
    ck_assert_double_eq_tol(found.min, profile_cosines(profile).min, 1e-7);
    ck_assert_double_eq_tol(found.centred_min, profile_cosines(profile).centred_min, 1e-6);
    model_close(reference);
    model_close(model);
    free(profile);
}
END_TEST

/* ---- opening ---- */

/* Measured when it is packed; later starts find the cosine in the packed file. */
START_TEST(measured_once) {
    struct model_options options = options_of(NULL);
    struct model *first = open_model(&options);
    const struct model_quality *quality = &model_info(first)->quality;
    size_t files = 0;
    ck_assert(quality->measured);
    ck_assert_double_gt(quality->cosines.min, 0.999);
    ck_assert_double_lt(quality->cosines.min, 1);
    ck_assert_uint_eq(quality->exceptions, 3);
    struct model *second = open_model(&options);
    ck_assert_uint_gt(files_each(cache, count_file, &files), 0);
    ck_assert_mem_eq(quality, &model_info(second)->quality, sizeof(*quality));
    model_close(second);
    options.cosine_min = 0; /* does not ask */
    second = open_model(&options);
    ck_assert(!model_info(second)->quality.measured);
    model_close(second);
    model_close(first);
}
END_TEST

static void expect_failure(const struct model_options *options, enum status status,
                           const char *message) {
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(model_open(&model, options, &err), status);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.message, message), "%s", err.message);
}

START_TEST(refused_below_the_limit) {
    struct model_options options = options_of(NULL);
    options.cosine_min = 0.99999;
    for (int i = 0; i < 2; i++) { /* fresh, and from the packed file */
        expect_failure(&options, STATUS_UNPROCESSABLE, "cosine_min is 0.99999; clipd quantize");
    }
    options.cache = NULL;
    expect_failure(&options, STATUS_UNPROCESSABLE, "in int8 the embeddings have a cosine of 0.99");
    struct profile *profile = malloc(sizeof(*profile));
    ck_assert_int_eq(calibrate(profile, 0.9999, NULL), STATUS_OK);
    write_profile(profile);
    options = options_of(profile_path);
    options.cosine_min = 0.99999;
    expect_failure(&options, STATUS_UNPROCESSABLE, "cosine_min is 0.99999");
    options.cosine_min = 0.9999;
    model_close(open_model(&options));
    free(profile);
}
END_TEST

/* A profile of other weights, a broken one and none; in fp32 nobody looks. */
START_TEST(wrong_profiles) {
    struct profile *profile = malloc(sizeof(*profile));
    ck_assert_int_eq(calibrate(profile, 0.999, NULL), STATUS_OK);
    profile->sha256[0] = profile->sha256[0] == '0' ? '1' : '0';
    write_profile(profile);
    struct model_options options = options_of(profile_path);
    expect_failure(&options, STATUS_CONFLICT, "the profile was made for weights with sha256");
    FILE *file = fopen(profile_path, "wb");
    fputs("{\"clipd_profile\": 1}", file);
    fclose(file);
    expect_failure(&options, STATUS_UNPROCESSABLE, profile_path);
    unlink(profile_path);
    expect_failure(&options, STATUS_NOT_FOUND, profile_path);
    options.precision = "fp32";
    model_close(open_model(&options));
    free(profile);
}
END_TEST

/* Measured with another kernel, the cosine is measured anew; the exceptions hold. */
START_TEST(profile_of_another_cpu) {
    struct profile *profile = malloc(sizeof(*profile));
    ck_assert_int_eq(calibrate(profile, 0.999, NULL), STATUS_OK);
    snprintf(profile->kernel, sizeof(profile->kernel), "int8-of-tomorrow");
    profile->towers[PLAN_VISION].total.min = 0.5;
    profile->plan.patch = MODEL_BF16;
    write_profile(profile);
    struct model_options options = options_of(profile_path);
    struct model *model = open_model(&options);
    const struct model_quality *quality = &model_info(model)->quality;
    ck_assert(quality->measured);
    ck_assert_double_gt(quality->cosines.min, 0.999);
    ck_assert_uint_eq(quality->exceptions, 4);
    model_close(model);
    free(profile);
}
END_TEST

/* The content counts, and the stale file goes. */
START_TEST(cache_follows_the_profile) {
    struct profile *profile = malloc(sizeof(*profile));
    ck_assert_int_eq(calibrate(profile, 0.999, NULL), STATUS_OK);
    write_profile(profile);
    struct model_options options = options_of(profile_path);
    model_close(open_model(&options));
    size_t before = 0, after = 0;
    files_each(cache, count_file, &before);
    profile->plan.patch = MODEL_FP32;
    write_profile(profile);
    struct model *model = open_model(&options);
    ck_assert_uint_eq(model_info(model)->quality.exceptions, 4);
    model_close(model);
    files_each(cache, count_file, &after);
    ck_assert_uint_eq(before, after);
    free(profile);
}
END_TEST

static void remove_file(void *context, const char *path, struct bytes file) {
    (void)context;
    (void)file;
    unlink(path);
}

int main(void) {
    gemm_blas_init();
    if (!mkdtemp(folder)) return 1;
    snprintf(profile_path, sizeof(profile_path), "%s/profile.json", folder);
    snprintf(cache, sizeof(cache), "%s/cache", folder);
    TCase *tests = tcase_create("calibrate");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, targets);
    tcase_add_test(tests, target_that_nothing_reaches);
    tcase_add_test(tests, profile_in_use);
    tcase_add_test(tests, measured_once);
    tcase_add_test(tests, refused_below_the_limit);
    tcase_add_test(tests, wrong_profiles);
    tcase_add_test(tests, profile_of_another_cpu);
    tcase_add_test(tests, cache_follows_the_profile);
    int failed = program_run("calibrate", tests, CK_NOFORK);
    files_each(folder, remove_file, NULL);
    rmdir(cache);
    rmdir(folder);
    return failed;
}
