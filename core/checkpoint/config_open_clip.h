/* config_open_clip.h - open_clip_config.json, and its model_cfg wherever it stands. */
#ifndef CORE_CHECKPOINT_CONFIG_OPEN_CLIP_H
#define CORE_CHECKPOINT_CONFIG_OPEN_CLIP_H

#include "core/base/json.h"
#include "core/checkpoint/config.h"

/* Of preprocessing model_cfg says nothing. */
enum status config_open_clip_read(struct model_config *out, const struct json_place *model,
                                  struct error *err);

enum status config_open_clip_parse(struct model_config *out, struct bytes json, struct error *err);

#endif
