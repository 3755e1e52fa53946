/* invent_maps.h - random weights for image towers of convolutions, see invent.h. */
#ifndef CORE_BLUEPRINT_INVENT_MAPS_H
#define CORE_BLUEPRINT_INVENT_MAPS_H

#include "core/blueprint/blueprint.h"

/* Fill what the files of the towers draw, from info. `seed` is that of the first weight, and
 * ends as the first one that is free. */
enum status invent_resnet(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                          struct error *err);
enum status invent_fastvit(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                           struct error *err);
enum status invent_convnext(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                            struct error *err);

/* The convolutions that a ViT begins with in the place of a product of patches. */
void invent_stem(struct blueprint_vit *out, size_t width, uint64_t *seed);

/* A layer of texts that looks at tokens instead of attending, see mixer.h. */
void invent_mixer(struct blueprint_block *out, const struct model_tower *shape, uint64_t *seed);

#endif
