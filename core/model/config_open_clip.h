/* config_open_clip.h - open_clip_config.json. */
#ifndef CORE_MODEL_CONFIG_OPEN_CLIP_H
#define CORE_MODEL_CONFIG_OPEN_CLIP_H

#include "core/model/config.h"

enum status config_open_clip_parse(struct model_config *out, struct bytes json, struct error *err);

#endif
