/* resnet_encode.h - the image tower that is a ModifiedResNet, see resnet.h.
 *
 * Images go through the convolutions one by one, so that the maps of each stay in the cache,
 * and through the attention at the end together. */
#ifndef CORE_TOWERS_RESNET_ENCODE_H
#define CORE_TOWERS_RESNET_ENCODE_H

#include "core/towers/maps.h"

/* What a lane needs for one image of that size, with two maps of each kind; false when it does
 * not fit a size_t. */
bool resnet_measure(struct map_sizes *out, const struct resnet *resnet, size_t height,
                    size_t width);

/* As vision_encode(). */
void resnet_encode(const struct towers *towers, const struct model_info *info,
                   const struct levels *levels, const struct pass *pass,
                   const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
