/* config_open_clip_text.h - text_cfg of OpenCLIP's model configurations. */
#ifndef CORE_CHECKPOINT_CONFIG_OPEN_CLIP_TEXT_H
#define CORE_CHECKPOINT_CONFIG_OPEN_CLIP_TEXT_H

#include "core/base/json.h"
#include "core/checkpoint/config.h"

/* `model` is model_cfg. */
enum status config_open_clip_text_read(struct model_config *out, const struct json_place *model,
                                       struct error *err);

#endif
