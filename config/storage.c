/* A list of blocks: a configuration has a few dozen strings, so one allocation for
 * each is cheap, and nothing needs a free() of its own. */
#include "config/storage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t data[];
};

struct config_storage {
    struct block *blocks;
};

struct config_storage *storage_create(void) {
    return calloc(1, sizeof(struct config_storage));
}

void storage_destroy(struct config_storage *storage) {
    if (!storage) return;
    for (struct block *block = storage->blocks; block;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(storage);
}

void *storage_take(struct config_storage *storage, size_t size) {
    if (size > SIZE_MAX - sizeof(struct block)) return NULL;
    struct block *block = calloc(1, sizeof(struct block) + size);
    if (!block) return NULL;
    block->next = storage->blocks;
    storage->blocks = block;
    return block->data;
}

char *storage_text(struct config_storage *storage, const char *text, size_t size) {
    if (size == SIZE_MAX) return NULL;
    char *copy = storage_take(storage, size + 1);
    if (copy && size) memcpy(copy, text, size);
    return copy;
}
