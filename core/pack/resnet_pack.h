/* resnet_pack.h - the weights of a ModifiedResNet, from the checkpoint's tensors to the block,
 * with each BatchNorm folded into the convolution before it (SPEC 2). */
#ifndef CORE_PACK_RESNET_PACK_H
#define CORE_PACK_RESNET_PACK_H

#include "core/pack/pack.h"

/* As pack_towers(). */
enum status resnet_pack(const struct towers *towers, const struct blueprint *from,
                        const struct plan *plan, struct error *err);

#endif
