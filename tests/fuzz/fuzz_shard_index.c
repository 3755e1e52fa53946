/* The index of a checkpoint's shards: whatever is accepted names files beside it, each once and
 * in order, and a failure says what it is. */
#include "core/weights/shard_index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct shard_index index;
    struct error err = ERROR_NONE;
    enum status status = shard_index_parse(&index, (struct bytes){data, size}, &err);
    if (status != err.status || (status != STATUS_OK) != (index.count == 0)) abort();
    for (size_t i = 0; i < index.count; i++) {
        const char *name = index.names[i];
        if (!*name || strpbrk(name, "/\\\n") || !strcmp(name, ".") || !strcmp(name, "..")) abort();
        if (i && strcmp(index.names[i - 1], name) >= 0) abort();
    }
    shard_index_free(&index);
    return 0;
}
