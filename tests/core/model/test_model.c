/* The whole of a model on our own goldens (made by tests/golden/make_model_goldens.py):
 * features, and what a wrong checkpoint is told. */
#include "core/model/model.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/towers/positions.h"
#include "core/weights/safetensors.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"

#define GOLDEN "tests/golden/model/"
#define TORCH "../torch/"

enum { IMAGE = 16, EMBED_DIM = 12, IMAGES = 3, TEXTS = 4, CONTEXT = 10 };

static struct npy read_npy(const char *name) {
    char path[128];
    struct npy npy;
    struct error err = ERROR_NONE;
    snprintf(path, sizeof(path), GOLDEN "%s.npy", name);
    ck_assert_msg(npy_read(&npy, path, &err) == STATUS_OK, "%s: %s", path, err.message);
    return npy;
}

static void set_defaults(struct model_options *options) {
    options->features = isa_detect();
    options->workers = 1;
    if (!options->precision) options->precision = "fp32";
}

static struct model *open_golden(const char *name, struct model_options options) {
    char path[128];
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    snprintf(path, sizeof(path), GOLDEN "%s", name);
    options.path = path;
    set_defaults(&options);
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s: %s", path, err.message);
    return model;
}

/* The golden inputs; freed by the process's end. */
static struct inputs {
    uint8_t pixels[IMAGES][IMAGE * IMAGE * 3];
    uint32_t ids[TEXTS][CONTEXT];
} inputs;

static void read_inputs(void) {
    struct npy pixels = read_npy("pixels"), ids = read_npy("ids");
    ck_assert_uint_eq(pixels.count, sizeof(inputs.pixels));
    ck_assert_uint_eq(ids.count, (size_t)TEXTS * CONTEXT);
    for (size_t i = 0; i < pixels.count; i++) {
        inputs.pixels[i / sizeof(inputs.pixels[0])][i % sizeof(inputs.pixels[0])] =
            (uint8_t)pixels.ints[i];
    }
    for (size_t i = 0; i < ids.count; i++) {
        inputs.ids[i / CONTEXT][i % CONTEXT] = (uint32_t)ids.ints[i];
    }
    npy_free(&ids);
    npy_free(&pixels);
}

static void encode(const struct model *model, float images[IMAGES][EMBED_DIM],
                   float texts[TEXTS][EMBED_DIM]) {
    const uint8_t *pixels[IMAGES];
    struct model_text batch[TEXTS];
    float *image_rows[IMAGES], *text_rows[TEXTS];
    for (size_t i = 0; i < IMAGES; i++) {
        pixels[i] = inputs.pixels[i];
        image_rows[i] = images[i];
    }
    for (size_t i = 0; i < TEXTS; i++) {
        batch[i] = (struct model_text){.ids = inputs.ids[i], .count = CONTEXT};
        text_rows[i] = texts[i];
    }
    model_encode_images(model, 0, NULL, pixels, IMAGES, image_rows);
    model_encode_texts(model, 0, NULL, batch, TEXTS, text_rows);
}

static void check_close(const float *found, const char *name) {
    struct npy expected = read_npy(name);
    double worst = 0;
    for (size_t i = 0; i < expected.count; i++) {
        double difference = fabs((double)found[i] - (double)expected.floats[i]);
        if (!(difference <= worst)) worst = difference; /* NaN counts */
    }
    ck_assert_msg(worst <= 2e-5, "%s differs by %g", name, worst);
    npy_free(&expected);
}

START_TEST(features) {
    static const struct {
        const char *path, *activation, *prefix;
        uint32_t head_width;
        enum model_naming naming;
        enum model_pooling pooling;
    } rows[] = {
        {"openai.safetensors", NULL, "f32_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {"openai.safetensors", "gelu", "f32_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {"openai.safetensors", "gelu_tanh", "f32_gelu_tanh", 8, MODEL_NAMES_OPENAI,
         MODEL_POOL_ARGMAX},
        {"open_clip", NULL, "f16_quick_gelu", 0, MODEL_NAMES_OPEN_CLIP, MODEL_POOL_ARGMAX},
        {"hf", NULL, "bf16_quick_gelu", 0, MODEL_NAMES_HF, MODEL_POOL_EOS},
        /* The same in the file forms of PyTorch, and in shards. */
        {TORCH "archive.pt", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "training.pt", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "script.pt", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "legacy.pt", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "parameters.bin", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "untyped.pth", NULL, "f16_quick_gelu", 8, MODEL_NAMES_OPENAI, MODEL_POOL_ARGMAX},
        {TORCH "sharded", NULL, "bf16_quick_gelu", 0, MODEL_NAMES_HF, MODEL_POOL_EOS},
    };
    struct model_options options = {.activation = rows[_i].activation,
                                    .head_width = rows[_i].head_width};
    struct model *model = open_golden(rows[_i].path, options);
    const struct model_info *info = model_info(model);
    float images[IMAGES][EMBED_DIM], texts[TEXTS][EMBED_DIM];
    char name[64];
    encode(model, images, texts);
    snprintf(name, sizeof(name), "%s_images", rows[_i].prefix);
    check_close(images[0], name);
    snprintf(name, sizeof(name), "%s_texts", rows[_i].prefix);
    check_close(texts[0], name);
    ck_assert_int_eq(info->naming, rows[_i].naming);
    ck_assert_int_eq(info->pooling, rows[_i].pooling);
    ck_assert_uint_eq(info->parameters, 18593);
    model_close(model);
}
END_TEST

START_TEST(information) {
    struct model *model = open_golden("hf", (struct model_options){0});
    const struct model_info *info = model_info(model);
    char sha256[SHA256_HEX_SIZE];
    struct file_map file;
    ck_assert_int_eq(file_map_open(&file, GOLDEN "hf/model.safetensors", NULL), STATUS_OK);
    sha256_hex(sha256, file.bytes);
    file_map_close(&file);
    ck_assert_str_eq(info->sha256, sha256);
    ck_assert_str_eq(info->architecture, "CLIP");
    ck_assert_uint_eq(info->embed_dim, EMBED_DIM);
    ck_assert_uint_eq(info->image_size, IMAGE);
    ck_assert_uint_eq(info->patch_size, 4);
    ck_assert_uint_eq(info->context_length, CONTEXT);
    ck_assert_uint_eq(info->vocab_size, 50);
    ck_assert_uint_eq(info->end_token, 49);
    ck_assert_uint_eq(info->vision.width, 16);
    ck_assert_uint_eq(info->vision.heads, 2);
    ck_assert_uint_eq(info->vision.layers, 2);
    ck_assert_uint_eq(info->vision.mlp_width, 40);
    ck_assert_uint_eq(info->text.width, 24);
    ck_assert_uint_eq(info->text.heads, 3);
    ck_assert_uint_eq(info->text.mlp_width, 56);
    ck_assert_int_eq(info->text.activation, MODEL_QUICK_GELU);
    ck_assert_float_eq_tol(info->logit_scale, expf(2.5f), 1e-4f);
    ck_assert_float_eq(info->logit_bias, 0);
    ck_assert_uint_eq(info->preprocess.filter, 3);
    ck_assert(info->preprocess.convert_first);
    ck_assert_str_eq(model_activation_name(MODEL_GELU_ERF), "gelu");
    model_close(model);
}
END_TEST

/* LayerScale, no ln_pre, the mean of the patches, texts without a mask whose padding counts, the
 * last row, a projection with bias: one model that has them all. */
START_TEST(variant) {
    struct model *model = open_golden("variant", (struct model_options){0});
    float images[IMAGES][EMBED_DIM], texts[TEXTS][EMBED_DIM];
    encode(model, images, texts);
    check_close(images[0], "variant_gelu_images");
    for (size_t i = 0; i < TEXTS; i++) {
        struct model_text text = {.ids = inputs.ids[i]};
        float *row = texts[i];
        while (text.ids[text.count++] != 49) {
        }
        model_encode_texts(model, 0, NULL, &text, 1, &row);
    }
    check_close(texts[0], "variant_gelu_texts");
    ck_assert_uint_eq(model_info(model)->parameters, 18593 - 32 + 12 + 4 * 16 + 4 * 24);
    model_close(model);
}
END_TEST

/* A text tower without its projection: that of the whole model, applied afterwards, gives the
 * same. In diffusers' folders. */
START_TEST(text_tower_alone) {
    struct model *model = open_golden(TORCH "diffusers", (struct model_options){0});
    ck_assert_uint_eq(model_info(model)->vision.layers, 0);
    ck_assert_uint_eq(model_info(model)->embed_dim, 24);
    ck_assert(!model_info(model)->text.projected);
    struct file_map file;
    struct tensors tensors;
    float projection[EMBED_DIM * 24], pooled[24], *row = pooled, texts[TEXTS][EMBED_DIM];
    ck_assert_int_eq(file_map_open(&file, GOLDEN "hf/model.safetensors", NULL), STATUS_OK);
    ck_assert_int_eq(safetensors_parse(&tensors, file.bytes, NULL), STATUS_OK);
    tensor_widen(projection, tensors_find(&tensors, "text_projection.weight"), 0,
                 sizeof(projection) / sizeof(projection[0]));
    for (size_t i = 0; i < TEXTS; i++) {
        struct model_text text = {.ids = inputs.ids[i], .count = CONTEXT};
        model_encode_texts(model, 0, NULL, &text, 1, &row);
        for (size_t j = 0; j < EMBED_DIM; j++) {
            texts[i][j] = 0;
            for (size_t k = 0; k < 24; k++) texts[i][j] += projection[j * 24 + k] * pooled[k];
        }
    }
    check_close(texts[0], "bf16_quick_gelu_texts");
    tensors_free(&tensors);
    file_map_close(&file);
    model_close(model);
}
END_TEST

START_TEST(image_tower_alone) {
    struct model *model = open_golden(TORCH "vision", (struct model_options){0});
    float images[IMAGES][EMBED_DIM], *rows[IMAGES];
    const uint8_t *pixels[IMAGES];
    for (size_t i = 0; i < IMAGES; i++) {
        pixels[i] = inputs.pixels[i];
        rows[i] = images[i];
    }
    ck_assert_uint_eq(model_info(model)->text.layers, 0);
    model_encode_images(model, 0, NULL, pixels, IMAGES, rows);
    check_close(images[0], "bf16_quick_gelu_images");
    model_close(model);
}
END_TEST

/* What stands behind the end token, or is not there at all, changes nothing. */
START_TEST(padding_is_not_computed) {
    struct model *model = open_golden("hf", (struct model_options){0});
    float with[EMBED_DIM], without[EMBED_DIM], *row = with;
    uint32_t ids[CONTEXT];
    memcpy(ids, inputs.ids[1], sizeof(ids));
    for (size_t i = 5; i < CONTEXT; i++) ids[i] = 49;
    model_encode_texts(model, 0, NULL, &(struct model_text){ids, CONTEXT}, 1, &row);
    row = without;
    model_encode_texts(model, 0, NULL, &(struct model_text){ids, 5}, 1, &row);
    ck_assert_mem_eq(with, without, sizeof(with));
    model_close(model);
}
END_TEST

/* ---- other sizes ---- */

/* An image of 18 pixels has the same 4 x 4 patches: the last two columns and rows are
 * left over. */
START_TEST(size_that_is_no_multiple_of_the_patch) {
    struct model *plain = open_golden("open_clip", (struct model_options){0});
    struct model *larger = open_golden("open_clip", (struct model_options){.image_size = 18});
    uint8_t pixels[18 * 18 * 3];
    memset(pixels, 77, sizeof(pixels));
    for (size_t y = 0; y < IMAGE; y++) {
        memcpy(pixels + y * 18 * 3, inputs.pixels[0] + y * IMAGE * 3, (size_t)IMAGE * 3);
    }
    float want[EMBED_DIM], got[EMBED_DIM], *rows[] = {want, got};
    const uint8_t *images[] = {inputs.pixels[0], pixels};
    model_encode_images(plain, 0, NULL, images, 1, rows);
    model_encode_images(larger, 0, NULL, images + 1, 1, rows + 1);
    ck_assert_uint_eq(model_info(larger)->image_size, 18);
    ck_assert_mem_eq(want, got, sizeof(want));
    model_close(larger);
    model_close(plain);
}
END_TEST

typedef void resize_fn(float *out, struct grid to, const float *in, struct grid from, size_t width);

static void check_positions(const float *stored, resize_fn *resize, uint32_t side,
                            const char *name) {
    float out[36 * 16];
    resize(out, (struct grid){side, side}, stored + 16, (struct grid){4, 4}, 16);
    check_close(out, name);
}

START_TEST(positions) {
    struct file_map file;
    struct tensors tensors;
    float stored[17 * 16], line[CONTEXT * 16];
    ck_assert_int_eq(file_map_open(&file, GOLDEN "openai.safetensors", NULL), STATUS_OK);
    ck_assert_int_eq(safetensors_parse(&tensors, file.bytes, NULL), STATUS_OK);
    tensor_widen(stored, tensors_find(&tensors, "visual.positional_embedding"), 0,
                 sizeof(stored) / sizeof(stored[0]));
    check_positions(stored, positions_resize_open_clip, 3, "positions_open_clip_3");
    check_positions(stored, positions_resize_open_clip, 6, "positions_open_clip_6");
    check_positions(stored, positions_resize_hf, 3, "positions_hf_3");
    check_positions(stored, positions_resize_hf, 6, "positions_hf_6");
    positions_resize_linear(line, 4, stored, 4, 16);
    ck_assert_mem_eq(line, stored, sizeof(float[4][16]));
    positions_resize_linear(line, 2, stored, 4, 16);
    for (size_t c = 0; c < 16; c++) {
        ck_assert_float_eq_tol(line[c], (stored[c] + stored[16 + c]) / 2, 1e-6f);
    }
    tensors_free(&tensors);
    file_map_close(&file);
}
END_TEST

/* ---- what is wrong with a checkpoint ---- */

static char folder[] = "/tmp/clipd-test-XXXXXX";

static void write_file(const char *name, const void *data, size_t size) {
    char *path = file_join(folder, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, size, out), size);
    fclose(out);
    free(path);
}

/* Copies a golden file, the first `from` replaced by `to` of the same length. */
static void write_edited(const char *golden, const char *name, const char *from, const char *to) {
    struct buffer text;
    char path[128];
    buffer_init(&text, 1 << 20);
    snprintf(path, sizeof(path), GOLDEN "%s", golden);
    ck_assert_int_eq(file_read(&text, path, NULL), STATUS_OK);
    char *at = memmem(text.data, text.size, from, strlen(from));
    ck_assert_msg(at, "%s is not in %s", from, path);
    ck_assert_uint_eq(strlen(from), strlen(to));
    for (size_t i = 0; to[i]; i++) at[i] = to[i];
    write_file(name, text.data, text.size);
    buffer_free(&text);
}

static void remove_file(const char *name) {
    char *path = file_join(folder, name);
    unlink(path);
    free(path);
}

static struct error open_fails(const char *path, struct model_options options) {
    struct error err = ERROR_NONE;
    struct model *model = NULL;
    options.path = path;
    set_defaults(&options);
    enum status status = model_open(&model, &options, &err);
    ck_assert_msg(status, "%s should not open", path);
    ck_assert_int_eq(status, err.status);
    ck_assert_ptr_null(model);
    return err;
}

START_TEST(wrong_tensors) {
    static const struct {
        const char *from, *to;
        enum status status;
        const char *message;
    } rows[] = {
        {"resblocks.1.ln_2.bias", "resblocks.1.ln_x.bias", STATUS_UNPROCESSABLE,
         "tensor transformer.resblocks.1.ln_2.bias is missing, [24] is expected"},
        {"\"shape\":[16,3,4,4]", "\"shape\":[16,3,2,8]", STATUS_UNPROCESSABLE,
         "patches of 2 x 8 pixels are not square"},
        {"\"shape\":[16,3,4,4]", "\"shape\":[16,4,3,4]", STATUS_UNPROCESSABLE,
         "tensor visual.conv1.weight has shape [16, 4, 3, 4], [16, 3, any, any] is expected"},
        {"\"shape\":[72,24]", "\"shape\":[24,72]", STATUS_UNPROCESSABLE,
         "tensor transformer.resblocks.0.attn.in_proj_weight has shape [24, 72], [72, 24] is "
         "expected"},
        {"\"shape\":[17,16]", "\"shape\":[34, 8]", STATUS_UNPROCESSABLE,
         "tensor visual.positional_embedding has shape [34, 8], [any, 16] is expected"},
        {"\"dtype\":\"F32\",\"shape\":[24,56]", "\"dtype\":\"I32\",\"shape\":[24,56]",
         STATUS_UNSUPPORTED,
         "tensor transformer.resblocks.0.mlp.c_proj.weight has type I32, F32, F16 or BF16 is "
         "expected"},
        {"logit_scale", "visual.lsca", STATUS_UNSUPPORTED,
         "tensor visual.lsca is no part of a plain CLIP tower: this variant is not supported"},
        {"\"text_projection\"", "\"text_pr0jection\"", STATUS_UNPROCESSABLE,
         "tensor text_projection is missing, [24, 12] is expected"},
        {"visual.positional_embedding", "text.transformer.layers.xxx", STATUS_UNSUPPORTED,
         "tensors text.transformer.layers.*: a CLIP with an NLLB text tower is not supported; "
         "supported are CLIP with ViT"},
    };
    char path[64];
    write_edited("openai.safetensors", "edited.safetensors", rows[_i].from, rows[_i].to);
    snprintf(path, sizeof(path), "%s/edited.safetensors", folder);
    struct error err = open_fails(path, (struct model_options){.head_width = 8});
    ck_assert_int_eq(err.status, rows[_i].status);
    ck_assert_msg(!strncmp(err.message, rows[_i].message, strlen(rows[_i].message)), "%s",
                  err.message);
    remove_file("edited.safetensors");
}
END_TEST

START_TEST(configuration_that_disagrees) {
    static const struct {
        const char *file, *from, *to, *message;
    } rows[] = {
        {"config.json", "\"hidden_size\": 24", "\"hidden_size\": 32",
         "the configuration says text width 32, the weights have 24"},
        {"config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
         "the configuration says text layers 3, the weights have 2"},
        {"config.json", "\"intermediate_size\": 56", "\"intermediate_size\": 64",
         "tensor text_model.encoder.layers.0.mlp.fc1.weight has shape [56, 24], [64, 24] is "
         "expected"},
        {"config.json", "\"num_attention_heads\": 3", "\"num_attention_heads\": 5",
         "a text tower of width 24 cannot have 5 heads, which must divide it"},
        {"config.json", "\"vocab_size\": 50", "\"vocab_size\": 51",
         "the configuration says vocabulary size 51, the weights have 50"},
        {"config.json", "\"max_position_embeddings\": 10", "\"max_position_embeddings\": 11",
         "the configuration says context length 11, the weights have 10"},
        {"config.json", "\"projection_dim\": 12", "\"projection_dim\": 16",
         "the configuration says embed_dim 16, the weights have 12"},
        {"config.json", "\"image_size\": 16", "\"image_size\": 20",
         "config.json says image size 20, the weights are for 16"},
        {"config.json", "\"patch_size\": 4", "\"patch_size\": 8",
         "the configuration says patch size 8, the weights have 4"},
        {"preprocessor_config.json", "\"height\": 16,\n  \"width\": 16",
         "\"height\": 32,\n  \"width\": 32",
         "the configuration makes images of 32 pixels, the model takes 16"},
        {"preprocessor_config.json", "0.26862954", "0.00000000",
         "a standard deviation of 0; one above 0 is expected"},
    };
    const char *const names[] = {"config.json", "preprocessor_config.json", "model.safetensors"};
    for (size_t i = 0; i < 3; i++) {
        char golden[64];
        bool edited = !strcmp(names[i], rows[_i].file);
        snprintf(golden, sizeof(golden), "hf/%s", names[i]);
        write_edited(golden, names[i], edited ? rows[_i].from : "", edited ? rows[_i].to : "");
    }
    struct error err = open_fails(folder, (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_UNPROCESSABLE);
    ck_assert_str_eq(err.message, rows[_i].message);
    for (size_t i = 0; i < 3; i++) remove_file(names[i]);
}
END_TEST

START_TEST(files_that_are_not_there) {
    struct error err = open_fails("/nonexistent", (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_NOT_FOUND);
    err = open_fails(folder, (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "has no weights"));
    write_file("pytorch_model.bin", "PK", 2);
    err = open_fails(folder, (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "expected beside pytorch_model.bin"));
    remove_file("pytorch_model.bin");
    write_edited("openai.safetensors", "a.safetensors", "", "");
    err = open_fails(folder, (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "has no configuration"));
    write_edited("openai.safetensors", "b.safetensors", "", "");
    err = open_fails(folder, (struct model_options){0});
    ck_assert_ptr_nonnull(strstr(err.message, "has no weights"));
    remove_file("a.safetensors");
    remove_file("b.safetensors");
    write_file("cut.safetensors", "1234567", 7);
    char path[64];
    snprintf(path, sizeof(path), "%s/cut.safetensors", folder);
    err = open_fails(path, (struct model_options){0});
    ck_assert_int_eq(err.status, STATUS_UNPROCESSABLE);
    remove_file("cut.safetensors");
}
END_TEST

START_TEST(wrong_options) {
    static const struct {
        struct model_options options;
        const char *message;
    } rows[] = {
        {{.activation = "relu"}, "activation \"relu\" is not one of quick_gelu, gelu, gelu_tanh"},
        {{.head_width = 5}, "a vision tower of width 16 cannot have 3 heads, which must divide it"},
        {{.head_width = 17},
         "a vision tower of width 16 cannot have 0 heads, which must divide it"},
        {{.precision = "fp16"}, "precision \"fp16\" is not one of fp32, bf16, int8"},
        {{.image_size = 3, .head_width = 8},
         "image size 3 makes 0 patches of 4 pixels a side, 1 to 512 are expected"},
        {{.image_size = 2052, .head_width = 8},
         "image size 2052 makes 513 patches of 4 pixels a side, 1 to 512 are expected"},
    };
    struct error err = open_fails(GOLDEN "openai.safetensors", rows[_i].options);
    ck_assert_str_eq(err.message, rows[_i].message);
}
END_TEST

int main(void) {
    gemm_blas_init();
    if (!mkdtemp(folder)) return 1;
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, read_inputs, NULL);
    tcase_add_loop_test(tests, features, 0, 12);
    tcase_add_test(tests, information);
    tcase_add_test(tests, variant);
    tcase_add_test(tests, text_tower_alone);
    tcase_add_test(tests, image_tower_alone);
    tcase_add_test(tests, padding_is_not_computed);
    tcase_add_test(tests, size_that_is_no_multiple_of_the_patch);
    tcase_add_test(tests, positions);
    tcase_add_loop_test(tests, wrong_tensors, 0, 9);
    tcase_add_loop_test(tests, configuration_that_disagrees, 0, 11);
    tcase_add_test(tests, files_that_are_not_there);
    tcase_add_loop_test(tests, wrong_options, 0, 6);
    int failed = program_run("model", tests, CK_NOFORK);
    rmdir(folder);
    return failed;
}
