/* config_hf.h - config.json of transformers, and of Apple (config_apple.h) under the same name. */
#ifndef CORE_CHECKPOINT_CONFIG_HF_H
#define CORE_CHECKPOINT_CONFIG_HF_H

#include "core/checkpoint/config.h"

enum status config_hf_parse(struct model_config *out, struct bytes json, struct error *err);

#endif
