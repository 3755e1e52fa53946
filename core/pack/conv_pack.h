/* conv_pack.h - a convolution's weights, from the checkpoint's tensors to the block: windows in
 * the order y, x, channel, and the BatchNorm behind it, if there is one, folded in (SPEC 2). */
#ifndef CORE_PACK_CONV_PACK_H
#define CORE_PACK_CONV_PACK_H

#include "core/pack/pack.h"

enum status conv_pack(const struct conv *to, const struct blueprint_conv *from, struct error *err);

#endif
