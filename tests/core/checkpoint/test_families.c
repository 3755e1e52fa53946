/* Families that are not plain CLIP, each as a tiny model of random weights in the names that its
 * files have, against features computed in float64 (tests/golden/make_{family,pooler}_goldens.py);
 * and what is refused, by its name. */
#include "core/checkpoint/families.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/blueprint/names.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "tests/support/folder.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"

#define GOLDEN "tests/golden/families/"
#define INPUTS "tests/golden/model/"

enum { INPUTS_MAX = 8, CONTEXT_MAX = 32, DIM_MAX = 64 };

static struct npy read_npy(const char *folder, const char *name) {
    char path[128];
    struct npy npy;
    struct error err = ERROR_NONE;
    snprintf(path, sizeof(path), "%s%s.npy", folder, name);
    ck_assert_msg(npy_read(&npy, path, &err) == STATUS_OK, "%s: %s", path, err.message);
    return npy;
}

static struct model *open_family(const char *folder, uint32_t head_width, const char *precision) {
    char path[128];
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    snprintf(path, sizeof(path), GOLDEN "%s", folder);
    struct model_options options = {.path = path,
                                    .head_width = head_width,
                                    .features = isa_detect(),
                                    .workers = 1,
                                    .precision = precision};
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s: %s", path, err.message);
    return model;
}

/* In fp32 the numbers must be those; in lower precisions the directions about those. */
static void check_rows(const float *found, const struct npy *expected, double least,
                       const char *name) {
    size_t dim = expected->shape[1];
    double worst = 0;
    for (size_t row = 0; row < expected->shape[0]; row++) {
        const float *x = found + row * dim, *y = expected->floats + row * dim;
        double xy = 0, xx = 0, yy = 0;
        for (size_t i = 0; i < dim; i++) {
            double difference = fabs((double)x[i] - (double)y[i]);
            if (!(difference <= worst)) worst = difference; /* NaN counts */
            xy += (double)x[i] * (double)y[i];
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
        }
        double cosine = xy / sqrt(xx * yy);
        ck_assert_msg(cosine >= least, "%s: row %zu has a cosine of %g", name, row, cosine);
    }
    ck_assert_msg(least < 1 - 1e-6 || worst <= 2e-5, "%s differs by %g", name, worst);
}

static void check_images(const struct model *model, const char *family, double least) {
    char name[64];
    snprintf(name, sizeof(name), "%s_images", family);
    struct npy pixels = read_npy(INPUTS, "pixels"), expected = read_npy(GOLDEN, name);
    size_t count = pixels.shape[0], dim = expected.shape[1], size = pixels.count / count;
    uint8_t *bytes = malloc(pixels.count);
    float *out = calloc(expected.count, sizeof(*out)), *rows[INPUTS_MAX];
    const uint8_t *images[INPUTS_MAX];
    ck_assert_uint_le(count, INPUTS_MAX);
    ck_assert_uint_eq(model_info(model)->embed_dim, dim);
    ck_assert_uint_le(dim, DIM_MAX);
    for (size_t i = 0; i < pixels.count; i++) bytes[i] = (uint8_t)pixels.ints[i];
    for (size_t i = 0; i < count; i++) {
        images[i] = bytes + i * size;
        rows[i] = out + i * dim;
    }
    model_encode_images(model, 0, NULL, images, (uint32_t)count, rows);
    for (size_t i = 0; i < count; i++) { /* alone the bits are the same */
        float alone[DIM_MAX], *row = alone;
        model_encode_images(model, 0, NULL, &images[i], 1, &row);
        ck_assert_mem_eq(alone, rows[i], dim * sizeof(*alone));
    }
    check_rows(out, &expected, least, name);
    free(out);
    free(bytes);
    npy_free(&expected);
    npy_free(&pixels);
}

/* Padding at the end is left to the model. */
static void check_texts(const struct model *model, const char *family, const char *ids_name,
                        double least) {
    char name[64];
    snprintf(name, sizeof(name), "%s_texts", family);
    struct npy ids = read_npy(strcmp(ids_name, "ids") ? GOLDEN : INPUTS, ids_name);
    struct npy expected = read_npy(GOLDEN, name);
    size_t count = ids.shape[0], length = ids.shape[1], dim = expected.shape[1];
    float *out = calloc(expected.count, sizeof(*out)), *rows[INPUTS_MAX];
    uint32_t tokens[INPUTS_MAX][CONTEXT_MAX];
    struct model_text texts[INPUTS_MAX];
    ck_assert_uint_le(count, INPUTS_MAX);
    ck_assert_uint_le(length, CONTEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        texts[i] = (struct model_text){.ids = tokens[i]};
        rows[i] = out + i * dim;
        for (size_t j = 0; j < length; j++) {
            tokens[i][j] = (uint32_t)ids.ints[i * length + j];
            if (tokens[i][j] != model_info(model)->pad_token) texts[i].count = (uint32_t)j + 1;
        }
    }
    model_encode_texts(model, 0, NULL, texts, (uint32_t)count, rows);
    for (size_t i = 0; i < count; i++) {
        float alone[DIM_MAX], *row = alone;
        model_encode_texts(model, 0, NULL, &texts[i], 1, &row);
        ck_assert_mem_eq(alone, rows[i], dim * sizeof(*alone));
    }
    check_rows(out, &expected, least, name);
    free(out);
    npy_free(&expected);
    npy_free(&ids);
}

static const struct {
    const char *path, *name, *ids;
    uint32_t head_width; /* where the heads of the real models are 64 wide, and no file says so */
    uint64_t parameters;
} families[] = {
    {"pruned", "pruned", "ids", 0, 11736},
    {"eva02", "eva02", "ids", 16, 35109},
    {"eva", "eva", "ids", 16, 31581},
    {"eva_e", "eva_e", "ids", 16, 31581},
    {"timm_vit", "timm_vit", "ids", 16, 31677},
    {"roberta", "roberta", "roberta_ids", 8, 16729},
    {"chinese.safetensors", "chinese", "chinese_ids", 8, 16393},
    {"chinese_hf", "chinese", "chinese_ids", 0, 16393},
    {"siglip", "siglip", "pooler_ids", 0, 32394},
    {"siglip_timm", "siglip_timm", "pooler_ids", 0, 21594},
    {"coca", "coca", "pooler_ids", 0, 28609},
    {"coca_pad", "coca_pad", "pooler_ids", 0, 28609},
};

START_TEST(features) {
    static const struct {
        const char *precision;
        double least;
    } precisions[] = {{"fp32", 1 - 1e-7}, {"bf16", 0.999}, {"int8", 0.98}};
    for (size_t i = 0; i < sizeof(precisions) / sizeof(precisions[0]); i++) {
        const char *name = families[_i].name;
        struct model *model =
            open_family(families[_i].path, families[_i].head_width, precisions[i].precision);
        check_images(model, name, precisions[i].least);
        check_texts(model, name, families[_i].ids, precisions[i].least);
        ck_assert_uint_eq(model_info(model)->parameters, families[_i].parameters);
        model_close(model);
    }
}
END_TEST

START_TEST(pruned_layers) {
    struct model *model = open_family("pruned", 0, "fp32");
    const struct model_info *info = model_info(model);
    ck_assert_uint_eq(info->vision.width, 12);
    ck_assert_uint_eq(info->vision.layers, 3);
    ck_assert_uint_eq(info->vision.mlp_width, 30);
    ck_assert_uint_eq(model_tower_layer(&info->vision, 1).heads, 0);
    ck_assert_uint_eq(model_tower_layer(&info->vision, 2).mlp_width, 0);
    ck_assert_uint_eq(model_tower_layer(&info->text, 2).heads, 2);
    /* By hand: patches 16 * 48 * 12, 17 tokens through what is left, the projection. */
    double work = 2.0 * 16 * 48 * 12 + 2 * 12 * 12;
    work += 2.0 * 17 * 12 * (4 * 8 + 2 * 24 + 2 * 30 + 4 * 16) + 4.0 * 17 * 17 * (8 + 16);
    ck_assert_double_eq_tol(model_image_operations(info), work, 0.5);
    model_close(model);
}
END_TEST

static void write_file(const char *folder, const char *name, struct bytes first,
                       struct bytes second) {
    char *path = file_join(folder, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(first.data, 1, first.size, out), first.size);
    ck_assert_uint_eq(fwrite(second.data, 1, second.size, out), second.size);
    fclose(out);
    free(path);
}

/* What pruning has left is counted in heads of the width that the configuration gives them. */
START_TEST(pruned_heads_without_width) {
    static const char config[] = "{\"model_type\":\"clip_text_model\",\"hidden_size\":1,"
                                 "\"num_attention_heads\":2,\"num_hidden_layers\":1,"
                                 "\"vocab_size\":8}";
    static const char header[] =
        "{\"l0_module.x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"text_model.embeddings.token_embedding.weight\":{\"dtype\":\"F32\","
        "\"shape\":[8,64],\"data_offsets\":[4,2052]},"
        "\"text_model.encoder.layers.0.self_attn.out_proj.weight\":{\"dtype\":\"F32\","
        "\"shape\":[64,64],\"data_offsets\":[2052,18436]}}";
    static uint8_t zeros[18436], head[8 + sizeof(header) - 1];
    head[0] = (uint8_t)(sizeof(header) - 1);
    head[1] = (uint8_t)((sizeof(header) - 1) >> 8);
    memcpy(head + 8, header, sizeof(header) - 1);
    char *folder = folder_make();
    write_file(folder, "config.json", bytes_of(config), bytes_of(""));
    write_file(folder, "model.safetensors", (struct bytes){head, sizeof(head)},
               (struct bytes){zeros, sizeof(zeros)});
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    struct model_options options = {.path = folder, .features = isa_detect(), .workers = 1};
    ck_assert_int_eq(model_open(&model, &options, &err), STATUS_UNPROCESSABLE);
    ck_assert_str_eq(err.message,
                     "a text tower of width 1 cannot have 2 heads, which must divide it");
    folder_remove(folder);
}
END_TEST

/* Of tensors that no family has one is named, and all families are. */
START_TEST(unknown_tensors) {
    static const char header[] = "{\"encoder.layers.0.dense.weight\":{\"dtype\":\"F32\","
                                 "\"shape\":[1],\"data_offsets\":[0,4]}}";
    static const char begin[] =
        "tensors such as encoder.layers.0.dense.weight: a model without CLIP's class or "
        "token embedding is not supported; supported are CLIP with ViT, ";
    static const char end[] = " and Chinese-CLIP";
    uint8_t head[8 + sizeof(header) - 1] = {(uint8_t)(sizeof(header) - 1)}, weight[4] = {0};
    memcpy(head + 8, header, sizeof(header) - 1);
    char *folder = folder_make(), *path = file_join(folder, "model.safetensors");
    write_file(folder, "model.safetensors", (struct bytes){head, sizeof(head)},
               (struct bytes){weight, sizeof(weight)});
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    struct model_options options = {.path = path, .features = isa_detect(), .workers = 1};
    ck_assert_int_eq(model_open(&model, &options, &err), STATUS_UNSUPPORTED);
    ck_assert_msg(!strncmp(err.message, begin, sizeof(begin) - 1), "%s", err.message);
    ck_assert_str_eq(err.message + strlen(err.message) - (sizeof(end) - 1), end);
    free(path);
    folder_remove(folder);
}
END_TEST

/* Every name that is refused comes with the list of what there is. */
START_TEST(refusal) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(families_refuse(&err, "here", "a thing"), STATUS_UNSUPPORTED);
    const char *begin = "here: a thing is not supported; supported are CLIP with ViT";
    ck_assert_msg(!strncmp(err.message, begin, strlen(begin)), "%s", err.message);
    /* The list is whole, and leaves room for what there is to say. */
    const char *end = " and Chinese-CLIP";
    ck_assert_str_eq(err.message + strlen(err.message) - strlen(end), end);
    ck_assert_uint_lt(strlen(err.message), 200);
}
END_TEST

/* Without a configuration an image tower that timm alone knows is told by its names: ViTamin's
 * begins with convolutions, too, but others than MobileCLIP-B's. */
START_TEST(refusal_of_tensors) {
    static const char *const names[] = {"visual.trunk.patch_embed.backbone.stem.conv1.weight",
                                        "visual.trunk.patch_embed.proj.weight",
                                        "visual.trunk.layers.0.blocks.0.attn.qkv.weight"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[TENSOR_NAME_MAX + 1];
        snprintf(name, sizeof(name), "%s", names[i]);
        struct tensor tensor = {.name = name};
        struct tensors tensors = {.list = &tensor, .count = 1};
        struct names found;
        struct error err = ERROR_NONE;
        ck_assert_int_eq(names_recognise(&found, &tensors, &err), STATUS_UNSUPPORTED);
        const char *begin = "tensors visual.trunk.*: this image tower of timm is not supported; "
                            "supported are CLIP with ViT";
        ck_assert_msg(!strncmp(err.message, begin, strlen(begin)), "%s", err.message);
    }
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("families");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, features, 0, sizeof(families) / sizeof(families[0]));
    tcase_add_test(tcase, pruned_layers);
    tcase_add_test(tcase, pruned_heads_without_width);
    tcase_add_test(tcase, unknown_tensors);
    tcase_add_test(tcase, refusal);
    tcase_add_test(tcase, refusal_of_tensors);
    return program_run("families", tcase, CK_NOFORK);
}
