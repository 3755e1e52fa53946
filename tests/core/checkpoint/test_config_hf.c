/* What is read from the forms of transformers and of Apple, and what is refused. */
#include "core/checkpoint/config_hf.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/configs.h"
#include "tests/support/program.h"

START_TEST(hf_chinese) {
    struct model_config config = configs_parse(
        config_hf_parse, "{\"model_type\":\"chinese_clip\",\"projection_dim\":64,"
                         "\"text_config\":{\"vocab_size\":21128,\"num_hidden_layers\":3},"
                         "\"vision_config\":{\"hidden_size\":1280,\"patch_size\":14}}");
    ck_assert_uint_eq(config.embed_dim, 64);
    ck_assert_uint_eq(config.vocab_size, 21128);
    ck_assert_uint_eq(config.context_length, 52);
    ck_assert_int_eq(config.pooling, MODEL_POOL_FIRST);
    ck_assert_int_eq(config.text.activation, MODEL_GELU_ERF);
    ck_assert_float_eq(config.text.layer_norm_eps, 1e-12f);
    ck_assert_uint_eq(config.text.layers, 3);
    ck_assert_int_eq(config.vision.activation, MODEL_QUICK_GELU);
    ck_assert_uint_eq(config.vision.width, 1280);
    ck_assert_int_eq(config.preprocess.resize, MODEL_RESIZE_SQUASH);
}
END_TEST

START_TEST(hf_defaults) {
    struct model_config config = configs_parse(config_hf_parse, "{}");
    ck_assert_int_eq(config.naming, MODEL_NAMES_HF);
    ck_assert_uint_eq(config.vision.width, 768);
    ck_assert_uint_eq(config.vision.mlp_width, 3072);
    ck_assert_uint_eq(config.patch_size, 32);
    ck_assert_uint_eq(config.text.width, 512);
    ck_assert_uint_eq(config.text.mlp_width, 2048);
    ck_assert_uint_eq(config.text.heads, 8);
    ck_assert_int_eq(config.text.activation, MODEL_QUICK_GELU);
    ck_assert_int_eq(config.pooling, MODEL_POOL_EOS);
    ck_assert_uint_eq(config.end_token, 49407);
    ck_assert(config.preprocess.convert_first);
}
END_TEST

/* 2 stands for the largest id in old files; so does what the vocabulary has not. */
START_TEST(hf_end_token) {
    static const struct {
        const char *json;
        enum model_pooling pooling;
    } rows[] = {
        {"{\"text_config\":{\"eos_token_id\":2}}", MODEL_POOL_ARGMAX},
        {"{\"model_type\":\"metaclip_2\",\"text_config\":{\"eos_token_id\":2}}", MODEL_POOL_EOS},
        {"{\"text_config\":{\"eos_token_id\":3}}", MODEL_POOL_EOS},
        {"{\"text_config\":{\"eos_token_id\":49407}}", MODEL_POOL_EOS},
        {"{\"text_config\":{\"eos_token_id\":49408}}", MODEL_POOL_ARGMAX},
        {"{\"text_config\":{\"vocab_size\":600}}", MODEL_POOL_ARGMAX},
    };
    ck_assert_int_eq(configs_parse(config_hf_parse, rows[_i].json).pooling, rows[_i].pooling);
}
END_TEST

/* text_config_dict and the class defaults overrule text_config, null does not. */
START_TEST(hf_config_dict) {
    struct model_config config =
        configs_parse(config_hf_parse, "{\"text_config\":{\"hidden_size\":64,\"eos_token_id\":2},"
                                       "\"text_config_dict\":{\"vocab_size\":50000},"
                                       "\"vision_config\":{\"patch_size\":14},"
                                       "\"vision_config_dict\":null}");
    ck_assert_uint_eq(config.text.width, 512);
    ck_assert_uint_eq(config.end_token, 49407);
    ck_assert_uint_eq(config.vocab_size, 50000);
    ck_assert_uint_eq(config.patch_size, 14);
    config = configs_parse(config_hf_parse,
                           "{\"model_type\":\"chinese_clip\",\"text_config\":{\"hidden_size\":64},"
                           "\"text_config_dict\":{\"vocab_size\":50000},"
                           "\"vision_config\":{\"hidden_size\":64},"
                           "\"vision_config_dict\":{\"patch_size\":14}}");
    ck_assert_uint_eq(config.text.width, 768);
    ck_assert_uint_eq(config.vocab_size, 50000);
    ck_assert_uint_eq(config.vision.width, 768);
    ck_assert_uint_eq(config.patch_size, 14);
}
END_TEST

START_TEST(hf_towers_apart) {
    struct model_config config = configs_parse(
        config_hf_parse, "{\"model_type\":\"clip_text_model\",\"hidden_act\":\"gelu\","
                         "\"hidden_size\":64,\"layer_norm_eps\":0.001}");
    ck_assert_uint_eq(config.vision.layers, 0);
    ck_assert_uint_eq(config.text.width, 64);
    ck_assert_int_eq(config.text.activation, MODEL_GELU_ERF);
    ck_assert_float_eq(config.text.layer_norm_eps, 0.001f);
    config = configs_parse(
        config_hf_parse,
        "{\"model_type\":\"clip_vision_model\",\"hidden_act\":\"gelu_pytorch_tanh\"}");
    ck_assert_uint_eq(config.text.layers, 0);
    ck_assert_int_eq(config.vision.activation, MODEL_GELU_TANH);
}
END_TEST

START_TEST(hf_siglip) {
    struct model_config config = configs_parse(
        config_hf_parse, "{\"model_type\":\"siglip\",\"vision_config\":{\"image_size\":384,"
                         "\"hidden_size\":1152},\"text_config\":{\"vocab_size\":256000}}");
    ck_assert_uint_eq(config.vision.width, 1152);
    ck_assert_uint_eq(config.text.width, 768);
    ck_assert_uint_eq(config.image_size, 384);
    ck_assert_uint_eq(config.patch_size, 16);
    ck_assert_uint_eq(config.context_length, 64);
    ck_assert_uint_eq(config.vocab_size, 256000);
    ck_assert_uint_eq(config.pad_token, 1);
    ck_assert_int_eq(config.vision.activation, MODEL_GELU_TANH);
    ck_assert_int_eq(config.text.activation, MODEL_GELU_TANH);
    ck_assert_float_eq(config.vision.layer_norm_eps, 1e-6f);
    ck_assert_float_eq(config.text.layer_norm_eps, 1e-6f);
    ck_assert_int_eq(config.pooling, MODEL_POOL_LAST);
    ck_assert(config.bidirectional && config.sigmoid);
    ck_assert_int_eq(config.preprocess.resize, MODEL_RESIZE_SQUASH);
    ck_assert_float_eq(config.preprocess.mean[0], 0.5f);
    config = configs_parse(config_hf_parse, "{\"model_type\":\"siglip_text_model\"}");
    ck_assert(!config.vision.layers && config.text.layers == 12);
    config = configs_parse(config_hf_parse, "{\"model_type\":\"siglip_vision_model\"}");
    ck_assert(config.vision.layers == 12 && !config.text.layers);
}
END_TEST

START_TEST(hf_refused) {
    static const struct {
        const char *json;
        enum status status;
        const char *message;
    } rows[] = {
        {"{\"model_type\":\"siglip2\"}", STATUS_UNSUPPORTED, "\"siglip2\" is not supported"},
        {"{\"model_type\":7}", STATUS_UNPROCESSABLE, "model_type is not a string"},
        {"{\"text_config\":{\"hidden_act\":\"relu\"}}", STATUS_UNSUPPORTED, "\"relu\""},
        {"{\"text_config\":{\"num_hidden_layers\":513}}", STATUS_UNPROCESSABLE, "from 1 to 512"},
        {"{\"text_config\":{\"layer_norm_eps\":-1}}", STATUS_UNPROCESSABLE, "is not above 0"},
        {"{\"text_config\":3}", STATUS_UNPROCESSABLE, "text_config is not an object"},
        {"{\"projection_dim\":-1}", STATUS_UNPROCESSABLE, "projection_dim is not a whole number"},
    };
    configs_refuse(config_hf_parse, rows[_i].json, rows[_i].status, rows[_i].message);
}
END_TEST

/* MobileCLIP2's repositories have open_clip's model_cfg as their config.json. */
START_TEST(apple_forms) {
    static const struct {
        const char *timm;
        uint32_t filter;
        float mean, std; /* of red */
    } rows[] = {
        {"fastvit_mci0", 2, 0, 1},
        {"fastvit_mci3", 2, 0.48145466f, 0.26862954f},
        {"vit_base_mci_224", 2, 0, 1},
        {"vit_large_patch14_clip_224", 3, 0.48145466f, 0.26862954f},
    };
    char json[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *pool = strncmp(rows[i].timm, "vit", 3) ? "avg" : "token";
        snprintf(json, sizeof(json),
                 "{\"embed_dim\":512,\"vision_cfg\":{\"timm_model_name\":\"%s\","
                 "\"timm_pool\":\"%s\",\"timm_proj\":null,\"image_size\":256},"
                 "\"text_cfg\":{\"no_causal_mask\":true},\"custom_text\":true}",
                 rows[i].timm, pool);
        struct model_config config = configs_parse(config_hf_parse, json);
        ck_assert_int_eq(config.naming, MODEL_NAMES_OPEN_CLIP);
        ck_assert_int_eq(config.text.activation, MODEL_GELU_ERF);
        ck_assert_uint_eq(config.image_size, 256);
        ck_assert(config.bidirectional && !config.preprocess.convert_first);
        ck_assert_uint_eq(config.preprocess.filter, rows[i].filter);
        ck_assert_float_eq(config.preprocess.mean[0], rows[i].mean);
        ck_assert_float_eq(config.preprocess.std[0], rows[i].std);
    }
    struct model_config first = configs_parse(
        config_hf_parse, "{\"embed_dim\":512,\"image_cfg\":{\"image_size\":224,\"model_name\":"
                         "\"vit_b16\"},\"text_cfg\":{\"context_length\":77,\"vocab_size\":49408,"
                         "\"dim\":512,\"n_heads_per_layer\":8,\"n_transformer_layers\":12,"
                         "\"causal_masking\":true,\"model_name\":\"base\"}}");
    ck_assert_uint_eq(first.vision.heads, 12);
    ck_assert_uint_eq(first.text.layers, 12);
    ck_assert_uint_eq(first.text.heads, 8);
    ck_assert_uint_eq(first.context_length, 77);
    ck_assert(first.vision.present && first.text.present && !first.bidirectional);
    ck_assert_uint_eq(first.preprocess.filter, 2);
    configs_refuse(config_hf_parse,
                   "{\"image_cfg\":{\"model_name\":\"vit_b16\"},\"text_cfg\":{"
                   "\"no_pos_embedding\":true}}",
                   STATUS_UNSUPPORTED, "a text tower without positions");
    configs_refuse(config_hf_parse,
                   "{\"image_cfg\":{\"model_name\":\"vit_b16\"},\"text_cfg\":{"
                   "\"n_heads_per_layer\":[8,8]}}",
                   STATUS_UNPROCESSABLE, "n_heads_per_layer");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, hf_chinese);
    tcase_add_test(tests, hf_defaults);
    tcase_add_loop_test(tests, hf_end_token, 0, 6);
    tcase_add_test(tests, hf_config_dict);
    tcase_add_test(tests, hf_towers_apart);
    tcase_add_test(tests, hf_siglip);
    tcase_add_loop_test(tests, hf_refused, 0, 7);
    tcase_add_test(tests, apple_forms);
    return program_run("config_hf", tests, CK_NOFORK);
}
