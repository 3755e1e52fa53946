/* What is known of a model before it is loaded is what it takes afterwards. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utime.h>

#include "core/base/log.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/model/model_parts.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

#define SHARED "goldens/models/"

/* Of our own goldens first, then of the shared ones. */
static const char *const checkpoints[] = {
    "models/starter",
    "tests/golden/model/hf",
    "tests/golden/model/open_clip",
    "tests/golden/model/variant",
    "tests/golden/torch/sharded",
    "tests/golden/torch/archive.pt",
    "tests/golden/torch/vision",
    "tests/golden/torch/diffusers",
    SHARED "tiny_vit/hf",
    SHARED "tiny_rn",
    SHARED "hf_siglip",
    SHARED "oc_clipa",
    SHARED "oc_layerscale",
    SHARED "oc_siglip_text",
};
enum { CHECKPOINTS = sizeof(checkpoints) / sizeof(checkpoints[0]), WORKERS = 3 };

static struct model_options options_of(const char *path, const char *precision) {
    return (struct model_options){
        .path = path, .features = isa_detect(), .workers = WORKERS, .precision = precision};
}

START_TEST(as_measured) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    const char *checkpoint = checkpoints[_i / 3];
    bool is_shared = !strncmp(checkpoint, SHARED, strlen(SHARED));
    if (is_shared && shared_missing()) return;
    char *path = is_shared ? shared_path(checkpoint) : strdup(checkpoint);
    struct model_options options = options_of(path, precisions[_i % 3]);
    if (strstr(path, "archive.pt")) options.head_width = 8;
    struct model_needs needs;
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(!model_measure(&needs, &options, &err), "%s: %s", path, err.message);
    ck_assert_msg(!model_open(&model, &options, &err), "%s: %s", path, err.message);
    ck_assert_uint_eq(needs.bytes, model->towers.bytes +
                                       workspace_bytes(&model->towers, &model->info, WORKERS, 0));
    model_close(model);
    free(path);
}
END_TEST

/* Other files, or other options, have another identity; the same have the same. */
START_TEST(identity) {
    struct model_options options = options_of("models/starter", "fp32"), other = options;
    struct model_needs first, second;
    ck_assert_int_eq(model_measure(&first, &options, NULL), STATUS_OK);
    ck_assert_int_eq(model_measure(&second, &options, NULL), STATUS_OK);
    ck_assert_str_eq(first.identity, second.identity);
    other.image_size = 2 * 64;
    ck_assert_int_eq(model_measure(&second, &other, NULL), STATUS_OK);
    ck_assert_str_ne(first.identity, second.identity);
    ck_assert_uint_gt(second.bytes, first.bytes);
    other = options;
    other.precision = "int8";
    ck_assert_int_eq(model_measure(&second, &other, NULL), STATUS_OK);
    ck_assert_str_ne(first.identity, second.identity);
    ck_assert_uint_lt(second.bytes, first.bytes);

    char *folder = folder_make(), path[300];
    struct buffer weights = files_load("tests/golden/model/openai.safetensors");
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(weights.data, 1, weights.size, file), weights.size);
    fclose(file);
    options = options_of(path, "fp32");
    options.head_width = 8;
    ck_assert_int_eq(model_measure(&first, &options, NULL), STATUS_OK);
    ck_assert_int_eq(utime(path, &(struct utimbuf){.actime = 1, .modtime = 1}), 0);
    ck_assert_int_eq(model_measure(&second, &options, NULL), STATUS_OK);
    ck_assert_str_ne(first.identity, second.identity);
    ck_assert_uint_eq(first.bytes, second.bytes);
    buffer_free(&weights);
    folder_remove(folder);
}
END_TEST

START_TEST(what_is_not_there) {
    struct model_options options = options_of("/nonexistent", "fp32");
    struct model_needs needs;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(model_measure(&needs, &options, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent"));
    options = options_of("README.md", "fp32");
    ck_assert_int_ne(model_measure(&needs, &options, NULL), STATUS_OK);
    options = options_of("models/starter", "fp64");
    ck_assert_int_eq(model_measure(&needs, &options, NULL), STATUS_INVALID);
}
END_TEST

int main(void) {
    log_init(LOG_OFF, LOG_TEXT);
    TCase *tests = tcase_create("measure");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, as_measured, 0, 3 * CHECKPOINTS);
    tcase_add_test(tests, identity);
    tcase_add_test(tests, what_is_not_there);
    return program_run("measure", tests, CK_NOFORK);
}
