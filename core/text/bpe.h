/* bpe.h - byte pair encoding of one word: of its bytes, or of symbols that the caller has found
 * for its characters.
 *
 * The merges are immutable after create and shared by all threads; each text brings
 * its own workspace. Time grows with size x log(size) of the word, memory with its size
 * (32 bytes for each byte of the longest word).
 */
#ifndef CORE_TEXT_BPE_H
#define CORE_TEXT_BPE_H

#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

struct bpe;

/* Copies what it needs of the vocabulary. */
enum status bpe_create(struct bpe **out, const struct vocabulary *vocabulary, struct error *err);
/* From merges alone, for bpe_join(). ranks[i] is that of merge i, or its place if `ranks` is
 * NULL; of merges of the same rank the leftmost in a word goes first. */
enum status bpe_create_merges(struct bpe **out, const struct vocabulary_merge *merges,
                              const uint32_t *ranks, size_t count, struct error *err);
void bpe_destroy(struct bpe *bpe);

enum { BPE_WORD_ON_STACK = 64 };

/* A symbol of the word, linked to its neighbours by index. */
struct bpe_symbol {
    uint32_t id;
    uint32_t previous, next;
    uint32_t pair; /* which merge joins it with the next one; UINT32_MAX: none */
};

/* Reused for the words of one text; it lives on the caller's stack. */
struct bpe_workspace {
    struct bpe_symbol *symbols; /* [capacity] */
    uint64_t *heap;             /* [2 * capacity] */
    size_t capacity;
    struct bpe_symbol small_symbols[BPE_WORD_ON_STACK];
    uint64_t small_heap[2 * BPE_WORD_ON_STACK];
};

void bpe_workspace_init(struct bpe_workspace *workspace);
void bpe_workspace_free(struct bpe_workspace *workspace);

/* Counts one id, and writes it while fewer than `limit` are written. */
void bpe_push(struct tokens *out, size_t limit, uint32_t id);
/* Pushes the ids of a word, which is not empty. */
enum status bpe_encode(struct tokens *out, size_t limit, const struct bpe *bpe,
                       struct bpe_workspace *workspace, struct bytes word, struct error *err);
/* Joins `count` symbols, at least one, and leaves the ids of what they become, *count of them,
 * in place. */
enum status bpe_join(uint32_t *ids, size_t *count, const struct bpe *bpe,
                     struct bpe_workspace *workspace, struct error *err);

#endif
