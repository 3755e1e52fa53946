#include "api/inputs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/base64.h"

enum { CAPACITY_MIN = 4 };

void inputs_init(struct inputs *inputs, const char *noun, size_t limit) {
    *inputs = (struct inputs){.noun = noun, .limit = limit};
}

void inputs_free(struct inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) free(inputs->decoded[i]);
    free(inputs->items);
    free(inputs->decoded);
    free(inputs->errors);
    inputs_init(inputs, inputs->noun, inputs->limit);
}

enum status inputs_check_count(const struct inputs *inputs, size_t count, const char *pointer,
                               struct error *err) {
    if (count <= inputs->limit) return STATUS_OK;
    return error_set_at(err, STATUS_TOO_LARGE, pointer, "%zu %s, the limit is %zu", count,
                        inputs->noun, inputs->limit);
}

static enum status grow(struct inputs *inputs, struct error *err) {
    size_t capacity = inputs->capacity ? inputs->capacity * 2 : CAPACITY_MIN;
    struct bytes *items = realloc(inputs->items, capacity * sizeof(*items));
    if (items) inputs->items = items;
    uint8_t **decoded = realloc(inputs->decoded, capacity * sizeof(*decoded));
    if (decoded) inputs->decoded = decoded;
    if (!items || !decoded) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    inputs->capacity = capacity;
    return STATUS_OK;
}

static enum status add(struct inputs *inputs, struct bytes item, uint8_t *decoded,
                       struct error *err) {
    enum status status = inputs_check_count(inputs, inputs->count + 1, inputs->pointer, err);
    if (!status && inputs->count == inputs->capacity) status = grow(inputs, err);
    if (status) return status;
    inputs->items[inputs->count] = item;
    inputs->decoded[inputs->count++] = decoded;
    return STATUS_OK;
}

enum status inputs_add(struct inputs *inputs, struct bytes item, struct error *err) {
    return add(inputs, item, NULL, err);
}

static bool starts_with(struct bytes text, const char *prefix) {
    size_t size = strlen(prefix);
    return text.size >= size && strncasecmp((const char *)text.data, prefix, size) == 0;
}

bool inputs_is_image_uri(struct bytes text) {
    return starts_with(text, "data:image/");
}

/* The base64 in `text`, which is all of it or what follows "data:<type>;base64,". */
static enum status find_base64(struct bytes *out, struct bytes text, struct error *err) {
    static const char marker[] = ";base64,";
    *out = text;
    if (starts_with(text, "http:") || starts_with(text, "https:")) {
        return error_set(err, STATUS_INVALID,
                         "an URL, which is not fetched: base64 or a data: URI is expected");
    }
    if (!starts_with(text, "data:")) return STATUS_OK;
    const uint8_t *comma = memchr(text.data, ',', text.size);
    size_t head = comma ? (size_t)(comma - text.data) + 1 : 0;
    size_t size = sizeof(marker) - 1;
    if (head < size || strncasecmp((const char *)text.data + head - size, marker, size) != 0) {
        return error_set(err, STATUS_INVALID, "a data: URI without \";base64,\"");
    }
    *out = (struct bytes){.data = text.data + head, .size = text.size - head};
    return STATUS_OK;
}

static enum status decode(struct buffer *out, struct bytes text, struct error *err) {
    struct bytes base64;
    enum status status = find_base64(&base64, text, err);
    if (status) return status;
    buffer_init(out, base64.size + 16);
    return base64_decode(out, base64, err);
}

/* Notes the failure of the item to come. */
static enum status note(struct inputs *inputs, const struct error *error, struct error *err) {
    if (!inputs->errors) inputs->errors = calloc(inputs->limit, sizeof(*inputs->errors));
    if (!inputs->errors) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    inputs->errors[inputs->count] = *error;
    return STATUS_OK;
}

enum status inputs_add_image_text(struct inputs *inputs, struct bytes text, const char *pointer,
                                  struct error *err) {
    struct buffer image = {0};
    struct error error = ERROR_NONE;
    enum status status = inputs_check_count(inputs, inputs->count + 1, pointer, err);
    if (status) return status;
    if (decode(&image, text, &error)) {
        buffer_free(&image);
        error.input = (int)inputs->count;
        snprintf(error.where, sizeof(error.where), "%s", pointer);
        if (error.status != STATUS_INVALID || !inputs->tolerant) {
            return error_pass(err, &error);
        }
        status = note(inputs, &error, err);
    }
    if (!status) status = add(inputs, buffer_view(&image), image.data, err);
    if (status) buffer_free(&image);
    return status;
}

void inputs_locate(const struct inputs *inputs, struct error *err) {
    if (err->input < 0 || err->where[0] || !inputs->pointer[0]) return;
    assert((size_t)err->input < inputs->count);
    if (inputs->is_list)
        snprintf(err->where, sizeof(err->where), "%s/%d", inputs->pointer, err->input);
    else
        snprintf(err->where, sizeof(err->where), "%s", inputs->pointer);
}
