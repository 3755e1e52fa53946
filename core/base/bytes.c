#include "core/base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 256 };

struct bytes bytes_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

bool size_multiply(size_t *out, size_t a, size_t b) {
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

void buffer_init(struct buffer *buffer, size_t limit) {
    *buffer = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

struct bytes buffer_view(const struct buffer *buffer) {
    return (struct bytes){.data = buffer->data, .size = buffer->size};
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size, struct error *err) {
    if (size > buffer->limit - buffer->size) {
        error_set(err, STATUS_TOO_LARGE, "more than the limit of %zu bytes", buffer->limit);
        return NULL;
    }
    size_t needed = buffer->size + size;
    /* Even nothing needs a place: NULL is for failures. */
    if (needed > buffer->capacity || !buffer->data) {
        size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_MIN;
        while (capacity < needed)
            capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
        uint8_t *data = realloc(buffer->data, capacity);
        if (!data) {
            error_set(err, STATUS_NO_MEMORY, "out of memory for %zu bytes", capacity);
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

enum status buffer_append(struct buffer *buffer, const void *data, size_t size, struct error *err) {
    if (size == 0) return STATUS_OK;
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    uint8_t *to = buffer_reserve(buffer, size, err);
    if (!to) return err->status;
    memcpy(to, data, size);
    buffer->size += size;
    return STATUS_OK;
}

enum status buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(size >= 0);
    char *to = (char *)buffer_reserve(buffer, (size_t)size + 1, err);
    if (!to) return err->status;
    va_start(args, format);
    vsnprintf(to, (size_t)size + 1, format, args);
    va_end(args);
    buffer->size += (size_t)size;
    return STATUS_OK;
}
