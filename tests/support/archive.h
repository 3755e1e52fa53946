/* archive.h - zip archives as torch.save() writes them, and ways to damage them. */
#ifndef TESTS_SUPPORT_ARCHIVE_H
#define TESTS_SUPPORT_ARCHIVE_H

#include "core/base/bytes.h"

struct archive_entry {
    const char *name;
    struct bytes data;
};

enum archive_record { ARCHIVE_LOCAL, ARCHIVE_CENTRAL, ARCHIVE_END64, ARCHIVE_LOCATOR, ARCHIVE_END };

/* Stored entries, sizes in the central directory only, with the 64-bit records. What goes
 * wrong aborts. The caller buffer_free()s it. */
void archive_build(struct buffer *out, const struct archive_entry *entries, size_t count);

/* Overwrites `size` bytes at `offset` of the last record of that kind, little-endian. */
void archive_patch(struct buffer *archive, enum archive_record record, size_t offset, size_t size,
                   uint64_t value);

#endif
