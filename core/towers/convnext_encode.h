/* convnext_encode.h - the image tower that is a ConvNeXt, see convnext.h.
 *
 * Images go through the stages one by one, so that the maps of each stay in the cache, and
 * through the products at the end together. */
#ifndef CORE_TOWERS_CONVNEXT_ENCODE_H
#define CORE_TOWERS_CONVNEXT_ENCODE_H

#include "core/towers/maps.h"

/* What a lane needs for one image of that size: the stream and what leaves the windows are two
 * maps, and there is one hidden map. False when it does not fit a size_t. */
bool convnext_measure(struct map_sizes *out, const struct convnext *convnext, size_t height,
                      size_t width);

/* As vision_encode(). */
void convnext_encode(const struct towers *towers, const struct model_info *info,
                     const struct levels *levels, const struct pass *pass,
                     const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
