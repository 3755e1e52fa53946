#include "cli/tar.h"

#include <string.h>

enum { BLOCK = 512, NAME_SIZE = 100, SIZE_AT = 124, SIZE_DIGITS = 11, TYPE_AT = 156 };

static bool read_size(size_t *out, const uint8_t *text) {
    *out = 0;
    for (size_t i = 0; i < SIZE_DIGITS; i++) {
        if (text[i] < '0' || text[i] > '7') return false;
        *out = *out * 8 + (size_t)(text[i] - '0');
    }
    return true;
}

enum status tar_next(struct tar *tar, struct bytes *name, struct bytes *data, bool *found,
                     struct error *err) {
    *found = false;
    while (tar->rest.size >= BLOCK && tar->rest.data[0]) {
        const uint8_t *header = tar->rest.data;
        size_t size;
        if (memcmp(header + 257, "ustar", 5) != 0 || !read_size(&size, header + SIZE_AT) ||
            size > tar->rest.size - BLOCK) {
            return error_set(err, STATUS_INVALID, "not a tar archive, or a damaged one");
        }
        size_t padded = BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
        if (padded > tar->rest.size) padded = tar->rest.size;
        *name = (struct bytes){header, strnlen((const char *)header, NAME_SIZE)};
        *data = (struct bytes){header + BLOCK, size};
        *found = header[TYPE_AT] == '0' || header[TYPE_AT] == 0;
        tar->rest.data += padded;
        tar->rest.size -= padded;
        if (*found) return STATUS_OK;
    }
    return STATUS_OK;
}
