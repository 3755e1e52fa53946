/* invent.h - random weights for a model of which all else is known (architecture_info.h): what
 * speed and arithmetic are measured with when there is no checkpoint. */
#ifndef CORE_BLUEPRINT_INVENT_H
#define CORE_BLUEPRINT_INVENT_H

#include "core/blueprint/blueprint.h"

/* The weights are scaled as OpenAI initialises them (SPEC 9), so that activations have
 * sensible sizes. But token embeddings have the size 1 that patches have behind ln_pre, as
 * in the measurements that ours are compared with: at OpenAI's 0.02 the first layer would be
 * many times as large as what it is added to. With `outliers` the LayerNorms have gains as
 * trained models do, some channels twenty times as large, and what follows undoes them: the
 * function is of the same kind, but eight bits per token no longer hold it. */
enum status invent_model(struct blueprint *out, const struct model_info *info, bool outliers,
                         struct error *err);

#endif
