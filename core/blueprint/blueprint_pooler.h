/* blueprint_pooler.h - the tensors of a pooler, see pooler.h. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_POOLER_H
#define CORE_BLUEPRINT_BLUEPRINT_POOLER_H

#include "core/blueprint/draft.h"

/* After the blocks; sets info.pooler and the tower's pooled_width. */
enum status blueprint_pooler_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
