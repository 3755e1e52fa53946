/* json.h - typed, bounded reading of a checkpoint's JSON, with errors that say where. */
#ifndef CORE_BASE_JSON_H
#define CORE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/bytes.h"

/* An object and the path that led to it: "config.json: text_config". */
struct json_place {
    const json_t *object; /* NULL reads as an empty object */
    char path[96];
};

/* Parses a whole file whose top is an object; the caller json_decref()s it. STATUS_TOO_LARGE for
 * more values than any configuration or index has, which are counted before they are parsed. */
enum status json_parse(json_t **out, struct bytes text, const char *name, struct error *err);

struct json_place json_at(const json_t *object, const char *path);
/* The object under `key`; place.object is NULL when it is absent or null. */
enum status json_enter(struct json_place *out, const struct json_place *in, const char *key,
                       struct error *err);

/* Each leaves *out as it was when the key is absent or null. */
enum status json_read_u32(const struct json_place *place, const char *key, uint32_t least,
                          uint32_t most, uint32_t *out, struct error *err);
enum status json_read_float(const struct json_place *place, const char *key, float *out,
                            struct error *err);
enum status json_read_bool(const struct json_place *place, const char *key, bool *out,
                           struct error *err);
/* The string lives as long as the JSON. */
enum status json_read_string(const struct json_place *place, const char *key, const char **out,
                             struct error *err);
enum status json_read_floats3(const struct json_place *place, const char *key, float out[3],
                              struct error *err);
/* True when the key holds something other than null, false, 0 and "". */
bool json_is_set(const struct json_place *place, const char *key);

#endif
