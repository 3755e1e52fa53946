#include "api/json_body.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

/* Index of the quote that ends the string starting at `from`, or the text's size. */
static size_t skip_string(struct bytes text, size_t from) {
    size_t i = from + 1;
    while (i < text.size && text.data[i] != '"') i += text.data[i] == '\\' ? 2 : 1;
    return i;
}

/* Counts what will cost memory, and nothing else: whether it is JSON is for the
 * parser to say. Every value but the first of a container follows a comma, the first
 * ones are counted with their container. Bytes that JSON allows only in strings are
 * refused here because jansson takes a NUL for the end. */
static enum status scan(struct bytes text, size_t values_max, struct error *err) {
    size_t values = 1, depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '"': i = skip_string(text, i); break;
        case '[':
        case '{':
            depth++;
            values++;
            break;
        case ']':
        case '}': depth -= depth > 0; break;
        case ',': values++; break;
        case '\t':
        case '\n':
        case '\r': break;
        default:
            if (text.data[i] >= 0x20) break;
            return error_set(err, STATUS_INVALID, "not valid JSON: byte 0x%02x at offset %zu",
                             text.data[i], i);
        }
        if (depth > DEPTH_MAX) {
            return error_set(err, STATUS_INVALID, "the JSON nests deeper than %d levels",
                             DEPTH_MAX);
        }
        if (values > values_max) {
            return error_set(err, STATUS_TOO_LARGE, "the JSON has more than %zu values",
                             values_max);
        }
    }
    return STATUS_OK;
}

static enum status report(const json_error_t *error, struct error *err) {
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return error_set(err, STATUS_INVALID, "the JSON has a member twice: line %d, column %d",
                         error->line, error->column);
    case json_error_null_byte_in_key:
        return error_set(err, STATUS_INVALID,
                         "the JSON has a member whose name contains NUL: line %d, column %d",
                         error->line, error->column);
    case json_error_out_of_memory:
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a JSON body");
    default:
        return error_set(err, STATUS_INVALID, "not valid JSON: line %d, column %d: %s", error->line,
                         error->column, error->text);
    }
}

enum status json_body_parse(json_t **out, struct bytes text, size_t values_max, struct error *err) {
    if (text.size == 0) {
        return error_set(err, STATUS_INVALID, "the body is empty, a JSON object is expected");
    }
    enum status status = scan(text, values_max, err);
    if (status) return status;
    json_error_t error;
    json_t *root = json_loadb((const char *)text.data, text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!root) return report(&error, err);
    if (!json_is_object(root)) {
        status = error_set(err, STATUS_INVALID, "the body is %s, an object is expected",
                           json_body_kind(root));
        json_decref(root);
        return status;
    }
    *out = root;
    return STATUS_OK;
}

const char *json_body_kind(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "unknown";
}

enum status json_body_bool(bool *out, const json_t *value, const char *pointer, struct error *err) {
    if (!json_is_boolean(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, true or false is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = json_is_true(value);
    return STATUS_OK;
}

enum status json_body_uint(uint32_t *out, const json_t *value, uint32_t min, const char *pointer,
                           struct error *err) {
    json_int_t number = json_integer_value(value); /* 0 when it is none */
    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)UINT32_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s must be a whole number from %u",
                            pointer + 1, min);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

enum status json_body_string(struct bytes *out, const json_t *value, const char *pointer,
                             struct error *err) {
    if (!json_is_string(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, a string is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = (struct bytes){.data = (const uint8_t *)json_string_value(value),
                          .size = json_string_length(value)};
    return STATUS_OK;
}
