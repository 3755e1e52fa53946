/* transformer.h - the blocks that both towers are made of (SPEC 1.1).
 *
 * Rows of several sequences lie one behind the other without padding; only
 * attention looks at where one ends and the next begins. */
#ifndef CORE_TOWERS_TRANSFORMER_H
#define CORE_TOWERS_TRANSFORMER_H

#include "core/towers/pass.h"

/* Runs all blocks over the sequences in lane->x. Of the last layer only the pooled rows
 * are computed: they, or with MODEL_IMAGE_PATCH_MEAN the means, end up as the first
 * sequences->count rows of lane->x. With a tap runs only as many blocks as that wants, all
 * rows of each, and hands them out. */
void transformer_forward(const struct tower *tower, const struct pass *pass);

/* The second half of a block, x and proj(activation(fc(x))) with the norms where they belong, for
 * `rows` rows of lane->x, which are shape->width wide. */
void transformer_mlp(const struct model_tower *shape, const struct block *block,
                     const struct pass *pass, size_t rows);

#endif
