/* draft_blocks.h - the transformer blocks and the last projection of a tower, which image and
 * text towers have alike. */
#ifndef CORE_BLUEPRINT_DRAFT_BLOCKS_H
#define CORE_BLUEPRINT_DRAFT_BLOCKS_H

#include "core/blueprint/draft.h"
#include "core/towers/plan.h"

/* All blocks, however many there are; sets the tower's shape in draft->info. */
enum status draft_take_blocks(struct draft *draft, enum plan_tower which, size_t width,
                              struct blueprint_tower *out, struct error *err);

/* The last projection, [embed_dim, width] for us however it is stored. A tower that
 * stands alone may have none: then the pooled features are the embedding. */
enum status draft_take_projection(struct draft *draft, enum plan_tower which,
                                  struct blueprint_linear *out, struct error *err);

#endif
