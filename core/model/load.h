/* load.h - from named tensors to a model's towers, every shape checked. */
#ifndef CORE_MODEL_LOAD_H
#define CORE_MODEL_LOAD_H

#include "core/model/config.h"
#include "core/model/text.h"
#include "core/model/vision.h"
#include "core/model/weights.h"

/* Fills the towers and the dimensions in `info`. The naming of `info` is that of the
 * configuration, or of the tensors when there was none. `image_size` 0: as configured.
 * What was allocated belongs to `weights`, but for the blocks: free() them. */
enum status load_towers(struct vision *vision, struct text *text, struct model_info *info,
                        struct weights *weights, const struct model_config *config,
                        uint32_t image_size, struct error *err);

#endif
