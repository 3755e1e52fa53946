/* symbols.c - strings and their ids: a hash table with linear probing, at most half
 * full, the strings one after the other in one buffer. */
#include "core/text/symbols.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 1024, TEXT_MAX = 64 << 20 };

struct symbol_slot {
    uint32_t offset, size, id, hash;
    bool used;
};

void symbols_init(struct symbols *symbols) {
    *symbols = (struct symbols){0};
    buffer_init(&symbols->text, TEXT_MAX);
}

void symbols_free(struct symbols *symbols) {
    free(symbols->slots);
    buffer_free(&symbols->text);
    symbols_init(symbols);
}

/* Where the string is, or the empty slot where it would be. */
static struct symbol_slot *find_slot(const struct symbols *symbols, struct bytes text,
                                     uint32_t hash) {
    size_t mask = symbols->capacity - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct symbol_slot *slot = &symbols->slots[at];
        if (!slot->used) return slot;
        if (slot->hash == hash && slot->size == text.size &&
            memcmp(symbols->text.data + slot->offset, text.data, text.size) == 0)
            return slot;
    }
}

static enum status grow(struct symbols *symbols, struct error *err) {
    if (!symbols->capacity) {
        enum status status = keyed_hash_init(&symbols->hash, err);
        if (status) return status;
    }
    size_t capacity = symbols->capacity ? symbols->capacity * 2 : CAPACITY_MIN;
    struct symbol_slot *slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu symbols", capacity / 2);
    for (size_t i = 0; i < symbols->capacity; i++) {
        if (!symbols->slots[i].used) continue;
        size_t at = symbols->slots[i].hash & (capacity - 1);
        while (slots[at].used) at = (at + 1) & (capacity - 1);
        slots[at] = symbols->slots[i];
    }
    free(symbols->slots);
    symbols->slots = slots;
    symbols->capacity = capacity;
    return STATUS_OK;
}

enum status symbols_put(struct symbols *symbols, struct bytes text, uint32_t id,
                        struct error *err) {
    if (2 * symbols->count >= symbols->capacity) {
        enum status status = grow(symbols, err);
        if (status) return status;
    }
    uint32_t hash = (uint32_t)keyed_hash_of(&symbols->hash, text);
    struct symbol_slot *slot = find_slot(symbols, text, hash);
    if (slot->used) {
        slot->id = id;
        return STATUS_OK;
    }
    size_t offset = symbols->text.size;
    enum status status = buffer_append(&symbols->text, text.data, text.size, err);
    if (status) return status;
    *slot = (struct symbol_slot){(uint32_t)offset, (uint32_t)text.size, id, hash, true};
    symbols->count++;
    return STATUS_OK;
}

bool symbols_find(uint32_t *id, const struct symbols *symbols, struct bytes text) {
    if (!symbols->capacity) return false;
    uint32_t hash = (uint32_t)keyed_hash_of(&symbols->hash, text);
    const struct symbol_slot *slot = find_slot(symbols, text, hash);
    if (slot->used) *id = slot->id;
    return slot->used;
}
