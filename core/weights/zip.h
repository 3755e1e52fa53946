/* zip.h - the archives that torch.save() writes, without unpacking anything.
 *
 * Entries are stored as they are, so that an entry's data is a view of the file, wherever
 * the file is mapped; compressed ones are listed, but cannot be read. Sizes are the central
 * directory's, because PyTorch leaves those of the local headers empty (SPEC 7.2). Names are
 * compared and never become paths. */
#ifndef CORE_WEIGHTS_ZIP_H
#define CORE_WEIGHTS_ZIP_H

#include "core/base/bytes.h"

struct zip_entry {
    struct bytes name; /* in the file */
    uint16_t flags, method;
    uint64_t packed_size, size;
    uint64_t header_at;
};

struct zip {
    struct bytes file;
    struct zip_entry *entries; /* [count], sorted by name */
    size_t count;
    size_t directory_at; /* where the central directory begins, and data ends */
};

/* Reads the directory of the archive. Borrows the file. */
enum status zip_open(struct zip *out, struct bytes file, struct error *err);
void zip_close(struct zip *zip);

/* NULL if there is none of that name. */
const struct zip_entry *zip_find(const struct zip *zip, struct bytes name);
/* The data of an entry, checked to lie within the file. */
enum status zip_data(struct bytes *out, const struct zip *zip, const struct zip_entry *entry,
                     struct error *err);

#endif
