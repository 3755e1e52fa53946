/* config_hf.h - config.json of transformers, and of Apple (config_apple.h) under the same name. */
#ifndef CORE_MODEL_CONFIG_HF_H
#define CORE_MODEL_CONFIG_HF_H

#include "core/model/config.h"

enum status config_hf_parse(struct model_config *out, struct bytes json, struct error *err);

#endif
