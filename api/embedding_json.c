#include "api/embedding_json.h"

#include <string.h>

#include "core/base/base64.h"

void embedding_json_unpack(float *out, const uint8_t *data, size_t count) {
    for (size_t i = 0; i < count; i++, data += 4) {
        uint32_t bits =
            data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        memcpy(&out[i], &bits, sizeof(bits));
    }
}

static enum status refuse(size_t found, size_t dim, const char *pointer, struct error *err) {
    return error_set_at(err, STATUS_CONFLICT, pointer,
                        "an embedding has %zu dimensions, those of the collection have %zu", found,
                        dim);
}

static enum status read_array(float *out, size_t dim, const json_t *value, const char *pointer,
                              struct error *err) {
    if (json_array_size(value) != dim) return refuse(json_array_size(value), dim, pointer, err);
    for (size_t i = 0; i < dim; i++) {
        const json_t *number = json_array_get(value, i);
        if (!json_is_number(number)) {
            return error_set_at(err, STATUS_INVALID, pointer,
                                "value %zu of an embedding is %s, a number is expected", i,
                                json_body_kind(number));
        }
        out[i] = (float)json_number_value(number);
    }
    return STATUS_OK;
}

static enum status read_base64(float *out, size_t dim, struct bytes text, const char *pointer,
                               struct error *err) {
    struct buffer data;
    struct error error = ERROR_NONE;
    enum status status;
    buffer_init(&data, text.size);
    if (base64_decode(&data, text, &error))
        status = error_set_at(err, error.status, pointer, "%s", error.message);
    else if (data.size % sizeof(float))
        status = error_set_at(err, STATUS_INVALID, pointer,
                              "an embedding of %zu bytes, which are no 32-bit floats", data.size);
    else if (data.size / sizeof(float) != dim)
        status = refuse(data.size / sizeof(float), dim, pointer, err);
    else
        status = STATUS_OK;
    if (!status) embedding_json_unpack(out, data.data, dim);
    buffer_free(&data);
    return status;
}

enum status embedding_json_read(float *out, size_t dim, const struct json_body *json,
                                const json_t *value, const char *pointer, struct error *err) {
    struct bytes text;
    if (json_is_array(value)) return read_array(out, dim, value, pointer, err);
    if (!json_is_string(value)) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "an embedding is an array of numbers or a string, this is %s",
                            json_body_kind(value));
    }
    enum status status = json_body_string(&text, json, value, pointer, err);
    return status ? status : read_base64(out, dim, text, pointer, err);
}
