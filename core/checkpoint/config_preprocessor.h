/* config_preprocessor.h - preprocessor_config.json of transformers, and processor_config.json, in
 * which version 5 nests the same. */
#ifndef CORE_CHECKPOINT_CONFIG_PREPROCESSOR_H
#define CORE_CHECKPOINT_CONFIG_PREPROCESSOR_H

#include "core/checkpoint/config.h"

/* Both after config.json. The latter sets out->preprocess_found if it tells of images; then the
 * former does not count, as with transformers. */
enum status config_preprocessor_parse(struct model_config *out, struct bytes json,
                                      struct error *err);
enum status config_processor_parse(struct model_config *out, struct bytes json, struct error *err);

#endif
