/* info.h - what is known of a model: its dimensions and what its checkpoint says of
 * preprocessing and tokenizing.
 *
 * Plain values without pointers, because the packed file holds them, too. */
#ifndef CORE_CHECKPOINT_INFO_H
#define CORE_CHECKPOINT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/sha256.h"

enum model_precision { MODEL_FP32, MODEL_BF16, MODEL_INT8 };
enum model_activation { MODEL_QUICK_GELU, MODEL_GELU_ERF, MODEL_GELU_TANH };
enum model_naming { MODEL_NAMES_OPENAI, MODEL_NAMES_OPEN_CLIP, MODEL_NAMES_HF };
/* What an image goes through. */
enum model_image_tower {
    MODEL_IMAGE_VIT,
    MODEL_IMAGE_RESNET,
    MODEL_IMAGE_CONVNEXT,
    MODEL_IMAGE_FASTVIT
};
/* What a text goes through. BERT and RoBERTa normalise what they begin with and do not see
 * padding, to which RoBERTa gives no position either. */
enum model_text_tower { MODEL_TEXT_CLIP, MODEL_TEXT_BERT, MODEL_TEXT_ROBERTA };
/* What becomes the embedding of an image: the class token, the mean of the patches (CLIPA), or
 * what attention makes of all rows (SigLIP, CoCa). */
enum model_image_pooling { MODEL_IMAGE_CLASS, MODEL_IMAGE_PATCH_MEAN, MODEL_IMAGE_ATTENTION };
/* Which row of a text becomes its embedding: that of the largest id, the first that is
 * `end_token`, the first or the last of the whole context, or the mean of all. */
enum model_pooling {
    MODEL_POOL_ARGMAX,
    MODEL_POOL_EOS,
    MODEL_POOL_FIRST,
    MODEL_POOL_LAST,
    MODEL_POOL_MEAN
};

/* Towers that were pruned layer by layer (TinyCLIP's automatic models) are no deeper. */
enum { MODEL_PRUNED_MAX = 64 };

/* 0: that half of the layer is not there, and its rows pass unchanged. */
struct model_layer {
    uint32_t heads, mlp_width;
};

/* Where a block's LayerNorms stand: x + f(LN(x)); x + LN(f(x)), EVA02-E; LN(x + f(x)), BERT. */
enum model_norm_order { MODEL_NORM_BEFORE, MODEL_NORM_RESULT, MODEL_NORM_SUM };

struct model_tower {
    uint32_t width, layers, heads, mlp_width; /* layers 0: the checkpoint has no such tower */
    uint32_t head_width;
    enum model_norm_order norm_order;
    bool gated;            /* SwiGLU, whatever the activation says */
    bool inner_norms;      /* LayerNorms before the products that leave attention and MLP, too */
    uint32_t token_window; /* layers without heads look at so many tokens around each instead; 0:
                              they do nothing */
    uint32_t rope_side;    /* queries and keys are turned by where their patch lies in a grid that
                              counts as so many patches a side; 0: they are not */
    bool pruned; /* layers differ: `pruned_layers` counts, heads and mlp_width are the most */
    struct model_layer pruned_layers[MODEL_PRUNED_MAX];
    uint32_t pooled_width;      /* of the row that becomes the embedding; mostly `width` */
    uint32_t projection_hidden; /* of a projection of two products; 0: it is one */
    bool no_ln_end;             /* nothing is normalised behind the pooling */
    bool projected;             /* false: the pooled features are the embedding */
    enum model_activation activation;
    float layer_norm_eps;
    bool projection_bias;
};

enum { MODEL_STAGES = 4 }; /* of towers of convolutions */
enum { MODEL_FASTVIT_STAGES = 5 };
enum { MODEL_VIT_STEM = 3 }; /* convolutions in the place of a patch product */

/* What a ModifiedResNet has beside a width and layers, which are the channels of its last map,
 * and the blocks of all stages and the attention behind them. */
struct model_resnet {
    uint32_t width; /* channels that its first stage works with */
    uint32_t blocks[MODEL_STAGES];
};

/* A ConvNeXt's; its width and layers are those of its last stage and all of its blocks. */
struct model_convnext {
    uint32_t widths[MODEL_STAGES], blocks[MODEL_STAGES];
    uint32_t hidden; /* of two products at the end; 0: there is one */
};

/* A FastViT's; its width and layers are those of its last stage, and its blocks with what halves
 * the resolution between stages. */
struct model_fastvit {
    uint32_t width; /* channels of the first stage; every other has twice those before it */
    uint32_t stages, blocks[MODEL_FASTVIT_STAGES];
    uint32_t attending; /* the first stage with attention */
    uint32_t expansion; /* of MLPs */
    /* Channels that gates are computed from, where a stage begins and at the end; 0: no gates */
    uint32_t squeezed[MODEL_FASTVIT_STAGES], end_squeezed;
    bool layer_norm; /* before attention; else a BatchNorm, which has become a part of it */
};

/* With MODEL_IMAGE_ATTENTION, see pooler.h; its width is the tower's pooled_width. */
struct model_pooler {
    uint32_t heads, mlp_width; /* mlp_width 0: there is no MLP */
};

/* What the checkpoint says of its preprocessing (SPEC 6.2, 6.6, 7.4), as plain
 * values: core/image does not depend on this module, nor this on core/image. */
struct model_preprocess {
    uint32_t resize_to; /* the side before the crop; 0: image_size */
    enum {
        MODEL_RESIZE_SHORTEST,
        MODEL_RESIZE_SQUASH,
        MODEL_RESIZE_LONGEST,
        MODEL_RESIZE_NONE
    } resize;
    bool convert_first; /* HF order: RGB before the resize, floor crop */
    uint32_t filter;    /* Pillow's number: 2 bilinear, 3 bicubic ... */
    float mean[3], std[3];
    float rescale; /* 1/255 */
    uint8_t fill[3];
};

/* What the checkpoint says of its tokenizer. */
struct model_tokenizer {
    bool canonicalize, keep_case; /* open_clip's `clean`: canonicalize, whitespace */
    bool drop_end;                /* its strip_sep_token */
};

/* How near embeddings come to those in fp32, over some inputs: as they are, and after
 * what all of them have in common, the mean in fp32, is taken off. The latter is the
 * harder measure: embeddings of random models, and of similar inputs, are much alike. */
struct model_cosines {
    double min, mean, centred_min, centred_mean;
};

/* What is known of int8. Without a measurement all is 0. */
struct model_quality {
    bool measured;
    uint32_t exceptions;          /* products that are not int8 */
    struct model_cosines cosines; /* of both towers, the worse of each */
};

struct model_info {
    char architecture[64]; /* "ViT-B-32" when the dimensions are known, else "CLIP" */
    enum model_naming naming;
    uint32_t embed_dim;
    uint32_t image_size, patch_size; /* pixels a side */
    uint32_t image_width;            /* image_size, but for oblong images */
    uint32_t context_length, vocab_size;
    struct model_tower vision, text;
    enum model_image_tower image_tower;
    struct model_resnet resnet;     /* with MODEL_IMAGE_RESNET */
    struct model_convnext convnext; /* with MODEL_IMAGE_CONVNEXT */
    struct model_fastvit fastvit;   /* with MODEL_IMAGE_FASTVIT */
    enum model_image_pooling image_pooling;
    struct model_pooler pooler;
    bool no_ln_pre, no_class_token, patch_bias, conv_stem;
    enum model_text_tower text_tower;
    bool bidirectional; /* every token of a text sees every other, and padding, too */
    enum model_pooling pooling;
    uint32_t end_token;    /* for MODEL_POOL_EOS */
    uint32_t pad_token;    /* what fills the context of a bidirectional tower */
    bool text_class;       /* CoCa: a row of its own behind the text becomes the embedding */
    uint32_t unseen_token; /* of a text, by that row */
    float logit_scale;     /* exp() already taken */
    float logit_bias;      /* 0 but for SigLIP */
    bool sigmoid;          /* each pair of image and text has a probability of its own */
    uint64_t parameters;
    char sha256[SHA256_HEX_SIZE]; /* of the weight files */
    enum model_precision precision;
    struct model_quality quality;
    struct model_preprocess preprocess;
    struct model_tokenizer tokenizer;
};

/* "quick_gelu", "gelu", "gelu_tanh". */
const char *model_activation_name(enum model_activation activation);
/* "fp32", "bf16", "int8". */
const char *model_precision_name(enum model_precision precision);
bool model_precision_parse(enum model_precision *out, const char *name);
struct model_layer model_tower_layer(const struct model_tower *tower, uint32_t layer);
/* Patches of an image, without a class token; pixels of the last map of a ResNet. */
size_t model_patches(const struct model_info *info);
/* Rows of an image in the blocks of the image tower; of a ConvNeXt and a FastViT one, the mean of
 * its pixels. */
size_t model_image_tokens(const struct model_info *info);

/* Rows of a text whose context is full. */
size_t model_text_tokens(const struct model_info *info);

/* What a tower costs for one input by the textbook: two operations for each product that
 * is added, in all rows of all layers. Savings, such as a last layer for the pooled row
 * alone, are not taken off, so that rates compare with those of other programs. */
double model_image_operations(const struct model_info *info);
double model_text_operations(const struct model_info *info, size_t tokens);

#endif
