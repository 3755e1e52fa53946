/* config_preprocessor.h - preprocessor_config.json of transformers. */
#ifndef CORE_MODEL_CONFIG_PREPROCESSOR_H
#define CORE_MODEL_CONFIG_PREPROCESSOR_H

#include "core/model/config.h"

/* After config.json. */
enum status config_preprocessor_parse(struct model_config *out, struct bytes json,
                                      struct error *err);

#endif
