/* resnet_encode.h - the image tower that is a ModifiedResNet, see resnet.h.
 *
 * Images go through the convolutions one by one, so that the maps of each stay in the cache,
 * and through the attention at the end together. */
#ifndef CORE_MODEL_RESNET_ENCODE_H
#define CORE_MODEL_RESNET_ENCODE_H

#include "core/model/conv.h"
#include "core/model/vision.h"

/* What a lane needs for one image of that size, in bytes; false when they do not fit a
 * size_t. */
struct resnet_sizes {
    size_t stream, hidden; /* two of each */
    struct conv_scratch scratch;
};
bool resnet_measure(struct resnet_sizes *out, const struct resnet *resnet, size_t height,
                    size_t width);

/* As vision_encode(). */
void resnet_encode(const struct towers *towers, const struct model_info *info,
                   const struct levels *levels, const struct pass *pass,
                   const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
