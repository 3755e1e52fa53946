/* bytes.h - borrowed and owned runs of bytes. */
#ifndef CORE_BASE_BYTES_H
#define CORE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* A borrowed view: whoever holds it neither frees nor modifies the data. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

/* An owned, growable buffer that refuses to grow past `limit`. Zeroed memory is
 * an empty buffer that cannot grow; buffer_init() gives it its limit. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
};

/* A view of a NUL-terminated string, without the NUL. */
struct bytes bytes_of(const char *text);

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_free(struct buffer *buffer);
struct bytes buffer_view(const struct buffer *buffer);

/* STATUS_TOO_LARGE past the limit, STATUS_NO_MEMORY when malloc fails; the
 * buffer is unchanged then. */
enum status buffer_append(struct buffer *buffer, const void *data, size_t size, struct error *err);
/* Makes room for `size` more bytes and returns where they go; the caller writes
 * them and adds what it wrote to buffer->size. NULL on failure. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size, struct error *err);
enum status buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* a * b for sizes; false when the product does not fit. */
bool size_multiply(size_t *out, size_t a, size_t b);

#endif
