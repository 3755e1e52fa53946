/* vision.h - the ViT image tower (SPEC 1.1). */
#ifndef CORE_MODEL_VISION_H
#define CORE_MODEL_VISION_H

#include "core/model/positions.h"
#include "core/model/transformer.h"

struct vision {
    struct transformer transformer;
    uint32_t image_size, patch_size;
    struct grid grid;             /* patches down and across */
    const float *class_embedding; /* [width] */
    const float *positions;       /* [1 + patches, width] */
    struct linear patch;          /* [width, 3 * patch_size^2], no bias */
    struct layer_norm ln_pre, ln_post;
    struct linear proj;   /* [embed_dim, width]; weight NULL: none */
    float levels[3][256]; /* what an 8-bit value is after normalising, by channel */
};

size_t vision_patches(const struct vision *vision);
/* Floats of one image's patches: patches * 3 * patch_size^2. */
size_t vision_patch_floats(const struct vision *vision);

/* Fills `levels`: (v * rescale - mean) / std in f32, as torchvision does. */
void vision_set_levels(struct vision *vision, const struct model_preprocess *preprocess);

/* An image takes three steps, so that one image's patches are all that is in memory.
 *
 * Cuts [image_size, image_size, 3] 8-bit RGB into patches [patches, 3 * patch_size^2] in
 * the order channel, y, x. What is left at the right and at the bottom is dropped. */
void vision_cut_patches(const struct vision *vision, const uint8_t *pixels, float *patches);
/* Patches to the 1 + patches rows with which the image enters the transformer. */
void vision_embed_patches(const struct vision *vision, const struct kernels *k,
                          const float *patches, float *rows);
/* Runs the images whose rows lie in activations->x, one sequence each. */
void vision_encode(const struct vision *vision, const struct kernels *k,
                   const struct activations *activations, const struct sequences *images,
                   float *const *embeddings);

#endif
