/* An archive ends with a record that says where the central directory lies, in 32 bits, and
 * before it another one in 64. Both are held to each other and to the file's size: an
 * archive that could be read in two ways is not read at all. */
#include "core/weights/zip.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/little_endian.h"

enum {
    END_SIZE = 22,
    COMMENT_MAX = 0xffff,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    ENTRIES_MAX = 1 << 20,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
};

static const uint8_t end_magic[] = "PK\5\6", locator_magic[] = "PK\6\7", end64_magic[] = "PK\6\6",
                     central_magic[] = "PK\1\2", local_magic[] = "PK\3\4";

static uint64_t read_at(const uint8_t *from, size_t offset, size_t size) {
    return little_endian(from + offset, size);
}

static bool is_magic(struct bytes file, size_t at, const uint8_t *magic) {
    return at <= file.size && file.size - at >= 4 && !memcmp(file.data + at, magic, 4);
}

/* What the end of the archive says of its directory. */
struct directory {
    uint64_t count, size, at;
    size_t end; /* where the directory must end */
};

/* The end record is followed by nothing but its comment. */
static bool find_end(struct bytes file, size_t *out) {
    if (file.size < END_SIZE) return false;
    size_t last = file.size - END_SIZE, most = last < COMMENT_MAX ? last : COMMENT_MAX;
    for (size_t comment = 0; comment <= most; comment++) {
        const uint8_t *end = file.data + last - comment;
        if (memcmp(end, end_magic, 4) != 0 || read_at(end, 20, 2) != comment) continue;
        *out = last - comment;
        return true;
    }
    return false;
}

/* A field of the old record is the new one's, or all ones. */
static bool agrees(uint64_t old, uint64_t full, uint64_t ones) {
    return old == full || old == ones;
}

static enum status read_end(struct directory *out, struct bytes file, struct error *err) {
    size_t at;
    if (!find_end(file, &at)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the archive of %zu bytes has no directory at its end: it was cut off, or "
                         "is no zip archive",
                         file.size);
    }
    const uint8_t *end = file.data + at;
    struct directory old = {
        .count = read_at(end, 10, 2), .size = read_at(end, 12, 4), .at = read_at(end, 16, 4)};
    *out = old;
    out->end = at;
    if (at >= LOCATOR_SIZE + END64_SIZE && is_magic(file, at - LOCATOR_SIZE, locator_magic)) {
        uint64_t end64_at = read_at(file.data, at - LOCATOR_SIZE + 8, 8);
        if (end64_at != at - LOCATOR_SIZE - END64_SIZE ||
            !is_magic(file, (size_t)end64_at, end64_magic)) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "the archive's 64-bit directory record is not before its locator");
        }
        const uint8_t *end64 = file.data + end64_at;
        out->count = read_at(end64, 32, 8);
        out->size = read_at(end64, 40, 8);
        out->at = read_at(end64, 48, 8);
        out->end = (size_t)end64_at;
        if (!agrees(old.count, out->count, 0xffff) || !agrees(old.size, out->size, 0xffffffff) ||
            !agrees(old.at, out->at, 0xffffffff)) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "the archive's two directory records say different things");
        }
    }
    if (out->at > out->end || out->size != out->end - out->at) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the archive's directory is said to be %llu bytes at %llu, %zu is where "
                         "it must end",
                         (unsigned long long)out->size, (unsigned long long)out->at, out->end);
    }
    if (out->count <= ENTRIES_MAX && out->count <= out->size / CENTRAL_SIZE) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "the archive's directory of %llu bytes is said to have %llu entries",
                     (unsigned long long)out->size, (unsigned long long)out->count);
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order, each only when it
 * does not fit. */
static bool read_zip64(struct zip_entry *entry, struct bytes extra) {
    uint64_t *const fields[] = {&entry->size, &entry->packed_size, &entry->header_at};
    size_t at = 0;
    while (extra.size - at >= 4) {
        size_t id = (size_t)read_at(extra.data, at, 2),
               size = (size_t)read_at(extra.data, at + 2, 2);
        at += 4;
        if (size > extra.size - at) return false;
        if (id != EXTRA_ZIP64) {
            at += size;
            continue;
        }
        for (size_t i = 0, used = 0; i < 3; i++) {
            if (*fields[i] != 0xffffffff) continue;
            if (size - used < 8) return false;
            *fields[i] = read_at(extra.data, at + used, 8);
            used += 8;
        }
        return true;
    }
    return true;
}

/* Reads one entry and moves *at behind it. */
static bool read_entry(struct zip_entry *out, struct bytes directory, size_t *at) {
    if (directory.size - *at < CENTRAL_SIZE || !is_magic(directory, *at, central_magic)) {
        return false;
    }
    const uint8_t *from = directory.data + *at;
    size_t name = (size_t)read_at(from, 28, 2), extra = (size_t)read_at(from, 30, 2);
    size_t size = CENTRAL_SIZE + name + extra + (size_t)read_at(from, 32, 2);
    if (size > directory.size - *at) return false;
    *out = (struct zip_entry){
        .name = {.data = from + CENTRAL_SIZE, .size = name},
        .flags = (uint16_t)read_at(from, 8, 2),
        .method = (uint16_t)read_at(from, 10, 2),
        .packed_size = read_at(from, 20, 4),
        .size = read_at(from, 24, 4),
        .header_at = read_at(from, 42, 4),
    };
    *at += size;
    return read_zip64(out, (struct bytes){.data = from + CENTRAL_SIZE + name, .size = extra});
}

static int compare(struct bytes a, struct bytes b) {
    size_t least = a.size < b.size ? a.size : b.size;
    int order = least ? memcmp(a.data, b.data, least) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_name(const void *a, const void *b) {
    const struct zip_entry *x = a, *y = b;
    return compare(x->name, y->name);
}

static enum status read_entries(struct zip *out, struct bytes directory, uint64_t count,
                                struct error *err) {
    size_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (read_entry(&out->entries[i], directory, &at)) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "entry %llu of %llu in the archive's directory is damaged",
                         (unsigned long long)i, (unsigned long long)count);
    }
    if (at != directory.size) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the archive's directory has %zu bytes behind its last entry",
                         directory.size - at);
    }
    out->count = (size_t)count;
    qsort(out->entries, out->count, sizeof(*out->entries), by_name);
    for (size_t i = 1; i < out->count; i++) {
        struct bytes name = out->entries[i].name;
        if (compare(out->entries[i - 1].name, name) != 0) continue;
        return error_set(err, STATUS_UNPROCESSABLE, "the archive has %.*s twice",
                         name.size < 120 ? (int)name.size : 120, (const char *)name.data);
    }
    return STATUS_OK;
}

enum status zip_open(struct zip *out, struct bytes file, struct error *err) {
    struct directory end = {0};
    *out = (struct zip){.file = file};
    enum status status = read_end(&end, file, err);
    if (status) return status;
    out->directory_at = (size_t)end.at;
    out->entries = calloc((size_t)end.count + 1, sizeof(*out->entries));
    if (!out->entries) return error_set(err, STATUS_NO_MEMORY, "out of memory for an archive");
    struct bytes directory = {.data = file.data + end.at, .size = (size_t)end.size};
    status = read_entries(out, directory, end.count, err);
    if (status) zip_close(out);
    return status;
}

void zip_close(struct zip *zip) {
    free(zip->entries);
    *zip = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *zip, struct bytes name) {
    struct zip_entry key = {.name = name};
    if (!zip->count) return NULL;
    return bsearch(&key, zip->entries, zip->count, sizeof(*zip->entries), by_name);
}

enum status zip_data(struct bytes *out, const struct zip *zip, const struct zip_entry *entry,
                     struct error *err) {
    int shown = entry->name.size < 120 ? (int)entry->name.size : 120;
    const char *name = (const char *)entry->name.data;
    if (entry->method || entry->flags & FLAG_ENCRYPTED || entry->packed_size != entry->size) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "archive entry %.*s is compressed or encrypted (method %u, %llu of %llu "
                         "bytes), PyTorch stores its data as it is",
                         shown, name, entry->method, (unsigned long long)entry->packed_size,
                         (unsigned long long)entry->size);
    }
    size_t limit = zip->directory_at;
    if (entry->header_at <= limit && limit - entry->header_at >= LOCAL_SIZE) {
        size_t at = (size_t)entry->header_at;
        const uint8_t *header = zip->file.data + at;
        size_t name_size = (size_t)read_at(header, 26, 2);
        size_t begin = at + LOCAL_SIZE + name_size + (size_t)read_at(header, 28, 2);
        if (is_magic(zip->file, at, local_magic) && begin <= limit &&
            entry->size <= limit - begin && name_size == entry->name.size &&
            !memcmp(header + LOCAL_SIZE, entry->name.data, name_size)) {
            *out = (struct bytes){.data = zip->file.data + begin, .size = (size_t)entry->size};
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_UNPROCESSABLE,
                     "archive entry %.*s is said to be %llu bytes at %llu, which is not so", shown,
                     name, (unsigned long long)entry->size, (unsigned long long)entry->header_at);
}
