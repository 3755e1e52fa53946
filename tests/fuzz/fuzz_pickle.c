/* A pickle alone: values refer to values that are there, and the search for tensors ends. */
#include <stdlib.h>

#include "core/weights/state_dict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pickle *pickle) {
    if (pickle->root >= pickle->values_count) abort();
    for (size_t i = 0; i < pickle->links_count; i++) {
        const struct pickle_link *link = &pickle->links[i];
        if (link->value >= pickle->values_count) abort();
        if (link->next != PICKLE_NOTHING && link->next >= pickle->links_count) abort();
    }
    for (size_t i = 0; i < pickle->values_count; i++) {
        const struct pickle_value *value = &pickle->values[i];
        if (!value->count != (value->first == PICKLE_NOTHING)) abort();
        if (pickle_item(pickle, (uint32_t)i, value->count) != PICKLE_NOTHING) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pickle pickle;
    struct storages storages;
    struct tensors tensors;
    size_t used;
    if (pickle_parse(&pickle, &used, (struct bytes){data, size}, NULL)) return 0;
    if (used > size) abort();
    check(&pickle);
    if (!storages_collect(&storages, &pickle, NULL)) {
        state_dict_read(&tensors, &pickle, &storages, size, NULL);
        tensors_free(&tensors);
        storages_free(&storages);
    }
    pickle_free(&pickle);
    return 0;
}
