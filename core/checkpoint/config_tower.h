/* config_tower.h - what the formats of configurations have in common when they tell of a
 * tower: bounds, epsilons, and keys that are refused. */
#ifndef CORE_CHECKPOINT_CONFIG_TOWER_H
#define CORE_CHECKPOINT_CONFIG_TOWER_H

#include "core/base/json.h"
#include "core/checkpoint/config.h"

/* Far above every known model, far below what could overflow. */
enum { CONFIG_SIZE_MAX = 1 << 16, CONFIG_LAYERS_MAX = 512, CONFIG_VOCAB_MAX = 1 << 22 };

/* The epsilon of a tower's LayerNorms, above 0; what it was when there is no such key. */
enum status config_tower_read_eps(struct config_tower *out, const struct json_place *place,
                                  const char *key, struct error *err);

/* OpenCLIP's act_kwargs, norm_kwargs and ls_init_value. */
enum status config_tower_read_kwargs(struct config_tower *out, const struct json_place *tower,
                                     struct error *err);

/* A key that asks for what we do not have. */
struct config_refusal {
    const char *key, *meaning;
};

/* STATUS_UNSUPPORTED if one of the keys is set. */
enum status config_tower_refuse(const struct json_place *place,
                                const struct config_refusal *refusals, size_t count,
                                struct error *err);

#endif
