/* The header of a .npy file is a Python literal, {'descr': '<f4', 'fortran_order':
 * False, 'shape': (2, 3), }, always written with these three keys; so it is searched
 * for, not parsed. */
#include "tests/support/npy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/file.h"

enum { FILE_SIZE_MAX = 256 << 20, HEADER_SIZE_MAX = 4096, MAGIC_SIZE = 8 };

/* Copies the header into `text` and returns where the values begin; 0 if it is none. */
static size_t read_header(char text[HEADER_SIZE_MAX], struct bytes file) {
    if (file.size < MAGIC_SIZE + 4 || memcmp(file.data, "\x93NUMPY", 6) != 0) return 0;
    const uint8_t *at = file.data + MAGIC_SIZE;
    size_t start = MAGIC_SIZE + 2;
    size_t size = at[0] | (size_t)at[1] << 8;
    if (file.data[6] > 1) {
        start += 2;
        size |= (size_t)at[2] << 16 | (size_t)at[3] << 24;
    }
    if (size >= HEADER_SIZE_MAX || start + size > file.size) return 0;
    memcpy(text, file.data + start, size);
    text[size] = '\0';
    return start + size;
}

static bool read_shape(struct npy *out, const char *header) {
    const char *at = strstr(header, "'shape': (");
    if (!at) return false;
    at += strlen("'shape': (");
    out->count = 1;
    while (*at != ')') {
        char *end;
        unsigned long side = strtoul(at, &end, 10);
        if (end == at || out->dims == NPY_DIMS_MAX) return false;
        out->shape[out->dims++] = side;
        if (!size_multiply(&out->count, out->count, side)) return false;
        at = end + strspn(end, ", ");
    }
    return true;
}

static int64_t read_int(const uint8_t *data, size_t width) {
    if (width == 1) return *data;
    int32_t narrow;
    int64_t wide;
    if (width == 4) {
        memcpy(&narrow, data, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, data, sizeof(wide));
    return wide;
}

static enum status read_values(struct npy *out, const char *header, struct bytes values,
                               struct error *err) {
    bool floats = strstr(header, "'<f4'");
    size_t width = floats || strstr(header, "'<i4'") ? 4
                   : strstr(header, "'<i8'")         ? 8
                   : strstr(header, "'|u1'")         ? 1
                                                     : 0;
    if (width == 0 || !strstr(header, "'fortran_order': False"))
        return error_set(err, STATUS_UNSUPPORTED, "%s, expected f4, i4, i8 or u1 in C order",
                         header);
    size_t size;
    if (!size_multiply(&size, out->count, width) || size != values.size)
        return error_set(err, STATUS_INVALID, "%zu bytes for %zu values", values.size, out->count);
    if (floats) {
        out->floats = malloc(size ? size : 1);
        if (!out->floats) return error_set(err, STATUS_NO_MEMORY, "out of memory");
        memcpy(out->floats, values.data, size);
        return STATUS_OK;
    }
    out->ints = calloc(out->count ? out->count : 1, sizeof(*out->ints));
    if (!out->ints) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < out->count; i++) out->ints[i] = read_int(values.data + i * width, width);
    return STATUS_OK;
}

enum status npy_read(struct npy *out, const char *path, struct error *err) {
    *out = (struct npy){0};
    struct buffer file;
    buffer_init(&file, FILE_SIZE_MAX);
    enum status status = file_read(&file, path, err);
    if (status) return status;
    char header[HEADER_SIZE_MAX];
    size_t start = read_header(header, buffer_view(&file));
    if (start == 0 || !read_shape(out, header)) {
        status = error_set(err, STATUS_INVALID, "%s is not a .npy file", path);
    } else {
        struct bytes values = {.data = file.data + start, .size = file.size - start};
        status = read_values(out, header, values, err);
    }
    buffer_free(&file);
    return status;
}

void npy_free(struct npy *npy) {
    free(npy->floats);
    free(npy->ints);
    *npy = (struct npy){0};
}
