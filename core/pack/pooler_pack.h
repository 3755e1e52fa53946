/* pooler_pack.h - the weights of a pooler on their way into the block. */
#ifndef CORE_PACK_POOLER_PACK_H
#define CORE_PACK_POOLER_PACK_H

#include "core/pack/pack.h"

/* As pack_towers(), of towers->pooler. */
enum status pooler_pack(const struct towers *towers, const struct blueprint *from,
                        struct error *err);

#endif
