/* draft_mixer.h - the layers of a text tower that look at tokens instead of attending, see
 * mixer.h. */
#ifndef CORE_BLUEPRINT_DRAFT_MIXER_H
#define CORE_BLUEPRINT_DRAFT_MIXER_H

#include "core/blueprint/draft.h"

/* True when the layer of that prefix is such a one; without `names` none is. */
bool draft_mixer_is(const struct draft *draft, const struct branch_names *names,
                    const char *prefix);

/* Sets shape->token_window, which must be the same for all layers. */
enum status draft_mixer_take(struct draft *draft, const struct branch_names *names,
                             const char *prefix, struct model_tower *shape,
                             struct blueprint_block *out, uint32_t *mlp_width, struct error *err);

#endif
