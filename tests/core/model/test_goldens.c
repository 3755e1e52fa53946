/* The towers against features computed by PyTorch: every naming scheme, data type,
 * configuration form, activation and interpolation of goldens/models/tiny_vit. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/kernels/kernels.h"
#include "core/model/model.h"
#include "core/model/positions.h"
#include "core/model/safetensors.h"
#include "tests/support/npy.h"
#include "tests/support/shared.h"

#define TINY "goldens/models/tiny_vit/"

enum { PATCH = 8, EMBED_DIM = 32, WIDTH = 64 };

static const double tolerance = 5e-5;
static struct kernels kernels;

static struct npy read_npy(const char *relative) {
    char *path = shared_path(relative);
    struct npy npy;
    struct error err = ERROR_NONE;
    ck_assert_msg(npy_read(&npy, path, &err) == STATUS_OK, "%s: %s", path, err.message);
    free(path);
    return npy;
}

static struct model *open_model(const char *relative, const struct model_options *more) {
    char *path = shared_path(relative);
    struct model_options options = more ? *more : (struct model_options){0};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    options.path = path;
    options.kernels = &kernels;
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s: %s", path, err.message);
    free(path);
    return model;
}

static void check_close(const float *found, const char *expected_file) {
    struct npy expected = read_npy(expected_file);
    double worst = 0;
    for (size_t i = 0; i < expected.count; i++) {
        double difference = fabs((double)found[i] - (double)expected.floats[i]);
        if (!(difference <= worst)) worst = difference; /* NaN counts */
    }
    ck_assert_msg(worst <= tolerance, "%s differs by %g", expected_file, worst);
    npy_free(&expected);
}

/* float [count, 3, height, width] to patches as the tower takes them. */
static float *cut(const struct npy *pixels) {
    size_t height = pixels->shape[2], width = pixels->shape[3], at = 0;
    float *patches = calloc(pixels->count, sizeof(*patches));
    ck_assert_ptr_nonnull(patches);
    for (size_t i = 0; i < pixels->shape[0]; i++) {
        const float *image = pixels->floats + i * 3 * height * width;
        for (size_t row = 0; row < height; row += PATCH) {
            for (size_t column = 0; column < width; column += PATCH) {
                for (size_t j = 0; j < 3 * PATCH * PATCH; j++) {
                    size_t c = j / (PATCH * PATCH), y = j / PATCH % PATCH, x = j % PATCH;
                    patches[at++] = image[(c * height + row + y) * width + column + x];
                }
            }
        }
    }
    return patches;
}

static void check_images(const struct model *model, const char *input, const char *expected) {
    struct npy pixels = read_npy(input);
    uint32_t count = (uint32_t)pixels.shape[0];
    float *patches = cut(&pixels);
    float *out = calloc(count * (size_t)EMBED_DIM, sizeof(*out));
    float *embeddings[64];
    struct workspace *workspace;
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++) embeddings[i] = out + i * (size_t)EMBED_DIM;
    ck_assert_int_eq(workspace_create(&workspace, model, count, 1, NULL), STATUS_OK);
    model_encode_patches(model, workspace, patches, count, embeddings);
    check_close(out, expected);
    workspace_destroy(workspace);
    free(out);
    free(patches);
    npy_free(&pixels);
}

static void check_texts(const struct model *model, const char *input, const char *expected) {
    struct npy ids = read_npy(input);
    uint32_t count = (uint32_t)ids.shape[0], length = (uint32_t)ids.shape[1];
    uint32_t *tokens = calloc(ids.count, sizeof(*tokens));
    float *out = calloc(count * (size_t)EMBED_DIM, sizeof(*out));
    float *embeddings[64];
    struct model_text texts[64];
    struct workspace *workspace;
    ck_assert_uint_le(count, 64);
    for (size_t i = 0; i < ids.count; i++) tokens[i] = (uint32_t)ids.ints[i];
    for (uint32_t i = 0; i < count; i++) {
        embeddings[i] = out + i * (size_t)EMBED_DIM;
        texts[i] = (struct model_text){.ids = tokens + i * length, .count = length};
    }
    ck_assert_int_eq(workspace_create(&workspace, model, 1, count, NULL), STATUS_OK);
    model_encode_texts(model, workspace, texts, count, embeddings);
    check_close(out, expected);
    workspace_destroy(workspace);
    free(out);
    free(tokens);
    npy_free(&ids);
}

static void check_model(const char *path, const struct model_options *options, const char *prefix) {
    struct model *model = open_model(path, options);
    char images[128], texts[128];
    snprintf(images, sizeof(images), TINY "expected/%simage_features.npy", prefix);
    snprintf(texts, sizeof(texts), TINY "expected/%stext_features.npy", prefix);
    check_images(model, TINY "inputs/pixel_values.npy", images);
    check_texts(model, TINY "inputs/token_ids.npy", texts);
    check_texts(model, TINY "inputs/token_ids_hfpad.npy", texts);
    model_close(model);
}

START_TEST(every_naming_scheme_and_type) {
    if (shared_missing()) return;
    struct model_options bare = {.head_width = 32};
    check_model(TINY "openai.safetensors", &bare, "");
    check_model(TINY "hf", NULL, "");
    check_model(TINY "open_clip", NULL, "f16_weights_");
    check_model(TINY "open_clip_customtext", NULL, "f16_weights_");
    check_model(TINY "hf_f16", NULL, "f16_weights_");
    check_model(TINY "hf_bf16", NULL, "bf16_weights_");
}
END_TEST

/* A directory in /tmp with a configuration and the weights of hf/. */
static void check_config(const char *config_directory) {
    char directory[] = "/tmp/clipd-test-XXXXXX", link[64], config[64], relative[128];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(link, sizeof(link), "%s/model.safetensors", directory);
    snprintf(config, sizeof(config), "%s/config.json", directory);
    snprintf(relative, sizeof(relative), TINY "%s/config.json", config_directory);
    char *weights = shared_path(TINY "hf/model.safetensors"), *json = shared_path(relative);
    char *absolute_weights = realpath(weights, NULL), *absolute_json = realpath(json, NULL);
    ck_assert_int_eq(symlink(absolute_weights, link), 0);
    ck_assert_int_eq(symlink(absolute_json, config), 0);
    struct model_options options = {.path = directory, .kernels = &kernels};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s", err.message);
    check_images(model, TINY "inputs/pixel_values.npy", TINY "expected/image_features.npy");
    check_texts(model, TINY "inputs/token_ids.npy", TINY "expected/text_features.npy");
    model_close(model);
    unlink(link);
    unlink(config);
    rmdir(directory);
    free(weights);
    free(json);
    free(absolute_weights);
    free(absolute_json);
}

START_TEST(old_configuration_forms) {
    if (shared_missing()) return;
    check_config("hf_legacy_config");
    check_config("hf_config_dict");
}
END_TEST

START_TEST(activations) {
    if (shared_missing()) return;
    struct model_options erf = {.activation = "gelu", .head_width = 32},
                         tangent = {.activation = "gelu_tanh"};
    check_model(TINY "openai.safetensors", &erf, "gelu_");
    check_model(TINY "hf", &tangent, "gelu_pytorch_tanh_");
}
END_TEST

START_TEST(other_image_sizes) {
    if (shared_missing()) return;
    static const uint32_t sizes[] = {24, 48};
    for (size_t i = 0; i < 2; i++) {
        char input[128], hf[128], open_clip[128];
        uint32_t size = sizes[i];
        struct model_options options = {.image_size = size, .head_width = 32};
        snprintf(input, sizeof(input), TINY "inputs/pixel_values_%ux%u.npy", size, size);
        snprintf(hf, sizeof(hf), TINY "expected/interp_hf_%ux%u_image_features.npy", size, size);
        snprintf(open_clip, sizeof(open_clip),
                 TINY "expected/interp_openclip_%ux%u_image_features.npy", size, size);
        struct model *model = open_model(TINY "hf", &options);
        ck_assert_uint_eq(model_info(model)->image_size, size);
        check_images(model, input, hf);
        model_close(model);
        model = open_model(TINY "openai.safetensors", &options);
        check_images(model, input, open_clip);
        model_close(model);
    }
}
END_TEST

/* [positions] of the tiny model at 32 px: 4 x 4 patches. */
typedef void resize_fn(float *out, struct grid to, const float *in, struct grid from, size_t width);

static void check_positions(resize_fn *resize, struct grid to, const char *expected_file,
                            const float *positions) {
    float *out = calloc((1 + (size_t)to.rows * to.columns) * WIDTH, sizeof(*out));
    memcpy(out, positions, WIDTH * sizeof(*out));
    resize(out + WIDTH, to, positions + WIDTH, (struct grid){4, 4}, WIDTH);
    check_close(out, expected_file);
    free(out);
}

START_TEST(position_grids) {
    if (shared_missing()) return;
    static const struct grid grids[] = {{3, 3}, {6, 6}, {4, 6}};
    char *path = shared_path(TINY "hf/model.safetensors");
    struct file_map file;
    struct tensors tensors;
    ck_assert_int_eq(file_map_open(&file, path, NULL), STATUS_OK);
    ck_assert_int_eq(safetensors_parse(&tensors, file.bytes, NULL), STATUS_OK);
    free(path);
    float vision[17 * WIDTH], text[77 * WIDTH], shorter[32 * WIDTH];
    tensor_widen(vision,
                 tensors_find(&tensors, "vision_model.embeddings.position_embedding.weight"), 0,
                 sizeof(vision) / sizeof(vision[0]));
    tensor_widen(text, tensors_find(&tensors, "text_model.embeddings.position_embedding.weight"), 0,
                 sizeof(text) / sizeof(text[0]));
    for (size_t i = 0; i < 3; i++) {
        char hf[128], open_clip[128];
        uint32_t height = grids[i].rows * PATCH, width = grids[i].columns * PATCH;
        snprintf(hf, sizeof(hf), TINY "expected/interp_hf_%ux%u_pos.npy", height, width);
        snprintf(open_clip, sizeof(open_clip), TINY "expected/interp_openclip_%ux%u_pos.npy",
                 height, width);
        check_positions(positions_resize_hf, grids[i], hf, vision);
        check_positions(positions_resize_open_clip, grids[i], open_clip, vision);
    }
    positions_resize_linear(shorter, 32, text, 77, WIDTH);
    check_close(shorter, TINY "expected/text_pos_77_to_32_linear.npy");
    tensors_free(&tensors);
    file_map_close(&file);
}
END_TEST

int main(void) {
    kernels_init(&kernels, cpu_features());
    Suite *suite = suite_create("goldens");
    TCase *tcase = tcase_create("tiny_vit");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_naming_scheme_and_type);
    tcase_add_test(tcase, old_configuration_forms);
    tcase_add_test(tcase, activations);
    tcase_add_test(tcase, other_image_sizes);
    tcase_add_test(tcase, position_grids);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
