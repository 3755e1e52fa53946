/* architectures.h - the dimensions of known models (SPEC 1.4; the numbers are those of
 * open_clip's model configurations), by their names there.
 *
 * A size of images at the end of a name needs no row of its own: ViT-L-14-336 is ViT-L-14 for such
 * images. What the towers are beside these numbers says architecture_info.h. */
#ifndef CORE_CHECKPOINT_ARCHITECTURES_H
#define CORE_CHECKPOINT_ARCHITECTURES_H

#include "core/checkpoint/info.h"

struct architecture {
    const char *name; /* as open_clip calls it, MobileCLIP-S0 as Apple does; of the row */
    uint32_t embed_dim, image_size, patch_size;
    uint32_t vision_width, vision_layers, vision_heads, vision_mlp;
    uint32_t text_width, text_layers, text_heads; /* an MLP 4 times as wide, but for SO400M's */
};

extern const struct architecture architectures[];
extern const size_t architectures_count;

/* False if unknown. A size, of three digits, takes the place of the row's. */
bool architecture_named(struct architecture *out, const char *name);
/* Its name, with the size of images that are not the row's. */
void architecture_print(char *out, size_t size, const struct architecture *architecture);

/* What its image tower has beside that, when it is one of convolutions; else NULL. */
const struct model_resnet *architecture_resnet(const struct architecture *architecture);
const struct model_convnext *architecture_convnext(const struct architecture *architecture);
const struct model_fastvit *architecture_fastvit(const struct architecture *architecture);

#endif
