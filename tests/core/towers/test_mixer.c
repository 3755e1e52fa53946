/* MobileCLIP in the names and the form of file that Apple published it in, on our own goldens
 * (tests/golden/make_apple_goldens.py): a FastViT with texts whose first and last layer are
 * convolutions over tokens, with branches as they were trained and made one, and a ViT that begins
 * with convolutions. Features in every precision, alone and among others, with Apple's
 * configuration and without; and what a wrong file is told. */
#include "core/towers/mixer.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/towers/plan.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

#define GOLDEN "tests/golden/apple/"

enum { KINDS = 3, TEXTS_MAX = 5, CONTEXT_MAX = 24, MANY = 100 };

static const struct {
    const char *name, *file, *ids;
    uint32_t head_width; /* where no configuration says how many heads */
} kinds[KINDS] = {
    {"s0", "mobileclip_s0.pt", GOLDEN "ids.npy", 8},
    {"merged", "mobileclip_s0.pt", GOLDEN "ids.npy", 8},
    {"b", "mobileclip_b.pt", "tests/golden/model/ids.npy", 4},
};

static struct tower_pictures pictures;

static void read_pictures(void) {
    tower_pictures_read(&pictures);
}

static struct npy read_npy(const char *path) {
    struct npy npy;
    struct error err = ERROR_NONE;
    ck_assert_msg(npy_read(&npy, path, &err) == STATUS_OK, "%s: %s", path, err.message);
    return npy;
}

/* The golden texts, without the padding, which is the model's. */
struct texts {
    uint32_t ids[TEXTS_MAX][CONTEXT_MAX];
    struct model_text list[TEXTS_MAX];
    uint32_t count;
};

static void read_texts(struct texts *out, const char *path) {
    struct npy ids = read_npy(path);
    size_t length = ids.shape[1];
    ck_assert_uint_le(ids.shape[0], TEXTS_MAX);
    ck_assert_uint_le(length, CONTEXT_MAX);
    out->count = (uint32_t)ids.shape[0];
    for (size_t i = 0; i < out->count; i++) {
        out->list[i] = (struct model_text){.ids = out->ids[i]};
        for (size_t j = 0; j < length; j++) {
            out->ids[i][j] = (uint32_t)ids.ints[i * length + j];
            if (out->ids[i][j]) out->list[i].count = (uint32_t)j + 1;
        }
    }
    npy_free(&ids);
}

/* `least` 0: the numbers themselves, else their cosines. */
static void check_texts(const struct model *model, size_t kind, double least) {
    char path[96];
    struct texts texts;
    float out[TEXTS_MAX][TOWER_DIM], *rows[TEXTS_MAX];
    snprintf(path, sizeof(path), GOLDEN "%s_texts.npy", kinds[kind].name);
    struct npy expected = read_npy(path);
    read_texts(&texts, kinds[kind].ids);
    ck_assert_uint_eq(expected.count, (size_t)texts.count * TOWER_DIM);
    for (size_t i = 0; i < texts.count; i++) rows[i] = out[i];
    model_encode_texts(model, 0, NULL, texts.list, texts.count, rows);
    for (size_t i = 0; i < texts.count; i++) {
        const float *row = expected.floats + i * TOWER_DIM;
        double xy = 0, xx = 0, yy = 0, worst = 0;
        for (size_t j = 0; j < TOWER_DIM; j++) {
            double x = (double)out[i][j], y = (double)row[j], difference = fabs(x - y);
            if (!(difference <= worst)) worst = difference; /* NaN counts */
            xy += x * y;
            xx += x * x;
            yy += y * y;
        }
        ck_assert_msg(least > 0 || worst <= 2e-5, "%s %zu differs by %g", path, i, worst);
        double found = xy / sqrt(xx * yy);
        ck_assert_msg(found >= least, "%s %zu has a cosine of %g", path, i, found);
    }
    npy_free(&expected);
}

static void check_images(const char *path, size_t kind, const struct model_options *more) {
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    const uint8_t *const large = pictures.large;
    const struct {
        const char *name;
        uint32_t height, width;
    } sizes[] = {{"native", TOWER_NATIVE, 0},
                 {"larger", TOWER_LARGE, 0},
                 {"oblong", TOWER_NATIVE / 2, TOWER_LARGE}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char expected[96];
        struct model_options options = *more;
        options.image_size = sizes[i].height;
        options.image_width = sizes[i].width;
        snprintf(expected, sizeof(expected), GOLDEN "%s_%s.npy", kinds[kind].name, sizes[i].name);
        struct model *model = tower_open(path, &options);
        tower_check(model, i ? &large : natives, i ? 1 : TOWER_IMAGES, expected, 0);
        model_close(model);
    }
}

START_TEST(features) {
    char path[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i].name);
    check_images(path, (size_t)_i, &(struct model_options){.precision = "fp32"});
    struct model *model = tower_open(path, &(struct model_options){.precision = "fp32"});
    const struct model_info *info = model_info(model);
    bool vit = _i == 2;
    check_texts(model, (size_t)_i, 0);
    ck_assert_uint_eq(info->image_size, TOWER_NATIVE);
    ck_assert_uint_eq(info->text.layers, vit ? 1 : 4);
    ck_assert_uint_eq(info->text.token_window, vit ? 0 : 11);
    ck_assert_uint_eq(info->text.mlp_width, 64);
    ck_assert(info->conv_stem == vit);
    ck_assert(info->bidirectional != vit);
    ck_assert_float_eq(info->vision.layer_norm_eps, 1e-5f);
    ck_assert_int_eq(info->text.activation, MODEL_GELU_ERF);
    ck_assert_uint_eq(info->preprocess.filter, 2);
    ck_assert_float_eq(info->preprocess.mean[1], 0);
    ck_assert_float_eq(info->preprocess.std[2], 1);
    ck_assert(!info->preprocess.convert_first);
    /* Apple's loader allows no more than 100; s0 has exp(5). */
    ck_assert_float_eq(info->logit_scale, _i ? expf(2.5f) : 100);
    model_close(model);
}
END_TEST

/* The file alone tells the same, but for images' sizes and heads, which are those of the real
 * models. */
START_TEST(without_configuration) {
    char path[96];
    struct model_options options = {.head_width = kinds[_i].head_width};
    snprintf(path, sizeof(path), GOLDEN "%s/%s", kinds[_i].name, kinds[_i].file);
    check_images(path, (size_t)_i, &options);
    struct model *model = tower_open(path, &options);
    const struct model_info *info = model_info(model);
    check_texts(model, (size_t)_i, 0);
    ck_assert_uint_eq(info->image_size, _i == 2 ? TOWER_NATIVE : 256);
    ck_assert_uint_eq(info->preprocess.filter, 2);
    ck_assert_float_eq(info->preprocess.std[0], 1);
    model_close(model);
    options.activation = "quick_gelu"; /* who says so is believed */
    model = tower_open(path, &options);
    ck_assert_int_eq(model_info(model)->text.activation, MODEL_QUICK_GELU);
    model_close(model);
}
END_TEST

START_TEST(every_precision_and_kernel) {
    static const char *const caps[] = {"generic", "avx2", "all"};
    static const struct {
        const char *precision;
        double least;
    } rows[] = {{"fp32", 0}, {"bf16", 0.9995}, {"int8", 0.99}};
    char path[96], expected[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i].name);
    snprintf(expected, sizeof(expected), GOLDEN "%s_native.npy", kinds[_i].name);
    tower_check_precisions(path, expected, 0.99);
    for (size_t i = 0; i < 9; i++) {
        struct model_options options = {.precision = rows[i % 3].precision};
        options.features = isa_detect();
        ck_assert(!isa_cap(&options.features, caps[i / 3], NULL));
        struct model *model = tower_open(path, &options);
        check_texts(model, (size_t)_i, rows[i % 3].least);
        model_close(model);
    }
}
END_TEST

/* More texts than go through in one pass, each as if it were alone, bit for bit. */
START_TEST(alone_or_among_others) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    char path[96];
    struct texts texts;
    struct model_text many[MANY];
    float *all = calloc((size_t)MANY * TOWER_DIM, sizeof(*all)), *rows[MANY];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i].name);
    tower_check_batches(path);
    read_texts(&texts, kinds[_i].ids);
    for (size_t i = 0; i < MANY; i++) {
        many[i] = texts.list[i % texts.count];
        rows[i] = all + i * TOWER_DIM;
    }
    for (size_t i = 0; i < 3; i++) {
        struct model *model = tower_open(path, &(struct model_options){.precision = precisions[i]});
        model_encode_texts(model, 0, NULL, many, MANY, rows);
        for (size_t j = 0; j < MANY; j++) {
            float alone[TOWER_DIM], *row = alone;
            model_encode_texts(model, 0, NULL, &many[j], 1, &row);
            ck_assert_mem_eq(alone, rows[j], sizeof(alone));
        }
        model_close(model);
    }
    free(all);
}
END_TEST

START_TEST(calibrated) {
    /* As the FastViT of test_fastvit.c. */
    tower_check_calibrated(GOLDEN "s0", 3 + 2 * 4 + 4 * 2 + 2);
}
END_TEST

static bool looks_at_tokens(const struct model_info *info) {
    return info->text.token_window == 11;
}

START_TEST(packed_file) {
    struct texts texts;
    read_texts(&texts, kinds[0].ids);
    tower_check_packed(GOLDEN "s0", looks_at_tokens, &texts.list[1]);
}
END_TEST

/* Convolutions have no product for queries, keys and values. */
START_TEST(products_have_names) {
    struct model *model = tower_open(GOLDEN "s0", &(struct model_options){.precision = "fp32"});
    const struct model_info *info = model_info(model);
    static const char *const names[] = {"layer 1 fc", "layer 1 proj", "layer 2 qkv", "layer 2 out",
                                        "layer 2 fc", "layer 2 proj", "layer 3 qkv", "layer 3 out",
                                        "layer 3 fc", "layer 3 proj", "layer 4 fc",  "layer 4 proj",
                                        "projection"};
    ck_assert_uint_eq(plan_count(info, PLAN_TEXT), sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        tower_name_product(name, info, PLAN_TEXT, i);
        ck_assert_str_eq(name, names[i]);
    }
    /* By hand: two windows and an MLP in each of two layers, two layers that attend, the last
     * product. */
    double mlp = 2.0 * 24 * 16 * 2 * 64, windows = 2 * 2.0 * 24 * 16 * 11;
    double attention = 2.0 * 24 * 16 * 4 * 16 + 4.0 * 24 * 24 * 16;
    double work = 4 * mlp + 2 * windows + 2 * attention + 2 * 16 * 12;
    ck_assert_double_eq_tol(model_text_operations(info, 7), work, 0.5);
    model_close(model);
}
END_TEST

/* The real size, of random weights. */
START_TEST(mobileclip_s0) {
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    struct model_options options = {.architecture = "MobileCLIP-S0",
                                    .precision = "int8",
                                    .workers = 1,
                                    .features = isa_detect()};
    const uint32_t ids[] = {49406, 320, 1125, 49407};
    const struct model_text text = {.ids = ids, .count = 4};
    float row[512], *rows[] = {row};
    ck_assert_msg(!model_open(&model, &options, &err), "%s", err.message);
    const struct model_info *info = model_info(model);
    ck_assert_uint_eq(info->text.token_window, 11);
    ck_assert_uint_eq(model_tower_layer(&info->text, 5).heads, 0);
    ck_assert_uint_eq(model_tower_layer(&info->text, 4).heads, 8);
    model_encode_texts(model, 0, NULL, &text, 1, rows);
    double length = 0;
    for (size_t i = 0; i < 512; i++) length += (double)row[i] * (double)row[i];
    ck_assert(length > 1e-3 && isfinite(length));
    model_close(model);
}
END_TEST

static void write_file(const char *path, struct bytes content) {
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content.data, 1, content.size, file), content.size);
    ck_assert_int_eq(fclose(file), 0);
}

/* Opens a copy of a golden in which one text is another, wherever it stands, and expects a
 * refusal. */
static void check_refused(size_t kind, const char *from, const char *to, enum status status,
                          const char *words) {
    const char *const files[] = {kinds[kind].file, "config.json"};
    char *directory = folder_make();
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    bool found = false;
    ck_assert_uint_eq(strlen(from), strlen(to));
    for (size_t i = 0; i < 2; i++) {
        char path[160];
        snprintf(path, sizeof(path), GOLDEN "%s/%s", kinds[kind].name, files[i]);
        struct buffer content = files_load(path);
        void *at;
        while ((at = memmem(content.data, content.size, from, strlen(from)))) {
            memcpy(at, to, strlen(to));
            found = true;
        }
        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        write_file(path, buffer_view(&content));
        buffer_free(&content);
    }
    ck_assert_msg(found, "%s", from);
    struct model_options options = {
        .path = directory, .precision = "fp32", .workers = 1, .features = isa_detect()};
    ck_assert_int_eq(model_open(&model, &options, &err), status);
    ck_assert_msg(strstr(err.message, words), "%s", err.message);
    folder_remove(directory);
}

START_TEST(refused_files) {
    static const struct {
        size_t kind;
        const char *from, *to;
        enum status status;
        const char *words;
    } rows[] = {
        {0, "text_encoder.transformer.0.token_mixer.mixer.rbr_conv.0.conv.weight",
         "text_encoder.transformer.0.token_mixer.mixer.rbr_conv.0.conX.weight",
         STATUS_UNPROCESSABLE,
         "tensor text_encoder.transformer.0.token_mixer.mixer.rbr_conv.0.conv.weight is missing, "
         "[16, 1, 1, 11] is expected"},
        {0, "text_encoder.transformer.0.token_mixer.layer_scale",
         "text_encoder.transformer.0.token_mixer.layer_scalX", STATUS_UNPROCESSABLE,
         "token_mixer.layer_scale is missing, [16, 1, 1]"},
        {0, "text_encoder.transformer.3.convffn.fc2.bias",
         "text_encoder.transformer.3.convffn.fc2.biaX", STATUS_UNPROCESSABLE,
         "convffn.fc2.bias is missing, [16]"},
        {0, "text_encoder.transformer.2.pre_norm_ffn.4.weight",
         "text_encoder.transformer.2.pre_norm_ffn.5.weight", STATUS_UNPROCESSABLE,
         "transformer.2.pre_norm_ffn.4.weight is missing, [16, 64]"},
        {0, "text_encoder.projection_layer", "text_encoder.projection_layeX", STATUS_UNPROCESSABLE,
         "tensor text_encoder.projection_layer is missing, [16, 12] is expected"},
        {0, "image_encoder.model.network.3.proj.0.lkb_origin.conv.weight",
         "image_encoder.model.network.3.proj.0.lkb_oriXin.conv.weight", STATUS_UNPROCESSABLE,
         "network.3.proj.0.lkb_origin.conv.weight is missing, [16, 1, 7, 7]"},
        {0, "image_encoder.model.network.6.pe.weight", "image_encoder.model.network.6.pX.weight",
         STATUS_UNPROCESSABLE, "network.6.pe.weight is missing, [32, 1, 7, 7]"},
        {0, "image_encoder.model.conv_exp.se.expand.bias",
         "image_encoder.model.conv_exp.se.expanX.bias", STATUS_UNPROCESSABLE,
         "conv_exp.se.expand.bias is missing, [64]"},
        {0, "image_encoder.model.head.proj", "image_encoder.model.head.proX", STATUS_UNPROCESSABLE,
         "image_encoder.model.head.proj is missing, [64, 12]"},
        {0, "image_encoder.model.patch_embed.0.rbr_conv.0.bn.num_batches_tracked",
         "image_encoder.model.patch_embed.0.rbr_conv.0.bn.num_batches_trackeX", STATUS_UNSUPPORTED,
         "is no part of a plain CLIP tower"},
        /* Shapes in a pickle. */
        {0, "K\x10K\x0c\x86", "K\x0fK\x0c\x86", STATUS_UNPROCESSABLE,
         "tensor text_encoder.projection_layer has shape [15, 12], [16, 12] is expected"},
        {0, "(K\x10K\x01K\x01K\x0bt", "(K\x10K\x01K\x01K\x0at", STATUS_UNSUPPORTED,
         "a convolution over 10 tokens: odd numbers up to 255"},
        {0, "\"mci0\"", "\"mci3\"", STATUS_UNSUPPORTED, "image_cfg.model_name is \"mci3\""},
        {0, "\"mct\"", "\"mcX\"", STATUS_UNSUPPORTED, "text_cfg.model_name is \"mcX\""},
        {0, "\"causal_masking\": false", "\"causal_masking\": true ", STATUS_UNSUPPORTED,
         "whose attention is causal"},
        {0, "\"n_transformer_layers\": 2", "\"n_transformer_layers\": 3", STATUS_UNPROCESSABLE,
         "text layers 5, the weights have 4"},
        {0, "\"dim\": 16", "\"dim\": 17", STATUS_UNPROCESSABLE,
         "text width 17, the weights have 16"},
        {0, "\"embed_dim\": 12", "\"embed_dim\": 13", STATUS_UNPROCESSABLE, "[64, 13] is expected"},
        {1, "image_encoder.model.network.1.proj.0.lkb_reparam.bias",
         "image_encoder.model.network.1.proj.0.lkb_reparam.biaX", STATUS_UNPROCESSABLE,
         "network.1.proj.0.lkb_reparam.bias is missing, [8]"},
        {1, "text_encoder.transformer.3.token_mixer.reparam_conv.bias",
         "text_encoder.transformer.3.token_mixer.reparam_conv.biaX", STATUS_UNPROCESSABLE,
         "token_mixer.reparam_conv.bias is missing, [16]"},
        {2, "image_encoder.model.patch_emb.1.block.norm.running_var",
         "image_encoder.model.patch_emb.1.block.norm.running_vaX", STATUS_UNPROCESSABLE,
         "patch_emb.1.block.norm.running_var is missing, [12]"},
        {2, "image_encoder.model.classifier.proj", "image_encoder.model.classifier.proX",
         STATUS_UNPROCESSABLE, "image_encoder.model.classifier.proj is missing, [48, any]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_refused(rows[i].kind, rows[i].from, rows[i].to, rows[i].status, rows[i].words);
    }
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("mixer");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, read_pictures, NULL);
    tcase_add_loop_test(tcase, features, 0, KINDS);
    tcase_add_loop_test(tcase, without_configuration, 0, KINDS);
    tcase_add_loop_test(tcase, every_precision_and_kernel, 0, KINDS);
    tcase_add_loop_test(tcase, alone_or_among_others, 0, KINDS);
    tcase_add_test(tcase, calibrated);
    tcase_add_test(tcase, packed_file);
    tcase_add_test(tcase, products_have_names);
    tcase_add_test(tcase, mobileclip_s0);
    tcase_add_test(tcase, refused_files);
    return program_run("mixer", tcase, CK_NOFORK);
}
