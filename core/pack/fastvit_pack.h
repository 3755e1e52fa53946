/* fastvit_pack.h - the weights of a FastViT, from the checkpoint's tensors to the block. */
#ifndef CORE_PACK_FASTVIT_PACK_H
#define CORE_PACK_FASTVIT_PACK_H

#include "core/pack/pack.h"

/* As pack_towers(). */
enum status fastvit_pack(const struct towers *towers, const struct blueprint *from,
                         const struct plan *plan, struct error *err);

#endif
