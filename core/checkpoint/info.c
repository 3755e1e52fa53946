#include "core/checkpoint/info.h"

#include <string.h>

const char *model_activation_name(enum model_activation activation) {
    static const char *const names[] = {"quick_gelu", "gelu", "gelu_tanh"};
    return names[activation];
}

static const char *const precisions[] = {"fp32", "bf16", "int8"};

const char *model_precision_name(enum model_precision precision) {
    return precisions[precision];
}

bool model_precision_parse(enum model_precision *out, const char *name) {
    for (size_t i = 0; i < sizeof(precisions) / sizeof(precisions[0]); i++) {
        if (strcmp(precisions[i], name) != 0) continue;
        *out = (enum model_precision)i;
        return true;
    }
    return false;
}

size_t model_patches(const struct model_info *info) {
    if (!info->patch_size) return 0;
    size_t rows = info->image_size / info->patch_size,
           columns = info->image_width / info->patch_size;
    return rows * columns;
}

size_t model_image_tokens(const struct model_info *info) {
    if (info->image_tower == MODEL_IMAGE_CONVNEXT || info->image_tower == MODEL_IMAGE_FASTVIT)
        return 1;
    return !info->no_class_token + model_patches(info);
}

size_t model_text_tokens(const struct model_info *info) {
    return (size_t)info->context_length + info->text_class;
}

struct model_layer model_tower_layer(const struct model_tower *tower, uint32_t layer) {
    if (tower->pruned) return tower->pruned_layers[layer];
    return (struct model_layer){.heads = tower->heads, .mlp_width = tower->mlp_width};
}

static double tower_operations(const struct model_tower *tower, uint32_t embed_dim, size_t tokens) {
    double rows = (double)tokens, width = tower->width;
    double operations = tower->projected ? 2.0 * tower->pooled_width * embed_dim : 0;
    operations += 2 * width * tower->projection_hidden;
    for (uint32_t i = 0; i < tower->layers; i++) {
        struct model_layer layer = model_tower_layer(tower, i);
        double attention = (double)layer.heads * tower->head_width;
        double mlp = (tower->gated ? 3 : 2) * (double)layer.mlp_width;
        operations += 2 * rows * width * (4 * attention + mlp) + 4 * rows * rows * attention;
        if (!layer.heads) operations += 4 * rows * width * tower->token_window;
    }
    return operations;
}

/* Of one convolution, that makes `pixels`. */
static double conv_operations(double pixels, double window, double in, double out) {
    return 2 * pixels * window * window * in * out;
}

/* Of the attention only the first row is asked for, as in OpenAI's implementation. */
static double resnet_operations(const struct model_info *info) {
    const struct model_resnet *shape = &info->resnet;
    double width = shape->width, pixels = (double)info->image_size * info->image_width / 4;
    double sum = conv_operations(pixels, 3, 3, width / 2) +
                 conv_operations(pixels, 3, width / 2, width / 2) +
                 conv_operations(pixels, 3, width / 2, width);
    double in = width, planes = width;
    pixels /= 4;
    for (int stage = 0; stage < MODEL_STAGES; stage++, planes *= 2) {
        for (uint32_t i = 0; i < shape->blocks[stage]; i++, in = 4 * planes) {
            double before = pixels;
            if (i == 0 && stage) pixels /= 4;
            sum += conv_operations(before, 1, in, planes) +
                   conv_operations(before, 3, planes, planes) +
                   conv_operations(pixels, 1, planes, 4 * planes);
            if (i == 0) sum += conv_operations(pixels, 1, in, 4 * planes);
        }
    }
    double tokens = (double)model_image_tokens(info), channels = info->vision.width;
    double keys = 2 * tokens * channels * 2 * channels, query = 2 * channels * channels;
    return sum + keys + query + 4 * tokens * channels + 2 * channels * info->embed_dim;
}

/* The windows of channels count like all other products. */
static double convnext_operations(const struct model_info *info) {
    const struct model_convnext *shape = &info->convnext;
    double pixels = (double)info->image_size * info->image_width / 16, sum = 0, in = 3;
    for (int stage = 0; stage < MODEL_STAGES; stage++) {
        double width = shape->widths[stage];
        if (stage) pixels /= 4;
        sum += conv_operations(pixels, stage ? 2 : 4, in, width);
        sum += shape->blocks[stage] * (conv_operations(pixels, 7, 1, width) +
                                       conv_operations(pixels, 1, width, 8 * width));
        in = width;
    }
    double hidden = shape->hidden;
    return sum + (hidden > 0 ? 2 * hidden * (in + info->embed_dim) : 2 * in * info->embed_dim);
}

/* In each stage as many pixels as a stride of 2 leaves. */
static double fastvit_operations(const struct model_info *info) {
    const struct model_fastvit *shape = &info->fastvit;
    double width = shape->width, expansion = shape->expansion;
    size_t lines = info->image_size / 2, columns = info->image_width / 2;
    double pixels = (double)(lines * columns), sum = conv_operations(pixels, 3, 3, width);
    for (uint32_t stage = 0; stage < shape->stages; stage++, width *= 2) {
        lines = (lines + 1) / 2;
        columns = (columns + 1) / 2;
        pixels = (double)(lines * columns);
        double block = conv_operations(pixels, 7, 1, width) +
                       2 * conv_operations(pixels, 1, width, expansion * width);
        if (stage < shape->attending) {
            block += conv_operations(pixels, 3, 1, width);
        } else {
            block += conv_operations(pixels, 1, width, 4 * width) + 4 * pixels * pixels * width;
            sum += conv_operations(pixels, 7, 1, width);
        }
        sum += shape->blocks[stage] * block + conv_operations(pixels, stage ? 7 : 3, 1, width) +
               conv_operations(pixels, 1, width, width) + 4 * width * shape->squeezed[stage];
    }
    return sum + conv_operations(pixels, 3, 1, width) + 4 * width * shape->end_squeezed +
           2 * width * info->embed_dim;
}

/* As the references compute it: keys and values of all rows, for one query. */
static double pooler_operations(const struct model_info *info) {
    double rows = (double)model_image_tokens(info), from = info->vision.width,
           width = info->vision.pooled_width;
    if (info->image_pooling != MODEL_IMAGE_ATTENTION) return 0;
    return 4 * rows * width * (from + 1) + 2 * width * (2 * width + 2.0 * info->pooler.mlp_width);
}

double model_image_operations(const struct model_info *info) {
    if (info->image_tower == MODEL_IMAGE_CONVNEXT) return convnext_operations(info);
    if (info->image_tower == MODEL_IMAGE_FASTVIT) return fastvit_operations(info);
    if (info->image_tower == MODEL_IMAGE_RESNET) return resnet_operations(info);
    double patches = (double)model_patches(info), patch_size = info->patch_size;
    double width = info->vision.width, entry = 2 * patches * 3 * patch_size * patch_size * width;
    if (info->conv_stem) {
        entry = conv_operations(16 * patches, 4, 3, width / 4) +
                conv_operations(4 * patches, 2, width / 4, width / 4) +
                conv_operations(patches, 2, width / 4, width);
    }
    return entry + tower_operations(&info->vision, info->embed_dim, model_image_tokens(info)) +
           pooler_operations(info);
}

double model_text_operations(const struct model_info *info, size_t tokens) {
    /* A bidirectional tower sees the padding, too, unless it is BERT's. */
    bool whole = info->bidirectional && info->text_tower == MODEL_TEXT_CLIP;
    tokens = whole ? info->context_length : tokens + info->text_class;
    return tower_operations(&info->text, info->embed_dim, tokens);
}
