#include "api/npy_body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    MAGIC_SIZE = 6,
    PREFIX_SIZE = MAGIC_SIZE + 4,
    HEADER_MAX = 4096,
    ALIGNMENT = 64,
    FOUND_MAX = 40, /* bytes of a value that a report shows */
};

static const char magic[] = "\x93NUMPY";

/* The text behind "'key':" in the dictionary, spaces skipped; NULL when it is not there. */
static const char *find_value(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof(quoted), "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " ");
}

/* A whole number of at most 15 digits. */
static const char *read_number(size_t *out, const char *text) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 15) return NULL;
    *out = 0;
    for (size_t i = 0; i < digits; i++) *out = *out * 10 + (size_t)(text[i] - '0');
    return text + digits + strspn(text + digits, " ");
}

/* "(rows, dim)" */
static bool read_shape(size_t *rows, size_t *dim, const char *text) {
    if (*text != '(') return false;
    text = read_number(rows, text + 1);
    if (!text || *text != ',') return false;
    text = read_number(dim, text + 1 + strspn(text + 1, " "));
    return text && *text == ')';
}

static enum status refuse(const char *key, const char *found, const char *expected,
                          struct error *err) {
    if (!found)
        return error_set(err, STATUS_INVALID, "the .npy file has no %s, expected %s", key,
                         expected);
    size_t size = *found == '(' ? strcspn(found, ")") + 1 : strcspn(found, ",} \n");
    return error_set(err, STATUS_INVALID, "the .npy file has %s %.*s, expected %s", key,
                     (int)(size < FOUND_MAX ? size : FOUND_MAX), found, expected);
}

static enum status read_dictionary(size_t *rows, size_t *dim, const char *header,
                                   struct error *err) {
    const char *descr = find_value(header, "descr"), *shape = find_value(header, "shape");
    const char *order = find_value(header, "fortran_order");
    if (!descr || strncmp(descr, "'<f4'", 5) != 0)
        return refuse("descr", descr, "'<f4', little-endian float32", err);
    if (!order || strncmp(order, "False", 5) != 0)
        return refuse("fortran_order", order, "False, C order", err);
    if (!shape || !read_shape(rows, dim, shape)) return refuse("shape", shape, "(rows, dim)", err);
    return STATUS_OK;
}

enum status npy_body_read(struct bytes *data, size_t *rows, struct bytes file, size_t dim,
                          struct error *err) {
    char header[HEADER_MAX + 1];
    size_t found = 0, bytes;
    if (file.size < PREFIX_SIZE || memcmp(file.data, magic, MAGIC_SIZE) != 0 ||
        file.data[MAGIC_SIZE] != 1) {
        return error_set(err, STATUS_INVALID, "not a .npy file of version 1");
    }
    size_t size = file.data[MAGIC_SIZE + 2] | (size_t)file.data[MAGIC_SIZE + 3] << 8;
    if (size > HEADER_MAX || size > file.size - PREFIX_SIZE) {
        return error_set(err, STATUS_INVALID, "the header of the .npy file has %zu bytes", size);
    }
    memcpy(header, file.data + PREFIX_SIZE, size);
    header[size] = '\0';
    enum status status = read_dictionary(rows, &found, header, err);
    if (status) return status;
    if (found != dim) {
        return error_set(err, STATUS_CONFLICT, "an embedding has %zu dimensions, expected %zu",
                         found, dim);
    }
    *data = (struct bytes){file.data + PREFIX_SIZE + size, file.size - PREFIX_SIZE - size};
    if (!size_multiply(&bytes, *rows, dim * sizeof(float)) || bytes != data->size) {
        return error_set(err, STATUS_INVALID,
                         "the .npy file has %zu bytes of numbers, not %zu rows", data->size, *rows);
    }
    return STATUS_OK;
}

enum status npy_body_write_header(struct buffer *out, const char *descr, const size_t *shape,
                                  size_t dims, struct error *err) {
    char header[192];
    assert(dims && dims <= NPY_BODY_DIMS_MAX);
    size_t size = (size_t)snprintf(header, sizeof(header),
                                   "{'descr': '%.3s', 'fortran_order': False, "
                                   "'shape': (",
                                   descr);
    for (size_t i = 0; i < dims; i++) {
        size += (size_t)snprintf(header + size, sizeof(header) - size, "%zu%s", shape[i],
                                 i + 1 < dims ? ", "
                                 : dims == 1  ? ",), }"
                                              : "), }");
    }
    /* Padded with spaces and a line feed, so that the numbers are aligned. */
    size_t padded = (PREFIX_SIZE + size + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - PREFIX_SIZE;
    const uint8_t prefix[] = {1, 0, (uint8_t)padded, (uint8_t)(padded >> 8)};
    enum status status = buffer_append(out, magic, MAGIC_SIZE, err);
    if (!status) status = buffer_append(out, prefix, sizeof(prefix), err);
    if (!status) status = buffer_printf(out, err, "%s%*s\n", header, (int)(padded - size - 1), "");
    return status;
}
