#include "core/checkpoint/config_tower.h"

#include <stdio.h>
#include <string.h>

#include "core/checkpoint/families.h"

enum status config_tower_read_eps(struct config_tower *out, const struct json_place *place,
                                  const char *key, struct error *err) {
    enum status status = json_read_float(place, key, &out->layer_norm_eps, err);
    if (status || out->layer_norm_eps > 0) return status;
    return error_set(err, STATUS_UNPROCESSABLE, "%s.%s is not above 0", place->path, key);
}

/* act_kwargs.approximate = "tanh" selects the tanh form of GELU; norm_kwargs has eps. Where
 * LayerScale starts from is of no interest, but that it is there. */
enum status config_tower_read_kwargs(struct config_tower *out, const struct json_place *tower,
                                     struct error *err) {
    struct json_place act, norm;
    const char *approximate = "none";
    enum status status = json_enter(&act, tower, "act_kwargs", err);
    if (!status) status = json_read_string(&act, "approximate", &approximate, err);
    if (!status) status = json_enter(&norm, tower, "norm_kwargs", err);
    if (!status) status = config_tower_read_eps(out, &norm, "eps", err);
    if (!status && !strcmp(approximate, "tanh")) out->activation = MODEL_GELU_TANH;
    out->layer_scale = json_is_set(tower, "ls_init_value");
    return status;
}

enum status config_tower_refuse(const struct json_place *place,
                                const struct config_refusal *refusals, size_t count,
                                struct error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!json_is_set(place, refusals[i].key)) continue;
        char where[160];
        snprintf(where, sizeof(where), "%s.%s", place->path, refusals[i].key);
        return families_refuse(err, where, refusals[i].meaning);
    }
    return STATUS_OK;
}
