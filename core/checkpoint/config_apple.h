/* config_apple.h - MobileCLIP as Apple published it: config.json of its repositories, and what a
 * weight file alone tells of the same things (SPEC 4.6).
 *
 * All say little, because the rest is in Apple's code: bilinear resizing, no mean, GELUs.
 * MobileCLIP2's weights have OpenCLIP's names, and its config.json is OpenCLIP's model_cfg. */
#ifndef CORE_CHECKPOINT_CONFIG_APPLE_H
#define CORE_CHECKPOINT_CONFIG_APPLE_H

#include "core/base/json.h"
#include "core/checkpoint/config.h"
#include "core/weights/tensors.h"

/* True when `top`, the whole of config.json, is of one of these forms. */
bool config_apple_is(const struct json_place *top);
enum status config_apple_read(struct model_config *out, const struct json_place *top,
                              struct error *err);

/* Fills a configuration that was not found when the names are Apple's, else leaves it alone. */
void config_apple_assume(struct model_config *out, const struct tensors *tensors);

#endif
