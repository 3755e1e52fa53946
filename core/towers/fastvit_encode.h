/* fastvit_encode.h - the image tower that is a FastViT, see fastvit.h.
 *
 * Images go through the layers one by one, so that the maps of each stay in the cache, and
 * through the product at the end together. */
#ifndef CORE_TOWERS_FASTVIT_ENCODE_H
#define CORE_TOWERS_FASTVIT_ENCODE_H

#include "core/towers/maps.h"

/* What a lane needs for one image of that size: the stream and what leaves windows are two
 * maps, and there is one hidden map. `tokens` are the most pixels that attention sees. False
 * when it does not fit a size_t. */
bool fastvit_measure(struct map_sizes *out, size_t *tokens, const struct fastvit *fastvit,
                     size_t height, size_t width);

/* As vision_encode(). */
void fastvit_encode(const struct towers *towers, const struct model_info *info,
                    const struct levels *levels, const struct pass *pass,
                    const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
