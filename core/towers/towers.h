/* towers.h - a model ready to run: views of one block of packed bytes (walk.h). Where a
 * weight lies follows from the model's dimensions, the plan and the instruction sets alone. */
#ifndef CORE_TOWERS_TOWERS_H
#define CORE_TOWERS_TOWERS_H

#include "core/checkpoint/info.h"
#include "core/kernels/attention.h"
#include "core/kernels/depthwise.h"
#include "core/towers/convnext.h"
#include "core/towers/fastvit.h"
#include "core/towers/plan.h"
#include "core/towers/pooler.h"
#include "core/towers/resnet.h"
#include "core/towers/walk.h"

struct block {
    struct norm ln_1, ln_2;
    struct norm ln_out, ln_proj; /* with inner_norms: before out and proj */
    struct linear qkv;           /* [3 * heads * head_width, width], or there is no attention */
    struct linear out;           /* [width, heads * head_width] */
    struct linear gate;          /* as fc, or there is none */
    struct linear fc;            /* [mlp_width, width], or there is no MLP */
    struct linear proj;          /* [width, mlp_width] */
    /* Of a layer with shape.token_window, in the place of attention and of ln_2: x = mix(x), and
     * the MLP takes look(x); see mixer.h. */
    struct window mix, look;
};

struct tower {
    struct model_tower shape;
    bool causal;
    enum model_image_pooling pooling;         /* of texts too, as far as it applies */
    size_t mean_from;                         /* the first row of those that a mean is of */
    size_t tokens_max;                        /* rows of the longest sequence */
    const struct attention_kernel *attention; /* what qkv is computed to depends on it */
    enum gemm_precision attention_precision;  /* GEMM_FP32 or GEMM_BF16 */
    const float *positions;                   /* [tokens_max, width] */
    const float *rope;                        /* [patches, head_width], or NULL */
    depthwise_fn *depthwise;                  /* for shape.token_window */
    struct block *blocks;                     /* [layers], owned */
    struct norm ln_end;                       /* ln_post or ln_final; NULL: none */
    struct linear hidden;                     /* [projection_hidden, width], or there is none */
    struct linear projection;                 /* [embed_dim, pooled_width] */
    bool class_last;                          /* of a text: see info.text_class */
};

/* What a ViT has before its blocks. */
struct vit {
    const float *class_embedding;     /* [width], NULL with info.no_class_token */
    struct linear patch;              /* [width, 3 * patch_size^2], or instead: */
    struct conv stem[MODEL_VIT_STEM]; /* with info.conv_stem, see vit_stem.h */
    struct norm ln_pre;               /* NULL with info.no_ln_pre */
};

struct towers {
    struct tower vision, text; /* shape.layers 0: no such tower */
    const struct row_kernels *rows;
    enum model_image_tower image_tower;
    struct vit vit;           /* with MODEL_IMAGE_VIT */
    struct resnet resnet;     /* with MODEL_IMAGE_RESNET */
    struct convnext convnext; /* with MODEL_IMAGE_CONVNEXT */
    struct fastvit fastvit;   /* with MODEL_IMAGE_FASTVIT */
    struct pooler pooler;     /* with MODEL_IMAGE_ATTENTION */
    /* text */
    const float *embedding;       /* [vocab_size, width] */
    struct norm ln_embedding;     /* NULL with MODEL_TEXT_CLIP */
    const float *class_embedding; /* [width] with info.text_class */
    size_t bytes;                 /* of the block */
};

/* Allocates what is not in the block and measures it: afterwards out->bytes is the
 * size that towers_place() needs. */
enum status towers_create(struct towers *out, const struct model_info *info,
                          const struct plan *plan, unsigned features, struct error *err);
/* Points everything into a block of out->bytes, which must be 64-byte aligned. */
void towers_place(struct towers *out, const struct model_info *info, const struct plan *plan,
                  unsigned features, const uint8_t *block);
/* Towers that run each product with the weights of `int8` where the plan says int8, else
 * with those of `other`, of the same model; both must outlive them. */
enum status towers_mix(struct towers *out, const struct towers *int8, const struct towers *other,
                       const struct plan *plan, struct error *err);
void towers_free(struct towers *towers);

#endif
