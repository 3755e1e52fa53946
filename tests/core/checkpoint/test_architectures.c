/* Known architectures: each is found by its name and, from what it would be, by its dimensions;
 * names of open_clip's configurations and results (../shared/spec/data) against what these say. */
#include "core/checkpoint/architecture_info.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blueprint/invent.h"
#include "core/checkpoint/config_open_clip.h"
#include "core/towers/towers.h"
#include "hub/catalogue.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

/* The weights of random towers in fp32, in numbers, without making one of them. */
static double count_weights(const struct model_info *info) {
    struct blueprint blueprint;
    struct towers towers;
    struct plan plan;
    plan_fill(&plan, MODEL_FP32);
    ck_assert_int_eq(invent_model(&blueprint, info, false, NULL), STATUS_OK);
    ck_assert_int_eq(towers_create(&towers, info, &plan, 0, NULL), STATUS_OK);
    double count = (double)towers.bytes / sizeof(float);
    towers_free(&towers);
    blueprint_free(&blueprint);
    return count;
}

/* Packed weights are a little more, of narrow products most: their rows are filled up. CoCa's
 * published ones are more by what writes captions. */
static void check_weights(const char *name, double expected) {
    struct model_info info;
    ck_assert_msg(architecture_info_named(&info, name), "%s is not known", name);
    double count = count_weights(&info), tolerance = 0.012;
    if (info.image_tower == MODEL_IMAGE_RESNET) tolerance = 0.035;
    if (info.text_class) return;
    ck_assert_msg(fabs(count / expected - 1) < tolerance, "%s has %.2f million, expected are %.2f",
                  name, count / 1e6, expected / 1e6);
}

START_TEST(by_name_and_dimensions) {
    const struct architecture *row = &architectures[_i];
    struct architecture a;
    struct model_info info;
    char name[64];
    ck_assert(architecture_named(&a, row->name));
    ck_assert_mem_eq(&a, row, sizeof(a));
    ck_assert(architecture_info_named(&info, row->name));
    ck_assert_str_eq(info.architecture, row->name);
    if (info.vision.heads)
        ck_assert_uint_eq((size_t)info.vision.head_width * info.vision.heads, info.vision.width);
    architecture_info_name(name, sizeof(name), &info);
    /* These have the towers of MobileCLIP-S2 and -B, which come first. */
    bool twin = !strcmp(row->name, "MobileCLIP2-S2") || !strcmp(row->name, "MobileCLIP2-B");
    ck_assert_msg(strcmp(name, row->name) ? twin : !twin, "%s is called %s", row->name, name);
    ck_assert(count_weights(&info) > 1e6);
}
END_TEST

START_TEST(styles) {
    struct blueprint blueprint;
    struct model_info info;
    architecture_info_named(&info, "EVA02-L-14");
    ck_assert(info.vision.gated && info.vision.inner_norms && info.vision.rope_side == 16);
    invent_model(&blueprint, &info, false, NULL);
    ck_assert_uint_eq(blueprint.vit.rope.rows, 256);
    blueprint_free(&blueprint);
    architecture_info_named(&info, "EVA02-E-14");
    ck_assert_int_eq(info.vision.norm_order, MODEL_NORM_RESULT);
    ck_assert(!info.vision.gated && info.patch_bias);
}
END_TEST

START_TEST(ends_of_names) {
    static const struct {
        const char *name;
        uint32_t image_size, context_length;
        enum model_activation activation;
    } rows[] = {
        {"ViT-B-32", 224, 77, MODEL_GELU_ERF},
        {"ViT-B-32-quickgelu", 224, 77, MODEL_QUICK_GELU},
        {"ViT-L-14-336-quickgelu", 336, 77, MODEL_QUICK_GELU},
        {"ViT-B-32-plus-256", 256, 77, MODEL_GELU_ERF},
        {"ViT-L-16-SigLIP-384", 384, 64, MODEL_GELU_ERF},
        {"ViT-SO400M-14-SigLIP", 224, 16, MODEL_GELU_ERF},
        {"ViT-SO400M-14-SigLIP-384", 384, 64, MODEL_GELU_ERF},
        {"RN50-256-quickgelu", 256, 77, MODEL_QUICK_GELU},
        {"convnext_base_w_320", 320, 77, MODEL_GELU_ERF},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct model_info info;
        ck_assert_msg(architecture_info_named(&info, rows[i].name), "%s", rows[i].name);
        ck_assert_str_eq(info.architecture, rows[i].name);
        ck_assert_uint_eq(info.image_size, rows[i].image_size);
        ck_assert_uint_eq(info.context_length, rows[i].context_length);
        ck_assert_int_eq(info.vision.activation, rows[i].activation);
        ck_assert_int_eq(info.text.activation, rows[i].activation);
        /* What a checkpoint of it would be called. */
        char name[64];
        architecture_info_name(name, sizeof(name), &info);
        ck_assert_int_eq(strncmp(name, rows[i].name, strlen(name)), 0);
        ck_assert_uint_ge(strlen(name) + strlen("-quickgelu"), strlen(rows[i].name));
    }
    static const char *const unknown[] = {
        "",
        "-quickgelu",
        "ViT-B-33",
        "ViT-B-32-",
        "ViT-B-32-56",
        "ViT-B-32-1024",
        "ViT-B-32_256",
        "ViT-B-32-2x6",
        "ViT-B-32-256-256",
        "ViT-L-16-SigLIP",
        "RN50-250",
        "convnext_base-320",
        "ViT-B-32-000",
        "ViT-B-32-quickgelu-256",
        "ViT-B-32-quickgelu-quickgelu",
    };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct model_info info;
        ck_assert_msg(!architecture_info_named(&info, unknown[i]), "%s", unknown[i]);
    }
}
END_TEST

/* A plain text tower keeps its name with another vocabulary, as fine-tunes have; towers of other
 * families keep theirs from those with the same dimensions. */
START_TEST(names_of_checkpoints) {
    struct model_info info;
    char name[64];
    architecture_info_named(&info, "ViT-H-14-worldwide-378");
    architecture_info_name(name, sizeof(name), &info);
    ck_assert_str_eq(name, "ViT-H-14-worldwide-378");
    info.vocab_size = 1000;
    architecture_info_name(name, sizeof(name), &info);
    ck_assert_str_eq(name, "ViT-H-14-378");
    info.text.layers--;
    architecture_info_name(name, sizeof(name), &info);
    ck_assert_str_eq(name, "CLIP");
}
END_TEST

/* All that `clipd models` prints, with the parameters that it prints. */
START_TEST(catalogue_names) {
    for (size_t i = 0; i < catalogue_count; i++) {
        char name[64];
        int size = (int)strcspn(catalogue[i].name, ":");
        snprintf(name, sizeof(name), "%.*s", size, catalogue[i].name);
        check_weights(name, (double)catalogue[i].parameters_m * 1e6);
    }
}
END_TEST

/* ---- open_clip's configurations ---- */

static uint32_t integer(const json_t *object, const char *key, uint32_t missing) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (uint32_t)json_integer_value(value) : missing;
}

static uint32_t mlp_width(const json_t *tower, uint32_t width) {
    const json_t *ratio = json_object_get(tower, "mlp_ratio");
    return (uint32_t)((ratio ? json_number_value(ratio) : 4) * width);
}

static void check_images(const char *name, const json_t *vision, const struct model_config *config,
                         const struct model_info *info) {
    ck_assert_msg(info->image_size == config->image_size, "%s", name);
    ck_assert_msg(info->image_pooling == config->image_pooling ||
                      !strcmp(json_string_value(json_object_get(vision, "timm_pool")), "map"),
                  "%s", name);
    if (config->vision.heads) ck_assert_msg(info->vision.heads == config->vision.heads, "%s", name);
    ck_assert_msg(info->vision.layer_norm_eps == config->vision.layer_norm_eps ||
                      info->image_tower != MODEL_IMAGE_VIT,
                  "%s", name);
    if (json_object_get(vision, "timm_model_name")) return;
    for (int i = 0; i < MODEL_STAGES; i++)
        ck_assert_msg(info->resnet.blocks[i] == config->resnet[i], "%s", name);
    ck_assert_msg(info->no_ln_pre == config->no_ln_pre, "%s", name);
    ck_assert_msg(info->vision.activation == config->vision.activation, "%s", name);
    if (info->image_tower == MODEL_IMAGE_RESNET) return;
    ck_assert_msg(info->patch_size == config->patch_size, "%s", name);
    ck_assert_msg(info->vision.width == config->vision.width, "%s", name);
    ck_assert_msg(info->vision.layers == config->vision.layers, "%s", name);
    ck_assert_msg(info->vision.mlp_width == mlp_width(vision, config->vision.width), "%s", name);
    if (info->image_pooling == MODEL_IMAGE_ATTENTION)
        ck_assert_msg(info->pooler.heads == config->pooler_heads, "%s", name);
}

static void check_texts(const char *name, const json_t *text, const struct model_config *config,
                        const struct model_info *info) {
    ck_assert_msg(info->context_length == config->context_length, "%s", name);
    ck_assert_msg(info->pooling == config->pooling, "%s", name);
    ck_assert_msg(info->text_class == config->text_class, "%s", name);
    ck_assert_msg((info->text_tower != MODEL_TEXT_CLIP) ==
                      (json_object_get(text, "hf_model_name") != NULL),
                  "%s", name);
    if (info->text_tower != MODEL_TEXT_CLIP) return;
    ck_assert_msg(info->vocab_size == config->vocab_size, "%s", name);
    ck_assert_msg(info->end_token == config->end_token, "%s", name);
    ck_assert_msg(info->bidirectional == config->bidirectional, "%s", name);
    ck_assert_msg(info->text.activation == config->text.activation, "%s", name);
    ck_assert_msg(info->text.layer_norm_eps == config->text.layer_norm_eps, "%s", name);
    ck_assert_msg(info->text.width == config->text.width, "%s", name);
    ck_assert_msg(info->text.layers == config->text.layers, "%s", name);
    ck_assert_msg(info->text.heads == config->text.heads, "%s", name);
    ck_assert_msg(info->text.mlp_width == mlp_width(text, config->text.width), "%s", name);
}

/* Known is what loads, and nothing else. */
static bool check_configuration(const char *name, const json_t *model) {
    struct model_config config;
    struct model_info info;
    json_t *top = json_pack("{s:O}", "model_cfg", model);
    char *text = json_dumps(top, 0);
    config_init(&config);
    enum status status = config_open_clip_parse(&config, bytes_of(text), NULL);
    free(text);
    json_decref(top);
    bool known = architecture_info_named(&info, name);
    ck_assert_msg(known == (status == STATUS_OK), "%s: %s", name, known ? "known" : "not known");
    if (!known) return false;
    ck_assert_str_eq(info.architecture, name);
    ck_assert_msg(info.embed_dim == integer(model, "embed_dim", 0), "%s", name);
    ck_assert_msg(info.sigmoid == (json_object_get(model, "init_logit_bias") != NULL), "%s", name);
    /* Of what is pruned the configuration has the shape before. */
    if (config.vision.pruned) return true;
    check_images(name, json_object_get(model, "vision_cfg"), &config, &info);
    check_texts(name, json_object_get(model, "text_cfg"), &config, &info);
    return true;
}

START_TEST(configurations) {
    if (shared_missing()) return;
    char *path = shared_path("spec/data/model_configs.json");
    json_error_t problem;
    json_t *root = json_load_file(path, 0, &problem), *model;
    ck_assert_msg(root, "%s: %s", path, problem.text);
    const char *name;
    size_t known = 0;
    json_object_foreach(root, name, model) known += check_configuration(name, model);
    ck_assert_uint_ge(known, 120);
    json_decref(root);
    free(path);
}
END_TEST

/* ---- parameters as open_clip has published them ---- */

START_TEST(published) {
    if (shared_missing()) return;
    char *path = shared_path("spec/data/openclip_results_selected.csv"), line[256], name[64];
    FILE *file = fopen(path, "r");
    size_t rows = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        double millions;
        struct model_info info;
        if (sscanf(line, "%63[^,],%*[^,],%lf", name, &millions) != 2) continue;
        if (!architecture_info_named(&info, name)) continue;
        check_weights(name, millions * 1e6);
        rows++;
    }
    ck_assert_uint_ge(rows, 90);
    fclose(file);
    free(path);
}
END_TEST

/* TinyCLIP's say it in their names, of the text tower without its vocabulary. */
START_TEST(tinyclip) {
    size_t rows = 0;
    for (size_t i = 0; i < architectures_count; i++) {
        const char *name = architectures[i].name, *numbers = strpbrk(name, "0123456789");
        unsigned images, texts;
        if (strncmp(name, "TinyCLIP", 8) != 0) continue;
        ck_assert_int_eq(sscanf(numbers, "%uM", &images), 1);
        ck_assert_int_eq(sscanf(strstr(name, "Text-"), "Text-%uM", &texts), 1);
        double vocabulary = 49408.0 * architectures[i].text_width;
        struct model_info info;
        ck_assert(architecture_info_named(&info, name));
        double difference = count_weights(&info) - vocabulary - (images + texts) * 1e6;
        ck_assert_msg(fabs(difference) < 2.5e6, "%s differs by %g", name, difference);
        rows++;
    }
    ck_assert_uint_eq(rows, 9);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("architectures");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, by_name_and_dimensions, 0, (int)architectures_count);
    tcase_add_test(tests, styles);
    tcase_add_test(tests, ends_of_names);
    tcase_add_test(tests, names_of_checkpoints);
    tcase_add_test(tests, catalogue_names);
    tcase_add_test(tests, configurations);
    tcase_add_test(tests, published);
    tcase_add_test(tests, tinyclip);
    return program_run("architectures", tests, CK_NOFORK);
}
