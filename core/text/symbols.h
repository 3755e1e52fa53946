/* symbols.h - strings and their ids, while a vocabulary is read. */
#ifndef CORE_TEXT_SYMBOLS_H
#define CORE_TEXT_SYMBOLS_H

#include <stdbool.h>

#include "core/base/keyed_hash.h"

struct symbol_slot;

/* A hash table that copies its strings. One thread at a time. */
struct symbols {
    struct symbol_slot *slots; /* [capacity], a power of two or 0 */
    size_t capacity, count;
    struct keyed_hash hash; /* drawn with the first slots */
    struct buffer text;
};

void symbols_init(struct symbols *symbols);
void symbols_free(struct symbols *symbols);

/* A string that is there already gets the new id. */
enum status symbols_put(struct symbols *symbols, struct bytes text, uint32_t id, struct error *err);
bool symbols_find(uint32_t *id, const struct symbols *symbols, struct bytes text);

#endif
