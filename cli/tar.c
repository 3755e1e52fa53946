/* The formats: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header", and GNU
 * tar's manual, "Basic Tar Format". */
#include "cli/tar.h"

#include <string.h>

enum {
    BLOCK = 512,
    NAME_SIZE = 100,
    SIZE_AT = 124,
    SIZE_DIGITS = 11,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_SIZE = 155,
};

_Static_assert(PREFIX_SIZE + 1 + NAME_SIZE <= sizeof(((struct tar *)0)->joined), "room for both");

static bool read_size(size_t *out, const uint8_t *text) {
    *out = 0;
    for (size_t i = 0; i < SIZE_DIGITS; i++) {
        if (text[i] < '0' || text[i] > '7') return false;
        *out = *out * 8 + (size_t)(text[i] - '0');
    }
    return true;
}

static enum status damaged(struct error *err) {
    return error_set(err, STATUS_INVALID, "not a tar archive, or a damaged one");
}

/* Up to its NUL, if it has one. */
static struct bytes field(const uint8_t *data, size_t size) {
    return (struct bytes){data, strnlen((const char *)data, size)};
}

/* The name in a header itself; a long one is cut at a slash, and its beginning stands elsewhere. */
static struct bytes header_name(struct tar *tar, const uint8_t *header) {
    struct bytes name = field(header, NAME_SIZE);
    struct bytes prefix = field(header + PREFIX_AT, PREFIX_SIZE);
    /* GNU's own format says "ustar  ", and has other things there. */
    if (header[MAGIC_AT + 5] || !prefix.size) return name;
    memcpy(tar->joined, prefix.data, prefix.size);
    tar->joined[prefix.size] = '/';
    memcpy(tar->joined + prefix.size + 1, name.data, name.size);
    return (struct bytes){(const uint8_t *)tar->joined, prefix.size + 1 + name.size};
}

/* The path among pax records, "SIZE NAME=VALUE\n" with the size of all of it; as it was if there
 * is none. */
static enum status read_records(struct bytes *path, struct bytes records, struct error *err) {
    static const char key[] = "path=";
    while (records.size) {
        size_t size = 0, at = 0;
        for (; at < records.size && records.data[at] >= '0' && records.data[at] <= '9'; at++) {
            size = size * 10 + (size_t)(records.data[at] - '0');
            if (size > records.size) return damaged(err);
        }
        if (at + 2 > size || records.data[at] != ' ' || records.data[size - 1] != '\n')
            return damaged(err);
        struct bytes record = {records.data + at + 1, size - at - 2};
        if (record.size >= strlen(key) && !memcmp(record.data, key, strlen(key)))
            *path = (struct bytes){record.data + strlen(key), record.size - strlen(key)};
        if (path->size && memchr(path->data, 0, path->size)) return damaged(err);
        records.data += size;
        records.size -= size;
    }
    return STATUS_OK;
}

/* What stands in front of a file and is none: its name, if it is long. */
static enum status read_extension(struct bytes *name, uint8_t type, struct bytes data,
                                  struct error *err) {
    if (type == 'L') *name = field(data.data, data.size);
    return type == 'x' ? read_records(name, data, err) : STATUS_OK;
}

enum status tar_next(struct tar *tar, struct bytes *name, struct bytes *data, bool *found,
                     struct error *err) {
    struct bytes longer = {0};
    *found = false;
    while (tar->rest.size >= BLOCK && tar->rest.data[0]) {
        const uint8_t *header = tar->rest.data;
        uint8_t type = header[TYPE_AT];
        size_t size;
        if (memcmp(header + MAGIC_AT, "ustar", 5) != 0 || !read_size(&size, header + SIZE_AT) ||
            size > tar->rest.size - BLOCK)
            return damaged(err);
        size_t padded = BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
        if (padded > tar->rest.size) padded = tar->rest.size;
        *data = (struct bytes){header + BLOCK, size};
        tar->rest.data += padded;
        tar->rest.size -= padded;
        *found = type == '0' || type == 0;
        if (*found) {
            *name = longer.size ? longer : header_name(tar, header);
            return STATUS_OK;
        }
        /* A folder or a link takes the longer name that was for it. */
        if (!strchr("LKxg", type)) longer = (struct bytes){0};
        enum status status = read_extension(&longer, type, *data, err);
        if (status) return status;
    }
    return STATUS_OK;
}
