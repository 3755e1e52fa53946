#include "core/base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json_values.h"

enum { VALUES_MAX = 1 << 18 };

enum status json_parse(json_t **out, struct bytes text, const char *name, struct error *err) {
    *out = NULL;
    if (!json_values_within(text, VALUES_MAX)) {
        return error_set(err, STATUS_TOO_LARGE, "%s has more than %d JSON values", name,
                         VALUES_MAX);
    }
    json_error_t problem;
    *out = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &problem);
    if (!*out) {
        return error_set(err, STATUS_UNPROCESSABLE, "%s line %d: %.120s", name, problem.line,
                         problem.text);
    }
    if (json_is_object(*out)) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return error_set(err, STATUS_UNPROCESSABLE, "%s: an object is expected", name);
}

struct json_place json_at(const json_t *object, const char *path) {
    struct json_place place = {.object = object};
    snprintf(place.path, sizeof(place.path), "%s", path);
    return place;
}

static const json_t *get(const struct json_place *place, const char *key) {
    const json_t *value = place->object ? json_object_get(place->object, key) : NULL;
    return json_is_null(value) ? NULL : value;
}

static enum status wrong(const struct json_place *place, const char *key, const char *expected,
                         struct error *err) {
    return error_set(err, STATUS_UNPROCESSABLE, "%s.%s is not %s", place->path, key, expected);
}

enum status json_enter(struct json_place *out, const struct json_place *in, const char *key,
                       struct error *err) {
    const json_t *value = get(in, key);
    if (value && !json_is_object(value)) return wrong(in, key, "an object", err);
    out->object = value;
    snprintf(out->path, sizeof(out->path), "%.60s.%.30s", in->path, key);
    return STATUS_OK;
}

enum status json_read_u32(const struct json_place *place, const char *key, uint32_t least,
                          uint32_t most, uint32_t *out, struct error *err) {
    const json_t *value = get(place, key);
    if (!value) return STATUS_OK;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most) {
        return error_set(err, STATUS_UNPROCESSABLE, "%s.%s is not a whole number from %u to %u",
                         place->path, key, least, most);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

enum status json_read_float(const struct json_place *place, const char *key, float *out,
                            struct error *err) {
    const json_t *value = get(place, key);
    if (!value) return STATUS_OK;
    if (!json_is_number(value)) return wrong(place, key, "a number", err);
    float number = (float)json_number_value(value);
    if (!isfinite(number)) return wrong(place, key, "a number of single precision", err);
    *out = number;
    return STATUS_OK;
}

enum status json_read_bool(const struct json_place *place, const char *key, bool *out,
                           struct error *err) {
    const json_t *value = get(place, key);
    if (!value) return STATUS_OK;
    if (!json_is_boolean(value)) return wrong(place, key, "true or false", err);
    *out = json_is_true(value);
    return STATUS_OK;
}

enum status json_read_string(const struct json_place *place, const char *key, const char **out,
                             struct error *err) {
    const json_t *value = get(place, key);
    if (!value) return STATUS_OK;
    if (!json_is_string(value)) return wrong(place, key, "a string", err);
    *out = json_string_value(value);
    return STATUS_OK;
}

enum status json_read_floats3(const struct json_place *place, const char *key, float out[3],
                              struct error *err) {
    const json_t *value = get(place, key);
    if (!value) return STATUS_OK;
    if (!json_is_array(value) || json_array_size(value) != 3) {
        return wrong(place, key, "an array of three numbers", err);
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(value, i);
        float number = (float)json_number_value(item);
        if (!json_is_number(item) || !isfinite(number)) {
            return wrong(place, key, "an array of three numbers", err);
        }
        out[i] = number;
    }
    return STATUS_OK;
}

bool json_is_set(const struct json_place *place, const char *key) {
    const json_t *value = get(place, key);
    if (!value || json_is_false(value)) return false;
    if (json_is_number(value)) return json_number_value(value) != 0;
    if (json_is_string(value)) return json_string_length(value) != 0;
    return true;
}
