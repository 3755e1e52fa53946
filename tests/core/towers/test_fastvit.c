/* FastViTs on goldens that timm answered (tests/golden/make_fastvit_goldens.py): with gates and a
 * BatchNorm, with five stages and LayerNorms, and with branches that are one already: features in
 * every precision, at other sizes, alone and among others, calibrated; and what a wrong file is
 * told. */
#include "core/towers/fastvit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/checkpoint/architecture_info.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/tower_golden.h"

#define GOLDEN "tests/golden/fastvit/"

enum { KINDS = 3 };

static const char *const kinds[KINDS] = {"gated", "deep", "merged"};
static struct tower_pictures pictures;

static void read_pictures(void) {
    tower_pictures_read(&pictures);
}

START_TEST(features) {
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    const uint8_t *const large = pictures.large;
    const struct {
        const char *name;
        uint32_t height, width;
    } sizes[] = {
        {"native", 0, 0}, {"larger", TOWER_LARGE, 0}, {"oblong", TOWER_NATIVE / 2, TOWER_LARGE}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char path[96], expected[96];
        snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
        snprintf(expected, sizeof(expected), GOLDEN "%s_%s.npy", kinds[_i], sizes[i].name);
        struct model *model =
            tower_open(path, &(struct model_options){.image_size = sizes[i].height,
                                                     .image_width = sizes[i].width});
        tower_check(model, i ? &large : natives, i ? 1 : TOWER_IMAGES, expected, 0);
        const struct model_info *info = model_info(model);
        bool deep = _i == 1;
        ck_assert_uint_eq(info->fastvit.stages, deep ? 5 : 4);
        ck_assert_uint_eq(info->fastvit.attending, 3);
        ck_assert_uint_eq(info->fastvit.expansion, deep ? 2 : 3);
        ck_assert_uint_eq(info->fastvit.squeezed[3], deep ? 0 : 8);
        ck_assert_uint_eq(info->vision.layers, 9);
        ck_assert(info->fastvit.layer_norm == deep);
        ck_assert(info->bidirectional);
        model_close(model);
    }
}
END_TEST

START_TEST(every_precision_and_kernel) {
    char path[96], expected[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
    snprintf(expected, sizeof(expected), GOLDEN "%s_native.npy", kinds[_i]);
    tower_check_precisions(path, expected, 0.99);
}
END_TEST

START_TEST(alone_or_among_others) {
    char path[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
    tower_check_batches(path);
}
END_TEST

START_TEST(calibrated) {
    char path[96];
    snprintf(path, sizeof(path), GOLDEN "%s", kinds[_i]);
    /* Halvings, two products for each block that mixes and four for each that attends; the stem
     * and the end. */
    tower_check_calibrated(path, _i == 1 ? 4 + 2 * 3 + 4 * 2 + 2 : 3 + 2 * 4 + 4 * 2 + 2);
}
END_TEST

static bool is_gated(const struct model_info *info) {
    return info->fastvit.end_squeezed == 4;
}

START_TEST(packed_file) {
    tower_check_packed(GOLDEN "gated", is_gated, NULL);
}
END_TEST

START_TEST(products_have_names) {
    const struct model_info info = {.vision = {.layers = 6, .projected = true},
                                    .image_tower = MODEL_IMAGE_FASTVIT,
                                    .fastvit = {.stages = 3, .blocks = {2, 1, 1}, .attending = 2}};
    static const char *const names[] = {
        "layer 1 fc", "layer 1 proj", "layer 2 fc",  "layer 2 proj", "layer 3 qkv",
        "layer 4 fc", "layer 4 proj", "layer 5 qkv", "layer 6 qkv",  "layer 6 out",
        "layer 6 fc", "layer 6 proj", "patch",       "projection"};
    ck_assert_uint_eq(plan_count(&info, PLAN_VISION), sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        tower_name_product(name, &info, PLAN_VISION, i);
        ck_assert_str_eq(name, names[i]);
    }
}
END_TEST

/* The rows of open_clip's configurations; what an image costs, counted on timm's modules by their
 * shapes, in 10^9. */
START_TEST(architectures_of_open_clip) {
    static const struct {
        const char *name;
        double operations;
    } rows[] = {{"MobileCLIP-S0", 4.7703},  {"MobileCLIP-S1", 9.3165},  {"MobileCLIP-S2", 15.668},
                {"MobileCLIP2-S0", 4.7703}, {"MobileCLIP2-S3", 29.624}, {"MobileCLIP2-S4", 55.516}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct architecture a;
        ck_assert(architecture_named(&a, rows[i].name));
        const struct model_fastvit *fastvit = architecture_fastvit(&a);
        ck_assert_ptr_nonnull(fastvit);
        struct model_info info;
        architecture_info_fill(&info, &a);
        uint32_t layers = fastvit->stages - 1;
        for (uint32_t j = 0; j < fastvit->stages; j++) layers += fastvit->blocks[j];
        ck_assert_uint_eq(a.vision_layers, layers);
        ck_assert_uint_eq(a.vision_width, fastvit_width(fastvit, fastvit->stages - 1));
        ck_assert_uint_eq(a.vision_mlp, (size_t)fastvit->expansion * a.vision_width);
        ck_assert_uint_eq((size_t)a.vision_heads * FASTVIT_HEAD, a.vision_width);
        double operations = model_image_operations(&info) / 1e9;
        ck_assert_msg(fabs(operations / rows[i].operations - 1) < 1e-3, "%s: %g", a.name,
                      operations);
    }
}
END_TEST

START_TEST(refused_sizes) {
    static const struct {
        uint32_t size;
        enum status status;
        const char *words;
    } rows[] = {{100, STATUS_INVALID, "multiples of 32 pixels"},
                {32768, STATUS_INVALID, "up to 16384"},
                {16384, STATUS_TOO_LARGE, "images of 16384 x 16384 pixels are too large"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct model_options options = {.path = GOLDEN "deep",
                                        .precision = "fp32",
                                        .workers = 1,
                                        .features = isa_detect(),
                                        .image_size = rows[i].size};
        struct model *model = NULL;
        struct error err = ERROR_NONE;
        ck_assert_int_eq(model_open(&model, &options, &err), rows[i].status);
        ck_assert_msg(strstr(err.message, rows[i].words), "%s", err.message);
    }
}
END_TEST

/* Opens a copy of a golden in which one name or number is another, and expects a refusal with
 * these words. */
static void check_refused(const char *kind, const char *from, const char *to, enum status status,
                          const char *words) {
    static const char *const files[] = {"open_clip_model.safetensors", "open_clip_config.json"};
    char *directory = folder_make();
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    bool found = false;
    ck_assert_uint_eq(strlen(from), strlen(to));
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof(path), GOLDEN "%s/%s", kind, files[i]);
        struct buffer content = files_load(path);
        void *at = memmem(content.data, content.size, from, strlen(from));
        if (at && !found) memcpy(at, to, strlen(to));
        found = found || at;
        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(content.data, 1, content.size, file), content.size);
        ck_assert_int_eq(fclose(file), 0);
        buffer_free(&content);
    }
    ck_assert_msg(found, "%s", from);
    struct model_options options = {
        .path = directory, .precision = "fp32", .workers = 1, .features = isa_detect()};
    ck_assert_int_eq(model_open(&model, &options, &err), status);
    ck_assert_msg(strstr(err.message, words), "%s", err.message);
    folder_remove(directory);
}

/* In a header of safetensors the shape stands behind the name. */
#define SHAPED(name, shape) name "\":{\"dtype\":\"F16\",\"shape\":" shape

START_TEST(refused_files) {
    static const struct {
        const char *kind, *from, *to;
        enum status status;
        const char *words;
    } rows[] = {
        {"gated", "stem.0.conv_kxk.0.conv.weight", "stem.0.conv_kxk.0.conX.weight",
         STATUS_UNPROCESSABLE, "stem.0.conv_kxk.0.conv.weight is missing, [4, 3, 3, 3]"},
        {"gated", "stages.1.blocks.1.token_mixer.mixer.identity.running_var",
         "stages.1.blocks.1.token_mixer.mixer.identity.running_xxx", STATUS_UNPROCESSABLE,
         "mixer.identity.running_var is missing, [8]"},
        {"gated", "stages.2.downsample.proj.0.small_conv.conv.weight",
         "stages.2.downsample.proj.0.small_conX.conv.weight", STATUS_UNPROCESSABLE,
         "small_conv.conv.weight is missing, [16, 1, 3, 3]"},
        {"gated", "stages.3.blocks.1.layer_scale_2.gamma", "stages.3.blocks.1.layer_scale_3.gamma",
         STATUS_UNPROCESSABLE, "layer_scale_2.gamma is missing, [32, 1, 1]"},
        {"gated", "stages.3.pos_emb.pos_enc.weight", "stages.3.pos_emb.pos_enX.weight",
         STATUS_UNPROCESSABLE, "pos_enc.weight is missing, [32, 1, 7, 7]"},
        {"gated", "stages.0.blocks.0.token_mixer.mixer.conv_kxk.0.bn.bias",
         "stages.0.blocks.0.token_mixer.mixer.conv_kxk.1.bn.bias", STATUS_UNPROCESSABLE,
         "mixer.conv_kxk.0.bn.bias is missing, [4]"},
        {"gated", "final_conv.conv_scale.bn.bias", "final_conv.conv_scaXe.bn.bias",
         STATUS_UNPROCESSABLE, "final_conv.conv_scale.bn.bias is missing, [64]"},
        {"gated", SHAPED("stages.0.blocks.0.mlp.fc1.weight", "[12,4,1,1]"),
         SHAPED("stages.0.blocks.0.mlp.fc1.weight", "[4,12,1,1]"), STATUS_UNSUPPORTED,
         "a FastViT of 12 channels whose MLPs have 4"},
        {"gated", SHAPED("stages.0.blocks.0.mlp.fc1.weight", "[12,4,1,1]"),
         SHAPED("stages.0.blocks.0.mlp.fc1.weight", "[24,2,1,1]"), STATUS_UNSUPPORTED,
         "attention over 16 channels: multiples of 32"},
        {"gated", "fastvit_mci0", "fastvit_sa12", STATUS_UNSUPPORTED, "\"fastvit_sa12\""},
        {"merged", "stages.1.downsample.proj.0.reparam_conv.bias",
         "stages.1.downsample.proj.0.reparam_conX.bias", STATUS_UNPROCESSABLE,
         "reparam_conv.bias is missing, [8]"},
        {"deep", "stages.4.blocks.0.token_mixer.qkv.weight",
         "stages.4.blocks.0.token_mixer.qkX.weight", STATUS_UNPROCESSABLE,
         "token_mixer.qkv.weight is missing, [192, 64]"},
        {"deep", "visual.trunk.stages.0.blocks.0.mlp.conv.bn.num_batches_tracked",
         "visual.trunk.stages.0.blocks.0.mlp.conv.bn.num_batches_trackeX", STATUS_UNSUPPORTED,
         "is no part of a plain CLIP tower"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_refused(rows[i].kind, rows[i].from, rows[i].to, rows[i].status, rows[i].words);
    }
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tcase = tcase_create("fastvit");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, read_pictures, NULL);
    tcase_add_loop_test(tcase, features, 0, KINDS);
    tcase_add_loop_test(tcase, every_precision_and_kernel, 0, KINDS);
    tcase_add_loop_test(tcase, alone_or_among_others, 0, KINDS);
    tcase_add_loop_test(tcase, calibrated, 0, KINDS);
    tcase_add_test(tcase, packed_file);
    tcase_add_test(tcase, products_have_names);
    tcase_add_test(tcase, architectures_of_open_clip);
    tcase_add_test(tcase, refused_sizes);
    tcase_add_test(tcase, refused_files);
    return program_run("fastvit", tcase, CK_NOFORK);
}
