/* config_timm.h - vision_cfg of OpenCLIP for image towers of timm, which name an architecture
 * and leave its numbers to timm. */
#ifndef CORE_CHECKPOINT_CONFIG_TIMM_H
#define CORE_CHECKPOINT_CONFIG_TIMM_H

#include "core/base/json.h"
#include "core/checkpoint/config.h"

/* `name` is timm_model_name. STATUS_UNSUPPORTED if we do not have it. */
enum status config_timm_read(struct model_config *out, const struct json_place *vision,
                             const char *name, struct error *err);

#endif
