/* vocabulary_draft.h - a vocabulary while its files are read.
 *
 * Whoever reads a file adds all symbols, then the merges in their order, then finishes.
 * Every function checks what it is given, which comes from the file.
 */
#ifndef CORE_TEXT_VOCABULARY_DRAFT_H
#define CORE_TEXT_VOCABULARY_DRAFT_H

#include "core/text/symbols.h"
#include "core/text/vocabulary.h"

struct vocabulary_draft {
    struct vocabulary *vocabulary; /* the result, owned by the caller */
    struct symbols symbols;
    size_t merges_capacity;
    bool lists_added;                    /* the file says itself which tokens are added ones */
    uint8_t ids[VOCABULARY_IDS_MAX / 8]; /* a bit for each id in use */
};

/* `vocabulary` is zeroed; it is valid after vocabulary_draft_finish() only, but may
 * always be freed. NULL without memory. */
struct vocabulary_draft *vocabulary_draft_create(struct vocabulary *vocabulary, struct error *err);
void vocabulary_draft_destroy(struct vocabulary_draft *draft);

/* An id that is taken is STATUS_INVALID. A symbol that is there gets the new id. */
enum status vocabulary_draft_symbol(struct vocabulary_draft *draft, struct bytes symbol, int64_t id,
                                    struct error *err);
/* Both symbols and what they make together have to be there. */
enum status vocabulary_draft_merge(struct vocabulary_draft *draft, struct bytes left,
                                   struct bytes right, struct error *err);
/* Adds the symbol unless it is there with that id. */
enum status vocabulary_draft_added(struct vocabulary_draft *draft, struct bytes text, int64_t id,
                                   bool normalized, struct error *err);
/* Finds the bytes and the start and end token. */
enum status vocabulary_draft_finish(struct vocabulary_draft *draft, struct error *err);

/* The UTF-8 of the character that stands for a byte, and with `last` the mark that
 * a word ends; returns the size. */
enum { VOCABULARY_BYTE_SYMBOL_MAX = 8 };
size_t vocabulary_byte_symbol(uint8_t out[VOCABULARY_BYTE_SYMBOL_MAX], uint8_t byte, bool last);

#endif
