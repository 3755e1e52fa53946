/* u64 little-endian N, N bytes of JSON, then the data. The rules are SPEC 7.1's:
 * header at most 100 MB, tensors contiguous from 0 without holes or overlap and
 * ending with the file, sizes equal to shape times type, no key twice. A file that
 * breaks one is not guessed at but refused, with the tensor's name. */
#include "core/weights/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_values.h"
#include "core/base/little_endian.h"

/* A tensor has some ten values. */
enum { HEADER_SIZE_MAX = 100000000, LENGTH_SIZE = 8, VALUES_MAX = 1 << 20 };

static enum status parse_type(struct tensor *out, const char *name, const char *type,
                              struct error *err) {
    for (int i = TENSOR_F64; i <= TENSOR_BOOL; i++) {
        if (strcmp(tensor_type_name((enum tensor_type)i), type) != 0) continue;
        out->type = (enum tensor_type)i;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "tensor %.120s has type %.16s, which is not supported", name, type);
}

/* A whole number that fits size_t; JSON integers are signed 64-bit here. */
static bool read_size(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static enum status parse_shape(struct tensor *out, const char *name, const json_t *shape,
                               size_t *bytes, struct error *err) {
    if (json_array_size(shape) > TENSOR_RANK_MAX) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "tensor %.120s has %zu dimensions, at most %d are "
                         "supported",
                         name, json_array_size(shape), TENSOR_RANK_MAX);
    }
    out->rank = (uint32_t)json_array_size(shape);
    size_t size = tensor_type_size(out->type);
    for (uint32_t i = 0; i < out->rank; i++) {
        if (!read_size(json_array_get(shape, i), &out->shape[i])) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "tensor %.120s: a dimension is not a whole number", name);
        }
        if (!size_multiply(&size, size, out->shape[i])) {
            return error_set(err, STATUS_UNPROCESSABLE, "tensor %.120s is impossibly large", name);
        }
    }
    *bytes = size;
    return STATUS_OK;
}

static enum status parse_entry(struct tensor *out, const char *name, const json_t *entry,
                               struct bytes data, struct error *err) {
    const json_t *type = json_object_get(entry, "dtype");
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!tensor_name_is_plain(bytes_of(name))) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor \"%.100s\" has a name of %zu bytes or with control characters, at "
                         "most %d are expected",
                         name, strlen(name), TENSOR_NAME_MAX);
    }
    if (!json_is_string(type) || !json_is_array(shape) || json_array_size(offsets) != 2) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.120s: dtype, shape and data_offsets are expected", name);
    }
    enum status status = parse_type(out, name, json_string_value(type), err);
    if (status) return status;
    size_t bytes = 0, begin, end;
    status = parse_shape(out, name, shape, &bytes, err);
    if (status) return status;
    if (!read_size(json_array_get(offsets, 0), &begin) ||
        !read_size(json_array_get(offsets, 1), &end) || begin > end || end > data.size) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.120s: data_offsets are not within the file's %zu bytes of data",
                         name, data.size);
    }
    if (end - begin != bytes) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.120s: data_offsets span %zu bytes, shape and type need %zu",
                         name, end - begin, bytes);
    }
    out->data = (struct bytes){.data = data.data + begin, .size = bytes};
    out->name = strdup(name);
    return out->name ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for a tensor");
}

static enum status check_metadata(json_t *metadata, struct error *err) {
    if (!json_is_object(metadata)) {
        return error_set(err, STATUS_UNPROCESSABLE, "__metadata__ is not an object");
    }
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (json_is_string(value)) continue;
        return error_set(err, STATUS_UNPROCESSABLE, "__metadata__ %.64s is not a string", key);
    }
    return STATUS_OK;
}

static int by_data(const void *a, const void *b) {
    const struct tensor *x = a, *y = b;
    if (x->data.data != y->data.data) return x->data.data < y->data.data ? -1 : 1;
    return x->data.size < y->data.size ? -1 : x->data.size > y->data.size;
}

/* Every byte of the data belongs to exactly one tensor. */
static enum status check_contiguous(struct tensors *tensors, struct bytes data, struct error *err) {
    if (tensors->count) qsort(tensors->list, tensors->count, sizeof(*tensors->list), by_data);
    size_t at = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->list[i];
        size_t begin = (size_t)(tensor->data.data - data.data);
        if (begin != at) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "tensor %.120s begins at byte %zu of the data, %zu is expected",
                             tensor->name, begin, at);
        }
        at += tensor->data.size;
    }
    if (at == data.size) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "the tensors end at byte %zu of %zu bytes of data",
                     at, data.size);
}

static enum status parse_header(struct tensors *out, json_t *header, struct bytes data,
                                struct error *err) {
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) {
        enum status status;
        if (!strcmp(name, "__metadata__")) {
            status = check_metadata(entry, err);
        } else {
            status = parse_entry(&out->list[out->count], name, entry, data, err);
            if (!status) out->count++;
        }
        if (status) return status;
    }
    enum status status = check_contiguous(out, data, err);
    tensors_sort(out);
    return status;
}

enum status safetensors_parse(struct tensors *out, struct bytes file, struct error *err) {
    *out = (struct tensors){0};
    if (file.size < LENGTH_SIZE) {
        return error_set(err, STATUS_UNPROCESSABLE, "not safetensors: only %zu bytes", file.size);
    }
    uint64_t length = little_endian(file.data, LENGTH_SIZE);
    if (length > HEADER_SIZE_MAX || length > file.size - LENGTH_SIZE) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "not safetensors: a header of %llu bytes in a file of %zu",
                         (unsigned long long)length, file.size);
    }
    const char *text = (const char *)file.data + LENGTH_SIZE;
    struct bytes data = {.data = file.data + LENGTH_SIZE + length,
                         .size = file.size - LENGTH_SIZE - (size_t)length};
    if (length == 0 || text[0] != '{') {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "not safetensors: the header is no JSON object");
    }
    if (!json_values_within((struct bytes){file.data + LENGTH_SIZE, (size_t)length}, VALUES_MAX)) {
        return error_set(err, STATUS_TOO_LARGE,
                         "the safetensors header has more than %d JSON values", VALUES_MAX);
    }
    json_error_t problem;
    json_t *header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &problem);
    if (!header) {
        return error_set(err, STATUS_UNPROCESSABLE, "safetensors header, byte %d: %.100s",
                         problem.position, problem.text);
    }
    enum status status;
    out->list = calloc(json_object_size(header) + 1, sizeof(*out->list));
    if (out->list)
        status = parse_header(out, header, data, err);
    else
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the tensors' names");
    json_decref(header);
    if (status) tensors_free(out);
    return status;
}
