#include "tests/support/archive.h"

#include <stdlib.h>
#include <string.h>

enum { ARCHIVE_SIZE_MAX = 1 << 20 };

static void put(struct buffer *out, size_t size, uint64_t value) {
    uint8_t raw[8];
    for (size_t i = 0; i < size; i++) raw[i] = (uint8_t)(value >> (8 * i));
    if (buffer_append(out, raw, size, NULL)) abort();
}

static void put_text(struct buffer *out, const char *text, size_t size) {
    if (buffer_append(out, text, size, NULL)) abort();
}

static void put_local(struct buffer *out, const struct archive_entry *entry) {
    put_text(out, "PK\3\4", 4);
    put(out, 2, 0);
    put(out, 2, 0x0808); /* sizes come later, names are UTF-8 */
    for (int i = 0; i < 4; i++) put(out, 4, 0);
    put(out, 2, 0);
    put(out, 2, strlen(entry->name));
    put(out, 2, 5); /* padding, as PyTorch aligns its data */
    put_text(out, entry->name, strlen(entry->name));
    put_text(out, "FB\1\0Z", 5);
    put_text(out, (const char *)entry->data.data, entry->data.size);
}

static void put_central(struct buffer *out, const struct archive_entry *entry, size_t at) {
    put_text(out, "PK\1\2", 4);
    put(out, 4, 0);
    put(out, 2, 0x0808);
    put(out, 2, 0); /* stored */
    put(out, 8, 0);
    put(out, 4, entry->data.size);
    put(out, 4, entry->data.size);
    put(out, 2, strlen(entry->name));
    for (int i = 0; i < 3; i++) put(out, 4, 0);
    put(out, 4, at);
    put_text(out, entry->name, strlen(entry->name));
}

void archive_build(struct buffer *out, const struct archive_entry *entries, size_t count) {
    size_t offsets[64];
    if (count > 64) abort();
    buffer_init(out, ARCHIVE_SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = out->size;
        put_local(out, &entries[i]);
    }
    size_t begin = out->size;
    for (size_t i = 0; i < count; i++) put_central(out, &entries[i], offsets[i]);
    size_t end = out->size;
    put_text(out, "PK\6\6", 4);
    put(out, 8, 44);
    put(out, 4, 0);
    put(out, 8, 0);
    put(out, 8, count);
    put(out, 8, count);
    put(out, 8, end - begin);
    put(out, 8, begin);
    put_text(out, "PK\6\7", 4);
    put(out, 4, 0);
    put(out, 8, end);
    put(out, 4, 1);
    put_text(out, "PK\5\6", 4);
    put(out, 4, 0);
    put(out, 2, count);
    put(out, 2, count);
    put(out, 4, end - begin);
    put(out, 4, begin);
    put(out, 2, 0);
}

void archive_patch(struct buffer *archive, enum archive_record record, size_t offset, size_t size,
                   uint64_t value) {
    static const char *const magic[] = {"PK\3\4", "PK\1\2", "PK\6\6", "PK\6\7", "PK\5\6"};
    size_t at = archive->size - 4;
    while (memcmp(archive->data + at, magic[record], 4) != 0) {
        if (at-- == 0) abort();
    }
    for (size_t i = 0; i < size; i++) {
        archive->data[at + offset + i] = (uint8_t)(value >> (8 * i));
    }
}
