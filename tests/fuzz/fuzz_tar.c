/* Any bytes as a tar archive: names and contents lie within it, or in the room for joined names;
 * each file takes a block at least, so that there is an end; and a failure says what it is. */
#include "cli/tar.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct bytes part, struct bytes whole) {
    uintptr_t at = (uintptr_t)part.data, from = (uintptr_t)whole.data;
    return at >= from && at - from <= whole.size && part.size <= whole.size - (at - from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes whole = {data, size}, name, file;
    struct tar tar = {.rest = whole};
    struct error err = ERROR_NONE;
    bool found = true;
    enum status status = STATUS_OK;
    while (!status && found) {
        size_t left = tar.rest.size;
        status = tar_next(&tar, &name, &file, &found, &err);
        if (status != err.status || !lies_in(tar.rest, whole)) abort();
        if (status || !found) continue;
        struct bytes joined = {(const uint8_t *)tar.joined, sizeof(tar.joined)};
        if (left - tar.rest.size < BLOCK || !lies_in(file, whole)) abort();
        if (!lies_in(name, whole) && !lies_in(name, joined)) abort();
        if (memchr(name.data, 0, name.size)) abort();
    }
    return 0;
}
