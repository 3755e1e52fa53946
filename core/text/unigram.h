/* unigram.h - SentencePiece's unigram model: of all ways to cut a word into pieces the most
 * probable one. */
#ifndef CORE_TEXT_UNIGRAM_H
#define CORE_TEXT_UNIGRAM_H

#include "core/text/pieces.h"

struct unigram {
    const struct pieces *pieces;
    const double *scores; /* by id: logarithms of probabilities */
    double unknown_score; /* of a character that no piece begins with */
    bool narrow;          /* sums are rounded to f32, as SentencePiece has them */
};

/* A piece of the word, or a character that is none (id PIECES_NONE). */
struct unigram_piece {
    uint32_t begin, size, id;
};

/* Reused for the words of one text. */
struct unigram_workspace {
    struct unigram_state *states; /* [capacity] */
    struct unigram_piece *pieces; /* [capacity]: the result */
    size_t capacity;
};

/* Zeroed memory is an empty workspace. */
void unigram_workspace_free(struct unigram_workspace *workspace);

/* Cuts a word of valid UTF-8; *count pieces are in the workspace. Time grows with the word's
 * size times the longest piece that begins at each place, memory with its size (28 bytes for
 * each byte). */
enum status unigram_cut(size_t *count, const struct unigram *unigram,
                        struct unigram_workspace *workspace, struct bytes word, struct error *err);

#endif
