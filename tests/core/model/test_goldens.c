/* The towers against features computed by PyTorch: every naming scheme, data type,
 * configuration form, activation and interpolation of goldens/models/tiny_vit. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/checkpoint/config.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/towers/positions.h"
#include "core/towers/vision.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

#define TINY "goldens/models/tiny_vit/"

enum { PATCH = 8, WIDTH = 64, EMBED_DIM = 32 };

static const double tolerance = 5e-5;

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
    options.features = isa_detect();
    options.workers = 1;
    if (!options.precision) options.precision = "fp32";
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

/* One patch of a [3, height, width] image, from its upper left corner on. */
static float *cut_patch(float *to, const float *corner, size_t height, size_t width, size_t side) {
    for (size_t c = 0; c < 3; c++) {
        for (size_t y = 0; y < side; y++) {
            memcpy(to, corner + (c * height + y) * width, side * sizeof(*to));
            to += side;
        }
    }
    return to;
}

/* float [count, 3, height, width] to patches as the tower takes them. */
static float *cut(const struct npy *pixels, size_t side) {
    size_t height = pixels->shape[2], width = pixels->shape[3];
    float *patches = calloc(pixels->count, sizeof(*patches)), *to = patches;
    ck_assert_ptr_nonnull(patches);
    for (size_t i = 0; i < pixels->shape[0]; i++) {
        const float *image = pixels->floats + i * 3 * height * width;
        for (size_t row = 0; row < height; row += side) {
            for (size_t column = 0; column < width; column += side) {
                to = cut_patch(to, image + row * width + column, height, width, side);
            }
        }
    }
    return patches;
}

static void check_images(const struct model *model, const char *input, const char *expected) {
    struct npy pixels = read_npy(input);
    uint32_t count = (uint32_t)pixels.shape[0];
    float *patches = cut(&pixels, model_info(model)->patch_size);
    size_t dim = model_info(model)->embed_dim;
    float *out = calloc(count * dim, sizeof(*out));
    float *embeddings[64];
    const float *inputs[64];
    ck_assert_uint_le(count, 64);
    for (uint32_t i = 0; i < count; i++) {
        embeddings[i] = out + i * dim;
        inputs[i] = patches + i * (pixels.count / count);
    }
    model_encode_patches(model, 0, NULL, inputs, count, embeddings);
    check_close(out, expected);
    free(out);
    free(patches);
    npy_free(&pixels);
}

static void check_texts(const struct model *model, const char *input, const char *expected) {
    struct npy ids = read_npy(input);
    uint32_t count = (uint32_t)ids.shape[0], length = (uint32_t)ids.shape[1];
    uint32_t *tokens = calloc(ids.count, sizeof(*tokens));
    size_t dim = model_info(model)->embed_dim;
    float *out = calloc(count * dim, sizeof(*out));
    float *embeddings[64];
    struct model_text texts[64];
    ck_assert_uint_le(count, 64);
    for (size_t i = 0; i < ids.count; i++) tokens[i] = (uint32_t)ids.ints[i];
    for (uint32_t i = 0; i < count; i++) {
        embeddings[i] = out + i * dim;
        texts[i] = (struct model_text){.ids = tokens + (size_t)i * length, .count = length};
    }
    model_encode_texts(model, 0, NULL, texts, count, embeddings);
    check_close(out, expected);
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

/* What PyTorch has written: archives, the older form, training checkpoints, whole modules. */
START_TEST(every_file_form) {
    if (shared_missing()) return;
    struct model_options bare = {.head_width = 32};
    check_model(TINY "hf_sharded", NULL, "f16_weights_");
    check_model(TINY "hf_sharded/model.safetensors.index.json", &bare, "f16_weights_");
    check_model(TINY "pt/state_dict_f16.pt", &bare, "f16_weights_");
    check_model(TINY "pt/open_clip_training_ckpt_f16.pt", &bare, "f16_weights_");
    check_model(TINY "pt/legacy_nonzip_f16.pt", &bare, "f16_weights_");
    check_model(TINY "pt/pickled_module_f16.pt", &bare, "f16_weights_");
    check_model(TINY "pt/pytorch_model.bin", &bare, "f16_weights_");
}
END_TEST

/* Tensors that are views of one storage: shifted, turned, a column, of no elements. */
START_TEST(views_of_a_storage) {
    if (shared_missing()) return;
    struct npy base = read_npy(TINY "pt/views_base.npy");
    size_t rows = base.shape[0], columns = base.shape[1];
    char *path = shared_path(TINY "pt/views.pt");
    struct file_map file;
    struct tensors tensors;
    ck_assert_int_eq(file_map_open(&file, path, NULL), STATUS_OK);
    ck_assert_int_eq(weights_parse_file(&tensors, file.bytes, NULL), STATUS_OK);
    free(path);
    float part[64], turned[64], column[64], scalar;
    ck_assert_uint_le(base.count, 64);
    tensor_widen(part, tensors_find(&tensors, "a"), 0, 3 * columns);
    ck_assert_mem_eq(part, base.floats + 2 * columns, 3 * columns * sizeof(float));
    tensor_widen(turned, tensors_find(&tensors, "a_t"), 0, base.count);
    tensor_widen(column, tensors_find(&tensors, "p"), 0, rows);
    for (size_t i = 0; i < base.count; i++) {
        ck_assert_float_eq(turned[i % columns * rows + i / columns], base.floats[i]);
    }
    for (size_t i = 0; i < rows; i++) ck_assert_float_eq(column[i], base.floats[i * columns + 1]);
    tensor_widen(part, tensors_find(&tensors, "bf"), 0, base.count);
    for (size_t i = 0; i < base.count; i++) ck_assert_float_eq_tol(part[i], base.floats[i], 0.02f);
    tensor_widen(&scalar, tensors_find(&tensors, "scalar"), 0, 1);
    ck_assert_float_eq(scalar, 2.5f);
    ck_assert_uint_eq(tensors_find(&tensors, "empty")->data.size, 0);
    tensors_free(&tensors);
    file_map_close(&file);
    npy_free(&base);
}
END_TEST

/* Weights and a configuration from different places, together in a directory. */
static void check_config(const char *config, const char *name, const char *weights) {
    char directory[] = "/tmp/clipd-test-XXXXXX", weights_link[64], config_link[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(weights_link, sizeof(weights_link), "%s/any_name.safetensors", directory);
    snprintf(config_link, sizeof(config_link), "%s/%s", directory, name);
    char *weights_path = shared_path(weights), *config_path = shared_path(config);
    char *absolute_weights = realpath(weights_path, NULL);
    char *absolute_config = realpath(config_path, NULL);
    ck_assert_int_eq(symlink(absolute_weights, weights_link), 0);
    ck_assert_int_eq(symlink(absolute_config, config_link), 0);
    struct model_options options = {
        .path = directory, .features = isa_detect(), .workers = 1, .precision = "fp32"};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s", err.message);
    check_images(model, TINY "inputs/pixel_values.npy", TINY "expected/image_features.npy");
    check_texts(model, TINY "inputs/token_ids.npy", TINY "expected/text_features.npy");
    ck_assert_int_eq(model_info(model)->pooling, MODEL_POOL_ARGMAX);
    model_close(model);
    unlink(weights_link);
    unlink(config_link);
    rmdir(directory);
    free(weights_path);
    free(config_path);
    free(absolute_weights);
    free(absolute_config);
}

START_TEST(other_configurations) {
    if (shared_missing()) return;
    const char *hf = TINY "hf/model.safetensors";
    check_config(TINY "hf_legacy_config/config.json", "config.json", hf);
    check_config(TINY "hf_config_dict/config.json", "config.json", hf);
    check_config(TINY "open_clip/open_clip_config.json", "open_clip_config.json",
                 TINY "openai.safetensors");
}
END_TEST

/* OpenAI's own archive, and towers that differ a little from OpenAI's: LayerScale, the mean of
 * the patches, bidirectional texts, other pooling, a projection with bias, attention for a
 * head. */
START_TEST(variants) {
    if (shared_missing()) return;
    static const struct {
        const char *name, *file;
    } rows[] = {
        {"tiny_openai_jit", "/model.pt"},
        {"tiny_rn", ""},
        {"tiny_rn", "/openai.safetensors"},
        {"oc_eos_pool", ""},
        {"oc_gelu_mlpratio", ""},
        {"oc_layerscale", ""},
        {"oc_clipa", ""},
        {"oc_siglip_text", ""},
        {"oc_mobileclip_text", ""},
        {"hf_siglip", ""},
        {"oc_coca", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[96], input[128], expected[128];
        snprintf(path, sizeof(path), "goldens/models/%s%s", rows[i].name, rows[i].file);
        struct model *model = open_model(path, NULL);
        snprintf(path, sizeof(path), "goldens/models/%s", rows[i].name);
        snprintf(input, sizeof(input), "%s/inputs/pixel_values.npy", path);
        snprintf(expected, sizeof(expected), "%s/expected/image_features.npy", path);
        check_images(model, input, expected);
        snprintf(input, sizeof(input), "%s/inputs/token_ids.npy", path);
        snprintf(expected, sizeof(expected), "%s/expected/text_features.npy", path);
        check_texts(model, input, expected);
        model_close(model);
    }
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

START_TEST(oblong_images) {
    if (shared_missing()) return;
    struct model_options options = {.image_size = 32, .image_width = 48, .head_width = 32};
    struct model *hf = open_model(TINY "hf", &options);
    check_images(hf, TINY "inputs/pixel_values_32x48.npy",
                 TINY "expected/interp_hf_32x48_image_features.npy");
    model_close(hf);
    struct model *openai = open_model(TINY "openai.safetensors", &options);
    check_images(openai, TINY "inputs/pixel_values_32x48.npy",
                 TINY "expected/interp_openclip_32x48_image_features.npy");
    model_close(openai);
}
END_TEST

/* Bit for bit the table that torchvision's arithmetic makes. */
START_TEST(levels_of_pixels) {
    if (shared_missing()) return;
    struct npy want = read_npy("goldens/preprocess/expected/u8_to_f32_torchvision.npy");
    struct model_config config;
    struct levels levels;
    config_init(&config);
    vision_set_levels(&levels, &config.preprocess);
    ck_assert_uint_eq(want.shape[0], 3);
    ck_assert_uint_eq(want.count, sizeof(levels) / sizeof(float));
    for (size_t v = 0; v < 256; v++) {
        for (size_t c = 0; c < 3; c++) {
            ck_assert_mem_eq(&levels.value[c][v], &want.floats[c * 256 + v], sizeof(float));
        }
    }
    npy_free(&want);
}
END_TEST

START_TEST(logits) {
    if (shared_missing()) return;
    struct model *model = open_model(TINY "hf", NULL);
    struct npy images = read_npy(TINY "expected/image_features.npy");
    struct npy texts = read_npy(TINY "expected/text_features.npy");
    struct npy want = read_npy(TINY "expected/logits_per_image.npy");
    for (size_t i = 0; i < want.count; i++) {
        const float *x = images.floats + i / want.shape[1] * EMBED_DIM;
        const float *y = texts.floats + i % want.shape[1] * EMBED_DIM;
        double xy = 0, xx = 0, yy = 0;
        for (size_t c = 0; c < EMBED_DIM; c++) {
            xy += (double)x[c] * (double)y[c];
            xx += (double)x[c] * (double)x[c];
            yy += (double)y[c] * (double)y[c];
        }
        double logit = (double)model_info(model)->logit_scale * xy / sqrt(xx * yy);
        ck_assert_double_eq_tol(logit, (double)want.floats[i], 2e-4);
    }
    npy_free(&want);
    npy_free(&texts);
    npy_free(&images);
    model_close(model);
}
END_TEST

/* The token ids and embeddings that came with the starter model's training. */
START_TEST(starter_texts) {
    if (shared_missing()) return;
    char *path = shared_path("training/starter-v0/reference/expected.json");
    json_t *root = json_load_file(path, 0, NULL), *entry;
    ck_assert_ptr_nonnull(root);
    struct model *model = open_model("training/starter-v0", NULL);
    ck_assert_float_eq_tol(model_info(model)->logit_scale, 12.845542907714844f, 1e-5f);
    ck_assert_uint_eq(model_info(model)->embed_dim, 128);
    const char *name;
    json_object_foreach(json_object_get(root, "texts"), name, entry) {
        const json_t *tokens = json_object_get(entry, "tokens");
        const json_t *embedding = json_object_get(entry, "embedding");
        uint32_t ids[32];
        float out[128], *embeddings[] = {out};
        struct model_text text = {.ids = ids, .count = (uint32_t)json_array_size(tokens)};
        double square = 0;
        ck_assert_uint_le(text.count, 32);
        for (size_t i = 0; i < text.count; i++) {
            ids[i] = (uint32_t)json_integer_value(json_array_get(tokens, i));
        }
        model_encode_texts(model, 0, NULL, &text, 1, embeddings);
        for (size_t i = 0; i < 128; i++) square += (double)out[i] * (double)out[i];
        for (size_t i = 0; i < 128; i++) {
            double want = json_number_value(json_array_get(embedding, i));
            ck_assert_double_eq_tol((double)out[i] / sqrt(square), want, 5e-6);
        }
    }
    model_close(model);
    json_decref(root);
    free(path);
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("tiny_vit");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_naming_scheme_and_type);
    tcase_add_test(tcase, other_configurations);
    tcase_add_test(tcase, every_file_form);
    tcase_add_test(tcase, views_of_a_storage);
    tcase_add_test(tcase, variants);
    tcase_add_test(tcase, activations);
    tcase_add_test(tcase, other_image_sizes);
    tcase_add_test(tcase, position_grids);
    tcase_add_test(tcase, oblong_images);
    tcase_add_test(tcase, levels_of_pixels);
    tcase_add_test(tcase, logits);
    tcase_add_test(tcase, starter_texts);
    return program_run("goldens", tcase, CK_NOFORK);
}
