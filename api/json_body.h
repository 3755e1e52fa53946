/* json_body.h - a request's JSON: checked, bounded, and errors that say where.
 *
 * A tree costs far more than its text: 3 bytes of "{}," become 224. So the text is
 * scanned once before, and refused when it holds more values than the request could
 * need or nests deeper. Failures name the value at fault by JSON pointer. */
#ifndef API_JSON_BODY_H
#define API_JSON_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

/* The value itself, to be released with json_decref(). STATUS_INVALID for what is not
 * JSON, has a member twice or is no object; STATUS_TOO_LARGE for more than
 * `values_max` values. */
enum status json_body_parse(json_t **out, struct bytes text, size_t values_max, struct error *err);

/* "a string", "an array" ...: for messages. */
const char *json_body_kind(const json_t *value);

/* `pointer` names the value in messages. */
enum status json_body_bool(bool *out, const json_t *value, const char *pointer, struct error *err);
/* A whole number from `min` to UINT32_MAX. */
enum status json_body_uint(uint32_t *out, const json_t *value, uint32_t min, const char *pointer,
                           struct error *err);
/* A view into the tree. */
enum status json_body_string(struct bytes *out, const json_t *value, const char *pointer,
                             struct error *err);

#endif
