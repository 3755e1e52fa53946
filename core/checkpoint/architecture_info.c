#include "core/checkpoint/architecture_info.h"

#include <stdio.h>
#include <string.h>

enum { CONTEXT_LENGTH = 77, VOCAB_SIZE = 49408 };

/* ---- image towers ---- */

static void set_eva(struct model_info *info) {
    struct model_tower *tower = &info->vision;
    info->no_ln_pre = info->patch_bias = tower->projection_bias = true;
    tower->layer_norm_eps = 1e-6f;
}

static void set_eva_result(struct model_info *info) {
    set_eva(info);
    info->vision.norm_order = MODEL_NORM_RESULT;
}

static void set_eva02(struct model_info *info) {
    set_eva(info);
    info->vision.gated = info->vision.inner_norms = true;
    info->vision.rope_side = 16;
}

static void set_conv_stem(struct model_info *info) {
    info->no_ln_pre = info->conv_stem = info->vision.projection_bias = true;
    info->vision.layer_norm_eps = 1e-6f;
}

static void set_timm_clip(struct model_info *info) {
    info->vision.projection_bias = true;
}

static void set_clipa(struct model_info *info) {
    info->no_ln_pre = true;
    info->image_pooling = MODEL_IMAGE_PATCH_MEAN;
}

static void set_coca(struct model_info *info) {
    info->image_pooling = MODEL_IMAGE_ATTENTION;
    info->pooler.heads = 8;
    info->vision.pooled_width = info->embed_dim;
}

static void set_siglip(struct model_info *info) {
    enum { SO400M_WIDTH = 1152, SO400M_MLP = 4304 };
    info->image_pooling = MODEL_IMAGE_ATTENTION;
    info->pooler.heads = info->vision.heads;
    info->pooler.mlp_width = info->vision.mlp_width;
    info->no_ln_pre = info->no_class_token = info->patch_bias = info->sigmoid = true;
    info->vision.no_ln_end = info->text.projection_bias = true;
    info->vision.projected = false;
    info->vision.layer_norm_eps = info->text.layer_norm_eps = 1e-6f;
    if (info->text.width == SO400M_WIDTH) info->text.mlp_width = SO400M_MLP;
    info->logit_bias = -10;
}

static void set_siglip2(struct model_info *info) {
    set_siglip(info);
    info->vision.activation = info->text.activation = MODEL_GELU_TANH;
}

/* The parts of names by which ViTs differ from OpenAI's; the first that fits counts. */
static const struct {
    const char *part;
    void (*set)(struct model_info *info);
} images[] = {
    {"EVA01-g", set_eva},
    {"EVA02-E", set_eva_result},
    {"EVA02", set_eva02},
    {"MobileCLIP-B", set_conv_stem},
    {"MobileCLIP2-B", set_conv_stem},
    {"MobileCLIP2-L", set_timm_clip},
    {"-CLIPA", set_clipa},
    {"coca_ViT", set_coca},
    {"-SigLIP2", set_siglip2},
    {"-SigLIP", set_siglip},
};

static void set_images(struct model_info *info, const struct architecture *a) {
    const struct model_resnet *resnet = architecture_resnet(a);
    const struct model_convnext *convnext = architecture_convnext(a);
    const struct model_fastvit *fastvit = architecture_fastvit(a);
    struct model_tower *vision = &info->vision;
    if (resnet) {
        info->image_tower = MODEL_IMAGE_RESNET;
        info->resnet = *resnet;
        vision->projection_bias = true;
    }
    if (convnext) {
        info->image_tower = MODEL_IMAGE_CONVNEXT;
        info->convnext = *convnext;
        vision->layer_norm_eps = 1e-6f;
    }
    if (fastvit) {
        info->image_tower = MODEL_IMAGE_FASTVIT;
        info->fastvit = *fastvit;
        vision->pooled_width = 2 * vision->width;
        vision->no_ln_end = vision->projection_bias = true;
    }
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (!strstr(a->name, images[i].part)) continue;
        images[i].set(info);
        return;
    }
}

/* ---- text towers ---- */

struct text_kind {
    const char *part; /* of names; the first that fits counts */
    uint32_t context_length, vocab_size;
    enum model_pooling pooling;
    uint32_t end_token;
    bool bidirectional, text_class, is_bert;
};

static const struct text_kind texts[] = {
    {"xlm-roberta", CONTEXT_LENGTH, 250002, MODEL_POOL_MEAN, .is_bert = true},
    {"roberta", CONTEXT_LENGTH, 50265, MODEL_POOL_MEAN, .is_bert = true},
    {"coca_base", 76, 64000, MODEL_POOL_ARGMAX, .text_class = true},
    {"coca_", 76, VOCAB_SIZE, MODEL_POOL_ARGMAX, .text_class = true},
    {"-SigLIP2", 64, 256000, MODEL_POOL_LAST, .bidirectional = true},
    {"-SigLIP-i18n", 64, 250000, MODEL_POOL_LAST, .bidirectional = true},
    {"-SigLIP", 64, 32000, MODEL_POOL_LAST, .bidirectional = true},
    {"-CLIPA", 32, 32000, MODEL_POOL_LAST, .bidirectional = true},
    {"ViT-L-14-worldwide", CONTEXT_LENGTH, 250100, MODEL_POOL_EOS, .end_token = 1},
    {"-worldwide", CONTEXT_LENGTH, 901629, MODEL_POOL_EOS, .end_token = 2},
    {"MobileCLIP-B", CONTEXT_LENGTH, VOCAB_SIZE, MODEL_POOL_ARGMAX, .bidirectional = false},
    {"MobileCLIP2-B", CONTEXT_LENGTH, VOCAB_SIZE, MODEL_POOL_ARGMAX, .bidirectional = false},
    {"MobileCLIP", CONTEXT_LENGTH, VOCAB_SIZE, MODEL_POOL_ARGMAX, .bidirectional = true},
    {"", CONTEXT_LENGTH, VOCAB_SIZE, MODEL_POOL_ARGMAX, .bidirectional = false},
};

/* OpenCLIP ends towers of transformers with two products, but in CoCa with one. Of the
 * configurations with such towers the first one alone says quick_gelu, of its images. */
static void set_bert(struct model_info *info, const char *name) {
    struct model_tower *text = &info->text;
    info->text_tower = MODEL_TEXT_ROBERTA;
    info->bidirectional = true;
    info->pad_token = 1;
    text->norm_order = MODEL_NORM_SUM;
    text->no_ln_end = true;
    text->activation = MODEL_GELU_ERF;
    if (!strcmp(name, "roberta-ViT-B-32")) info->vision.activation = MODEL_QUICK_GELU;
    if (strstr(name, "coca_")) return;
    text->projection_hidden = text->pooled_width = (text->width + info->embed_dim) / 2;
}

/* The first and the last layer look at that many tokens and have no heads. */
static void set_mixers(struct model_tower *text, uint32_t window) {
    text->token_window = window;
    text->pruned = true;
    for (uint32_t i = 0; i < text->layers; i++) {
        bool looks = i == 0 || i + 1 == text->layers;
        text->pruned_layers[i] =
            (struct model_layer){.heads = looks ? 0 : text->heads, .mlp_width = text->mlp_width};
    }
}

static void set_texts(struct model_info *info, const struct architecture *a) {
    enum { MOBILECLIP_S0_WINDOW = 11, SIGLIP_SO400M_CONTEXT = 16 };
    const struct text_kind *kind = texts;
    while (!strstr(a->name, kind->part)) kind++;
    info->context_length = kind->context_length;
    info->vocab_size = kind->vocab_size;
    info->pooling = kind->pooling;
    info->end_token = kind->end_token;
    info->bidirectional = kind->bidirectional;
    info->text_class = kind->text_class;
    if (kind->is_bert) set_bert(info, a->name);
    if (!strcmp(a->name, "MobileCLIP-S0")) set_mixers(&info->text, MOBILECLIP_S0_WINDOW);
    if (!strcmp(a->name, "ViT-SO400M-14-SigLIP") && a->image_size == 224)
        info->context_length = SIGLIP_SO400M_CONTEXT;
}

/* ---- both ---- */

void architecture_info_fill(struct model_info *out, const struct architecture *a) {
    const enum model_activation activation = MODEL_GELU_ERF;
    *out = (struct model_info){
        .naming = MODEL_NAMES_OPEN_CLIP,
        .embed_dim = a->embed_dim,
        .image_size = a->image_size,
        .image_width = a->image_size,
        .patch_size = a->patch_size,
        .vision = {.width = a->vision_width,
                   .layers = a->vision_layers,
                   .heads = a->vision_heads,
                   .head_width = a->vision_heads ? a->vision_width / a->vision_heads : 0,
                   .pooled_width = a->vision_width,
                   .mlp_width = a->vision_mlp,
                   .projected = true,
                   .activation = activation,
                   .layer_norm_eps = 1e-5f},
        .text = {.width = a->text_width,
                 .layers = a->text_layers,
                 .heads = a->text_heads,
                 .head_width = a->text_width / a->text_heads,
                 .pooled_width = a->text_width,
                 .mlp_width = 4 * a->text_width,
                 .projected = true,
                 .activation = activation,
                 .layer_norm_eps = 1e-5f},
        .logit_scale = 100,
        .preprocess = {.filter = 3,
                       .mean = {0.5f, 0.5f, 0.5f},
                       .std = {0.25f, 0.25f, 0.25f},
                       .rescale = 1 / 255.0f},
    };
    set_images(out, a);
    set_texts(out, a);
    snprintf(out->sha256, sizeof(out->sha256), "random");
    architecture_print(out->architecture, sizeof(out->architecture), a);
}

bool architecture_info_named(struct model_info *out, const char *name) {
    static const char end[] = "-quickgelu";
    const size_t end_size = sizeof(end) - 1;
    char base[sizeof(out->architecture)];
    size_t size = strlen(name);
    bool quick = size > end_size && !strcmp(name + size - end_size, end);
    struct architecture a;
    if (size >= sizeof(base)) return false;
    memcpy(base, name, size + 1);
    if (quick) base[size - end_size] = '\0';
    if (!architecture_named(&a, base)) return false;
    architecture_info_fill(out, &a);
    if (!quick) return true;
    snprintf(out->architecture, sizeof(out->architecture), "%s", name);
    out->vision.activation = MODEL_QUICK_GELU;
    if (out->text_tower == MODEL_TEXT_CLIP) out->text.activation = MODEL_QUICK_GELU;
    return true;
}

static bool same_tower(const struct model_tower *a, const struct model_tower *b) {
    return a->width == b->width && a->layers == b->layers && a->mlp_width == b->mlp_width &&
           a->projection_hidden == b->projection_hidden;
}

static bool same_kind(const struct model_info *a, const struct model_info *b) {
    return a->image_tower == b->image_tower && a->image_pooling == b->image_pooling &&
           a->patch_bias == b->patch_bias && a->conv_stem == b->conv_stem &&
           a->text_tower == b->text_tower && a->text_class == b->text_class &&
           a->bidirectional == b->bidirectional;
}

/* With its vocabulary, or with any in the place of a plain one. */
static bool find_name(char *out, size_t size, const struct model_info *info, bool same_vocabulary) {
    const uint32_t vocab_size = same_vocabulary ? info->vocab_size : VOCAB_SIZE;
    for (size_t i = 0; i < architectures_count; i++) {
        struct architecture a = architectures[i];
        struct model_info known;
        a.image_size = info->image_size;
        architecture_info_fill(&known, &a);
        if (known.vocab_size != vocab_size || known.embed_dim != info->embed_dim ||
            known.patch_size != info->patch_size || !same_kind(&known, info) ||
            !same_tower(&known.vision, &info->vision) || !same_tower(&known.text, &info->text))
            continue;
        snprintf(out, size, "%s", known.architecture);
        return true;
    }
    return false;
}

void architecture_info_name(char *out, size_t size, const struct model_info *info) {
    if (find_name(out, size, info, true) || find_name(out, size, info, false)) return;
    snprintf(out, size, "CLIP");
}
