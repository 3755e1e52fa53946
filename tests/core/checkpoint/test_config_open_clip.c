/* What is read from OpenCLIP's form of configuration, and what is refused. */
#include "core/checkpoint/config_open_clip.h"

#include <check.h>
#include <stdio.h>

#include "tests/support/configs.h"
#include "tests/support/program.h"

START_TEST(open_clip_defaults) {
    struct model_config config =
        configs_parse(config_open_clip_parse, "{\"model_cfg\":{\"embed_dim\":512}}");
    ck_assert(config.found);
    ck_assert_int_eq(config.naming, MODEL_NAMES_OPEN_CLIP);
    ck_assert_uint_eq(config.embed_dim, 512);
    ck_assert_uint_eq(config.vision.width, 768);
    ck_assert_uint_eq(config.vision.layers, 12);
    ck_assert_uint_eq(config.vision.heads, 12);
    ck_assert_uint_eq(config.patch_size, 16);
    ck_assert_uint_eq(config.image_size, 224);
    ck_assert_uint_eq(config.text.width, 512);
    ck_assert_uint_eq(config.text.heads, 8);
    ck_assert_uint_eq(config.text.layers, 12);
    ck_assert_uint_eq(config.context_length, 77);
    ck_assert_uint_eq(config.vocab_size, 49408);
    ck_assert_int_eq(config.vision.activation, MODEL_GELU_ERF);
    ck_assert_int_eq(config.text.activation, MODEL_GELU_ERF);
    ck_assert_float_eq(config.text.layer_norm_eps, 1e-5f);
    ck_assert_int_eq(config.pooling, MODEL_POOL_ARGMAX);
    ck_assert_int_eq(config.preprocess.resize, MODEL_RESIZE_SHORTEST);
    ck_assert_uint_eq(config.preprocess.filter, 3);
    ck_assert_float_eq(config.preprocess.mean[1], 0.4578275f);
    ck_assert(!config.preprocess.convert_first);
    ck_assert(!config.tokenizer.canonicalize && !config.tokenizer.keep_case);
}
END_TEST

START_TEST(open_clip_everything) {
    struct model_config config = configs_parse(
        config_open_clip_parse,
        "{\"model_cfg\":{\"embed_dim\":24,\"quick_gelu\":true,\"custom_text\":true,"
        "\"vision_cfg\":{\"width\":96,\"layers\":3,\"head_width\":32,\"patch_size\":8,"
        "\"image_size\":64,\"mlp_ratio\":4.5,\"norm_kwargs\":{\"eps\":1e-6},\"qk_norm\":false,"
        "\"ls_init_value\":null,\"pool_type\":\"tok\"},"
        "\"text_cfg\":{\"width\":48,\"layers\":2,\"heads\":4,\"context_length\":16,"
        "\"vocab_size\":99,\"pool_type\":\"eos\",\"eos_id\":98,\"no_causal_mask\":false,"
        "\"act_kwargs\":{\"approximate\":\"tanh\"},"
        "\"tokenizer_kwargs\":{\"clean\":\"canonicalize\"}}},"
        "\"preprocess_cfg\":{\"mean\":[0.5,0.25,0],\"std\":[1,0.5,2],\"size\":64,\"mode\":\"RGB\","
        "\"interpolation\":\"bilinear\",\"resize_mode\":\"longest\",\"fill_color\":7}}");
    ck_assert_int_eq(config.vision.activation, MODEL_QUICK_GELU);
    ck_assert_int_eq(config.text.activation, MODEL_GELU_TANH);
    ck_assert_uint_eq(config.vision.heads, 3);
    ck_assert_float_eq(config.vision.layer_norm_eps, 1e-6f);
    ck_assert_float_eq(config.text.layer_norm_eps, 1e-5f);
    ck_assert_uint_eq(config.image_size, 64);
    ck_assert_uint_eq(config.text.heads, 4);
    ck_assert_int_eq(config.pooling, MODEL_POOL_EOS);
    ck_assert_uint_eq(config.end_token, 98);
    ck_assert_int_eq(config.preprocess.resize, MODEL_RESIZE_LONGEST);
    ck_assert_uint_eq(config.preprocess.filter, 2);
    ck_assert_uint_eq(config.preprocess.fill[2], 7);
    ck_assert_float_eq(config.preprocess.mean[1], 0.25f);
    ck_assert_float_eq(config.preprocess.std[2], 2);
    ck_assert(config.tokenizer.canonicalize);
    ck_assert(!config.no_ln_pre && config.image_pooling == MODEL_IMAGE_CLASS &&
              !config.bidirectional);
    ck_assert(!config.vision.layer_scale);
}
END_TEST

/* What timm's names stand for. */
START_TEST(open_clip_timm) {
    struct model_config config = configs_parse(
        config_open_clip_parse,
        "{\"model_cfg\":{\"vision_cfg\":{\"timm_model_name\":\"eva02_enormous_patch14\","
        "\"timm_pool\":\"token\",\"timm_proj\":null,\"image_size\":336}}}");
    ck_assert(config.vision.present && config.text.present);
    ck_assert_int_eq(config.vision.norm_order, MODEL_NORM_RESULT);
    ck_assert_float_eq(config.vision.layer_norm_eps, 1e-6f);
    ck_assert_uint_eq(config.image_size, 336);
    ck_assert_uint_eq(config.vision.width + config.vision.layers + config.patch_size, 0);
    config = configs_parse(config_open_clip_parse,
                           "{\"model_cfg\":{\"vision_cfg\":{\"timm_model_name\":\"eva02_large_\","
                           "\"timm_pool\":\"token\"}}}");
    ck_assert_int_eq(config.vision.norm_order, MODEL_NORM_BEFORE);
    ck_assert_uint_eq(config.image_size, 224);
}
END_TEST

/* The name alone says it: open_clip's quick_gelu is for the texts beside it. */
START_TEST(open_clip_timm_activations) {
    static const struct {
        const char *name, *quick_gelu;
        enum model_activation vision, text;
    } rows[] = {
        {"vit_large_patch14_clip_224", "false", MODEL_GELU_ERF, MODEL_GELU_ERF},
        {"vit_large_patch14_clip_224", "true", MODEL_GELU_ERF, MODEL_QUICK_GELU},
        {"vit_large_patch14_clip_quickgelu_224", "false", MODEL_QUICK_GELU, MODEL_GELU_ERF},
        {"vit_large_patch14_clip_quickgelu_336", "true", MODEL_QUICK_GELU, MODEL_QUICK_GELU},
    };
    char json[160];
    snprintf(json, sizeof(json),
             "{\"model_cfg\":{\"quick_gelu\":%s,\"vision_cfg\":{\"timm_model_name\":\"%s\","
             "\"timm_pool\":\"token\"}}}",
             rows[_i].quick_gelu, rows[_i].name);
    struct model_config config = configs_parse(config_open_clip_parse, json);
    ck_assert_int_eq(config.vision.activation, rows[_i].vision);
    ck_assert_int_eq(config.text.activation, rows[_i].text);
    ck_assert_float_eq(config.vision.layer_norm_eps, 1e-5f);
}
END_TEST

/* Text towers of transformers: the weights say what they are. */
START_TEST(open_clip_roberta) {
    struct model_config config = configs_parse(
        config_open_clip_parse,
        "{\"model_cfg\":{\"quick_gelu\":true,\"text_cfg\":{\"hf_model_name\":\"roberta-base\","
        "\"hf_pooler_type\":\"cls_last_hidden_state_pooler\",\"context_length\":64}}}");
    ck_assert(config.text.present);
    ck_assert_int_eq(config.pooling, MODEL_POOL_FIRST);
    ck_assert_uint_eq(config.context_length, 64);
    ck_assert_uint_eq(config.text.width + config.text.layers + config.vocab_size, 0);
    ck_assert_float_eq(config.text.layer_norm_eps, 0);
    config =
        configs_parse(config_open_clip_parse,
                      "{\"model_cfg\":{\"text_cfg\":{\"hf_model_name\":\"xlm-roberta-base\"}}}");
    ck_assert_int_eq(config.pooling, MODEL_POOL_MEAN);
    ck_assert_uint_eq(config.context_length, 77);
}
END_TEST

/* The towers that differ a little from OpenAI's. */
START_TEST(open_clip_variants) {
    struct model_config config = configs_parse(
        config_open_clip_parse,
        "{\"model_cfg\":{\"mask_image\":true,\"vision_cfg\":{\"no_ln_pre\":true,\"pool_"
        "type\":\"avg\","
        "\"final_ln_after_pool\":true,\"ls_init_value\":1e-4},"
        "\"text_cfg\":{\"no_causal_mask\":true,\"pool_type\":\"last\",\"pad_id\":1,"
        "\"proj_bias\":true}}}");
    ck_assert(config.no_ln_pre && config.image_pooling == MODEL_IMAGE_PATCH_MEAN &&
              config.bidirectional);
    ck_assert(config.vision.layer_scale && !config.text.layer_scale);
    ck_assert(config.vision.pruned && !config.text.pruned);
    ck_assert_int_eq(config.pooling, MODEL_POOL_LAST);
    ck_assert_uint_eq(config.pad_token, 0);
    ck_assert_uint_eq(config.unseen_token, 1);
    config = configs_parse(config_open_clip_parse,
                           "{\"model_cfg\":{\"text_cfg\":{\"pool_type\":\"first\"}}}");
    ck_assert_int_eq(config.pooling, MODEL_POOL_FIRST);
}
END_TEST

#define VISION(feature) "{\"model_cfg\":{\"vision_cfg\":{" feature "}}}"
#define TEXT(feature) "{\"model_cfg\":{\"text_cfg\":{" feature "}}}"
#define PREPROCESS(what) "{\"model_cfg\":{},\"preprocess_cfg\":{" what "}}"

START_TEST(open_clip_refused) {
    static const struct {
        const char *json;
        enum status status;
        const char *message;
    } rows[] = {
        {VISION("\"layers\":[3,4,6]"), STATUS_UNPROCESSABLE, "layers is a list, of which 4"},
        {VISION("\"timm_model_name\":\"x\""), STATUS_UNSUPPORTED, "timm_model_name: \"x\" is not"},
        {VISION("\"timm_model_name\":\"vit_pe_core_large_patch14_336\",\"timm_pool\":\"map\""),
         STATUS_UNSUPPORTED,
         "timm_model_name: \"vit_pe_core_large_patch14_336\" is not supported; supported are CLIP"},
        {VISION("\"timm_model_name\":\"vitamin_large2_224\",\"timm_pool\":\"\""),
         STATUS_UNSUPPORTED,
         "timm_model_name: \"vitamin_large2_224\" is not supported; supported are CLIP"},
        {VISION("\"timm_model_name\":\"naflexvit_base_patch16_siglip\""), STATUS_UNSUPPORTED,
         "timm_model_name: \"naflexvit_base_patch16_siglip\" is not supported; supported are CLIP"},
        {VISION("\"timm_model_name\":\"eva02_x\""), STATUS_UNSUPPORTED,
         "timm_pool is \"avg\", supported is \"token\""},
        {VISION("\"timm_model_name\":\"eva02_x\",\"timm_pool\":\"token\",\"timm_proj\":\"mlp\""),
         STATUS_UNSUPPORTED, "timm_proj is \"mlp\""},
        {VISION("\"timm_model_name\":\"vit_base_patch16_siglip_gap_224\""), STATUS_UNSUPPORTED,
         "timm_pool is \"avg\", supported is \"map\""},
        {VISION("\"attentional_pool\":\"parallel\""), STATUS_UNPROCESSABLE,
         "attentional_pool is not true or false"},
        {VISION("\"attentional_pool\":true,\"attn_pooler_heads\":0"), STATUS_UNPROCESSABLE,
         "attn_pooler_heads is not a whole number"},
        {VISION("\"attentional_pool\":true,\"pool_type\":\"avg\",\"final_ln_after_pool\":true"),
         STATUS_UNSUPPORTED, "pool_type is \"avg\", with attentional_pool \"tok\" is supported"},
        {VISION("\"qk_norm\":true"), STATUS_UNSUPPORTED, "normalised queries and keys"},
        {VISION("\"pool_type\":\"avg\""), STATUS_UNSUPPORTED,
         "\"avg\", supported are \"tok\", and"},
        {VISION("\"pool_type\":\"none\""), STATUS_UNSUPPORTED, "\"none\", supported are \"tok\""},
        {VISION("\"no_ln_pre\":1"), STATUS_UNPROCESSABLE, "no_ln_pre is not true or false"},
        {VISION("\"width\":100,\"head_width\":64"), STATUS_UNPROCESSABLE,
         "vision_cfg: a width of 100 is no multiple of head_width 64"},
        {VISION("\"width\":0"), STATUS_UNPROCESSABLE, "vision_cfg.width is not a whole number"},
        {VISION("\"width\":65537"), STATUS_UNPROCESSABLE, "from 1 to 65536"},
        {VISION("\"width\":\"64\""), STATUS_UNPROCESSABLE,
         "vision_cfg.width is not a whole number"},
        {VISION("\"patch_size\":1.5"), STATUS_UNPROCESSABLE, "patch_size is not a whole number"},
        {VISION("\"norm_kwargs\":{\"eps\":0}"), STATUS_UNPROCESSABLE, "eps is not above 0"},
        {VISION("\"norm_kwargs\":{\"eps\":1e300}"), STATUS_UNPROCESSABLE, "single precision"},
        {"{\"model_cfg\":{\"vision_cfg\":[]}}", STATUS_UNPROCESSABLE,
         "vision_cfg is not an object"},
        {TEXT("\"hf_model_name\":\"google/mt5-base\""), STATUS_UNSUPPORTED,
         "the text tower \"google/mt5-base\" is not supported"},
        {TEXT("\"hf_model_name\":\"Alibaba-NLP/gte-modernbert-base\",\"hf_pooler_type\":"
              "\"cls_pooler\""),
         STATUS_UNSUPPORTED,
         "the text tower \"Alibaba-NLP/gte-modernbert-base\" is not supported; supported are CLIP"},
        {TEXT("\"text_arch\":\"modern\""), STATUS_UNSUPPORTED,
         "text_cfg.text_arch: the text architecture \"modern\" is not supported; supported are "
         "CLIP"},
        {TEXT("\"text_arch\":1"), STATUS_UNPROCESSABLE, "text_arch is not a string"},
        {TEXT("\"hf_model_name\":\"bert-base\",\"hf_pooler_type\":\"cls_pooler\""),
         STATUS_UNSUPPORTED, "hf_pooler_type is \"cls_pooler\", supported are"},
        {TEXT("\"hf_model_name\":\"roberta-base\",\"context_length\":1"), STATUS_UNPROCESSABLE,
         "context_length is not a whole number"},
        {TEXT("\"no_causal_mask\":0"), STATUS_UNPROCESSABLE, "no_causal_mask is not true or"},
        {TEXT("\"embed_cls\":2"), STATUS_UNPROCESSABLE, "embed_cls is not true or false"},
        {TEXT("\"pool_type\":\"none\""), STATUS_UNSUPPORTED, "\"none\", supported are"},
        {TEXT("\"vocab_size\":10,\"pad_id\":10"), STATUS_UNPROCESSABLE,
         "pad_id is not a whole number from 0 to 9"},
        {TEXT("\"vocab_size\":10,\"pool_type\":\"eos\",\"eos_id\":10"), STATUS_UNPROCESSABLE,
         "eos_id is not a whole number from 0 to 9"},
        {TEXT("\"hf_tokenizer_name\":\"bert-base-uncased\",\"tokenizer_mode\":\"clips\""),
         STATUS_UNSUPPORTED, "text_cfg.tokenizer_mode: another order of ids is not supported"},
        {TEXT("\"hf_model_name\":\"roberta-base\",\"tokenizer_mode\":\"clips\""),
         STATUS_UNSUPPORTED, "text_cfg.tokenizer_mode: another order of ids is not supported"},
        {TEXT("\"tokenizer_kwargs\":{\"clean\":\"x\"}"), STATUS_UNSUPPORTED, "clean is \"x\""},
        {PREPROCESS("\"interpolation\":\"lanczos\""), STATUS_UNSUPPORTED, "\"lanczos\""},
        {PREPROCESS("\"resize_mode\":\"crop\""), STATUS_UNSUPPORTED, "resize_mode is \"crop\""},
        {PREPROCESS("\"mean\":[1,2]"), STATUS_UNPROCESSABLE, "three numbers"},
        {PREPROCESS("\"mean\":[1,2,\"3\"]"), STATUS_UNPROCESSABLE, "three numbers"},
        {PREPROCESS("\"fill_color\":256"), STATUS_UNPROCESSABLE, "from 0 to 255"},
        {"{\"model_cfg\":{\"quick_gelu\":1}}", STATUS_UNPROCESSABLE, "is not true or false"},
        {"{}", STATUS_UNPROCESSABLE, "has no model_cfg"},
        {"[]", STATUS_UNPROCESSABLE, "an object is expected"},
        {"{\"model_cfg\":{},\"model_cfg\":{}}", STATUS_UNPROCESSABLE, "duplicate"},
        {"{", STATUS_UNPROCESSABLE, "open_clip_config.json line 1"},
        {"", STATUS_UNPROCESSABLE, "open_clip_config.json line 1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        configs_refuse(config_open_clip_parse, rows[i].json, rows[i].status, rows[i].message);
}
END_TEST

/* Of SigLIP's image towers open_clip says no more than timm's name; CoCa's it spells out. */
START_TEST(open_clip_attention) {
    struct model_config config = configs_parse(
        config_open_clip_parse,
        "{\"model_cfg\":{\"vision_cfg\":{\"timm_model_name\":\"vit_so400m_patch14_siglip_384\","
        "\"image_size\":384,\"timm_pool\":\"map\",\"timm_proj\":\"none\"},\"text_cfg\":{"
        "\"hf_tokenizer_name\":\"x\",\"tokenizer_kwargs\":{\"strip_sep_token\":true},\"proj_type\":"
        "\"none\"}}}");
    ck_assert(config.vision.present && config.text.unprojected);
    ck_assert_uint_eq(config.vision.heads, 16);
    ck_assert_uint_eq(config.image_size, 384);
    ck_assert_int_eq(config.vision.activation, MODEL_GELU_ERF);
    ck_assert_float_eq(config.vision.layer_norm_eps, 1e-6f);
    ck_assert(config.tokenizer.keep_case && config.tokenizer.drop_end);
    config = configs_parse(config_open_clip_parse,
                           "{\"model_cfg\":{\"vision_cfg\":{\"timm_model_name\":"
                           "\"vit_giantopt_patch16_siglip_256\",\"timm_pool\":\"map\"}}}");
    ck_assert_int_eq(config.vision.activation, MODEL_GELU_TANH);
    config =
        configs_parse(config_open_clip_parse,
                      "{\"model_cfg\":{\"vision_cfg\":{\"attentional_pool\":true},\"text_cfg\":{"
                      "\"embed_cls\":true}}}");
    ck_assert_int_eq(config.image_pooling, MODEL_IMAGE_ATTENTION);
    ck_assert_uint_eq(config.pooler_heads, 8);
    ck_assert(config.text_class);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, open_clip_defaults);
    tcase_add_test(tests, open_clip_everything);
    tcase_add_test(tests, open_clip_timm);
    tcase_add_loop_test(tests, open_clip_timm_activations, 0, 4);
    tcase_add_test(tests, open_clip_roberta);
    tcase_add_test(tests, open_clip_variants);
    tcase_add_test(tests, open_clip_refused);
    tcase_add_test(tests, open_clip_attention);
    return program_run("config_open_clip", tests, CK_NOFORK);
}
