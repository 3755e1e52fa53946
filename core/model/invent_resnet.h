/* invent_resnet.h - random weights for the image tower that is a ModifiedResNet, see
 * invent.h. */
#ifndef CORE_MODEL_INVENT_RESNET_H
#define CORE_MODEL_INVENT_RESNET_H

#include "core/model/blueprint.h"

/* Fills what the file of the tower draws, from info. `seed` is that of the first weight, and
 * ends as the first one that is free. */
enum status invent_resnet(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                          struct error *err);

#endif
