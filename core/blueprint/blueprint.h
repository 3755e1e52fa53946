/* blueprint.h - a checkpoint's tensors in their places in the two towers, every shape
 * checked, before anything is packed. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_H
#define CORE_BLUEPRINT_BLUEPRINT_H

#include "core/checkpoint/config.h"
#include "core/towers/convnext.h"
#include "core/towers/fastvit.h"
#include "core/towers/resnet.h"
#include "core/weights/source.h"

struct blueprint_norm {
    struct source gain, bias; /* [width] */
};

/* The rows of one product: one tensor, or those for q, k and v one behind the other. */
struct blueprint_linear {
    struct source weights[3], biases[3]; /* [rows, k] and [rows] */
    struct source scale;                 /* [rows], LayerScale: what the result is multiplied by */
    float factor;                        /* of weights and biases; 0: none */
    size_t parts;                        /* 0: there is no such product */
};

/* A convolution with a bias, or with a BatchNorm behind it. */
struct blueprint_conv {
    struct source weight;                     /* [n, channels * window^2] */
    struct source gain, bias, mean, variance; /* [n]; of the bias alone, or of all */
};

/* Convolutions side by side whose results are added up (SPEC 4.6); smaller windows stand in the
 * middle of larger ones. */
enum { BLUEPRINT_BRANCHES = 4 };

struct blueprint_branch {
    struct blueprint_conv conv;
    uint32_t window; /* 0: no weight, the pixel itself goes through the BatchNorm */
    bool subtracted;
};

struct blueprint_branches {
    struct blueprint_branch list[BLUEPRINT_BRANCHES];
    uint32_t count;
    struct source scale; /* [n], LayerScale: what the sum is multiplied by, or none */
    bool passes;         /* in the end the pixel itself is added */
};

struct blueprint_block {
    struct blueprint_norm ln_1, ln_2;
    struct blueprint_norm ln_out, ln_proj; /* with inner_norms */
    struct blueprint_linear qkv, out, fc, proj;
    struct blueprint_linear gate;        /* as fc, if gated */
    struct blueprint_branches mix, look; /* of a layer that looks at tokens, see struct block */
};

struct blueprint_tower {
    struct source positions;            /* [tokens, width] */
    struct blueprint_block *blocks;     /* [layers] */
    struct blueprint_norm ln_end;       /* ln_post or ln_final */
    struct blueprint_linear hidden;     /* with projection_hidden: comes before it, no bias */
    struct blueprint_linear projection; /* [embed_dim, width], seldom with bias */
};

/* What a ViT has before its blocks. */
struct blueprint_vit {
    struct source class_embedding;              /* none with info.no_class_token */
    struct blueprint_linear patch;              /* [width, 3 * patch_size^2], seldom with bias */
    struct blueprint_norm ln_pre;               /* none with info.no_ln_pre */
    struct blueprint_conv stem[MODEL_VIT_STEM]; /* with info.conv_stem, in the place of `patch` */
    struct source rope;                         /* [patches, head_width], with vision.rope_side */
};

/* Rows of a tensor: [count, columns] from `first` on. */
struct blueprint_rows {
    struct source weight;
    size_t first;
};

/* What a pooler is made of, see pooler.h. */
struct blueprint_pooler {
    struct source query;           /* [queries, columns of q], of which the first counts */
    struct blueprint_norm ln_q;    /* of the query, or none */
    struct blueprint_norm ln_k;    /* of the rows */
    struct blueprint_rows q, k, v; /* pooled_width rows of each */
    struct source biases[2];       /* of q, k and v one behind the other, in one tensor or two */
    struct blueprint_linear out, fc, proj;
    struct blueprint_norm ln;
};

struct blueprint_bottleneck {
    struct blueprint_conv convs[RESNET_CONVS]; /* enum resnet_conv */
};

struct blueprint_resnet {
    struct blueprint_conv stem[RESNET_STEM];
    struct blueprint_bottleneck *blocks;      /* of all stages */
    struct blueprint_linear query, key_value; /* [width, width] and two of these */
};

struct blueprint_convnext_block {
    struct blueprint_norm halve_norm, norm;
    struct blueprint_conv halve;
    struct source window, window_bias; /* [width, 49] and [width] */
    struct blueprint_linear fc, proj;  /* [4 * width, width] and back */
};

struct blueprint_convnext {
    struct blueprint_conv stem;
    struct blueprint_norm stem_norm;
    struct blueprint_convnext_block *blocks; /* of all stages */
    struct blueprint_linear head;            /* [hidden, width], or none */
};

struct blueprint_squeeze {
    struct blueprint_linear fc, proj; /* or none */
};

/* As struct fastvit_layer. */
struct blueprint_fastvit_layer {
    struct blueprint_branches first, entry, positions, window;
    struct blueprint_squeeze squeeze;
    struct blueprint_conv norm; /* a LayerNorm has gain and bias alone */
    struct blueprint_linear qkv, out, fc, proj;
};

struct blueprint_fastvit {
    struct blueprint_branches stem, stem_window, stem_mix, end;
    struct blueprint_squeeze end_squeeze;
    struct blueprint_fastvit_layer *layers;
};

/* What is not in a file as it is wanted: interpolated positions, angles. */
enum { BLUEPRINT_VISION_POSITIONS, BLUEPRINT_TEXT_POSITIONS, BLUEPRINT_ROPE, BLUEPRINT_COMPUTED };

struct blueprint {
    struct blueprint_tower vision, text;
    struct blueprint_vit vit;           /* with MODEL_IMAGE_VIT */
    struct blueprint_resnet resnet;     /* with MODEL_IMAGE_RESNET */
    struct blueprint_convnext convnext; /* with MODEL_IMAGE_CONVNEXT */
    struct blueprint_fastvit fastvit;   /* with MODEL_IMAGE_FASTVIT */
    struct blueprint_pooler pooler;     /* with MODEL_IMAGE_ATTENTION */
    /* text */
    struct source embedding;            /* [vocab_size, width] */
    struct source class_embedding;      /* with info.text_class */
    struct blueprint_norm ln_embedding; /* of MODEL_TEXT_BERT and _ROBERTA */

    const struct tensors *tensors;       /* that all of this is from; NULL for random weights */
    float *computed[BLUEPRINT_COMPUTED]; /* owned */
};

/* Fills the blueprint and the dimensions in `info`, whose naming becomes that of the
 * configuration, or of the tensors when there was none. The size of the images is that of
 * the configuration unless `info` states one. The blueprint borrows the tensors. */
enum status blueprint_draw(struct blueprint *out, struct model_info *info, struct tensors *tensors,
                           const struct model_config *config, struct error *err);
void blueprint_free(struct blueprint *blueprint);

#endif
