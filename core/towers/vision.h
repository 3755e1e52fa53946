/* vision.h - images to embeddings, whatever the image tower is: vit.h and its like. */
#ifndef CORE_TOWERS_VISION_H
#define CORE_TOWERS_VISION_H

#include "core/towers/pass.h"

/* What an 8-bit value is after scaling and normalising, by channel. */
struct levels {
    float value[3][256];
};

/* (v * rescale - mean) / std in f32, as torchvision does. */
void vision_set_levels(struct levels *levels, const struct model_preprocess *preprocess);

/* An image as it comes: 8-bit RGB [image_size, image_size, 3], or patches that are cut
 * and normalised already, [patches, 3 * patch_size^2] in the order channel, y, x. */
struct vision_input {
    const uint8_t *pixels; /* NULL: patches */
    const float *patches;
};

/* Encodes `count` images, at most as many as the lane has room for; embeddings[i] is
 * [embed_dim]. With a tap in the pass, embeddings are NULL. */
void vision_encode(const struct towers *towers, const struct model_info *info,
                   const struct levels *levels, const struct pass *pass,
                   const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
