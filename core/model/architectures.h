/* architectures.h - the dimensions of known models (SPEC 1.4; the numbers are those of
 * open_clip's model configurations). */
#ifndef CORE_MODEL_ARCHITECTURES_H
#define CORE_MODEL_ARCHITECTURES_H

#include "core/model/info.h"

/* How the blocks of the image tower differ from those of a plain ViT. */
enum architecture_style {
    ARCHITECTURE_PLAIN,
    ARCHITECTURE_EVA,        /* EVA01-g */
    ARCHITECTURE_EVA_RESULT, /* EVA02-E: MODEL_NORM_RESULT */
    ARCHITECTURE_EVA02,      /* turned, gated, inner norms */
};

struct architecture {
    const char *name; /* as open_clip calls it, MobileCLIP-S0 as Apple does */
    uint32_t embed_dim, image_size, patch_size;
    uint32_t vision_width, vision_layers, vision_heads, vision_mlp;
    uint32_t text_width, text_layers, text_heads; /* MLP 4 x width, 77 tokens, 49408 ids */
};

extern const struct architecture architectures[];
extern const size_t architectures_count;

enum architecture_style architecture_style(const struct architecture *architecture);

/* What its image tower has beside that, when it is one of convolutions; else NULL. */
const struct model_resnet *architecture_resnet(const struct architecture *architecture);
const struct model_convnext *architecture_convnext(const struct architecture *architecture);
const struct model_fastvit *architecture_fastvit(const struct architecture *architecture);

/* The tokens that the first and the last layer of its texts look at instead of attending; 0: these
 * attend, too. */
uint32_t architecture_token_window(const struct architecture *architecture);

/* What it has beside that when its images end with attention. */
struct architecture_attention {
    bool siglip; /* else CoCa */
    bool gelu_tanh;
    uint32_t context_length, vocab_size, text_mlp;
};
bool architecture_attention(struct architecture_attention *out,
                            const struct architecture *architecture);

/* NULL if unknown. */
const struct architecture *architecture_named(const char *name);
const struct architecture *architecture_of(const struct model_info *info);

#endif
