/* unigram.c - Viterbi's algorithm over the bytes of a word.
 *
 * Each place where a piece may end keeps the best way to it. A character that stands alone
 * in no piece can always be taken as unknown, so that there is a way to every end of one. */
#include "core/text/unigram.h"

#include <stdlib.h>

#include "core/text/unicode.h"

struct unigram_state {
    double score;
    uint32_t begin, id; /* of the last piece; begin UINT32_MAX: no way leads here yet */
};

void unigram_workspace_free(struct unigram_workspace *workspace) {
    free(workspace->states);
    free(workspace->pieces);
    *workspace = (struct unigram_workspace){.capacity = 0};
}

static enum status make_room(struct unigram_workspace *workspace, size_t size, struct error *err) {
    if (size <= workspace->capacity) return STATUS_OK;
    unigram_workspace_free(workspace);
    workspace->states = malloc(size * sizeof(*workspace->states));
    workspace->pieces = malloc(size * sizeof(*workspace->pieces));
    if (!workspace->states || !workspace->pieces)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a word of %zu bytes", size);
    workspace->capacity = size;
    return STATUS_OK;
}

static void offer(const struct unigram *unigram, struct unigram_state *states, size_t begin,
                  size_t end, uint32_t id, double score) {
    double sum = states[begin].score + score;
    if (unigram->narrow) sum = (double)(float)sum;
    if (states[end].begin != UINT32_MAX && !(sum > states[end].score)) return;
    states[end] = (struct unigram_state){sum, (uint32_t)begin, id};
}

/* All pieces that begin here, and the character itself if it is none of them. */
static void extend(const struct unigram *unigram, struct unigram_state *states, struct bytes word,
                   size_t begin, size_t character) {
    struct pieces_walk walk = pieces_begin(unigram->pieces);
    bool alone = false;
    uint32_t id;
    for (size_t at = begin; at < word.size && pieces_step(&walk, word.data[at], &id); at++) {
        if (id == PIECES_NONE) continue;
        offer(unigram, states, begin, at + 1, id, unigram->scores[id]);
        alone = alone || at + 1 == begin + character;
    }
    if (!alone)
        offer(unigram, states, begin, begin + character, PIECES_NONE, unigram->unknown_score);
}

enum status unigram_cut(size_t *count, const struct unigram *unigram,
                        struct unigram_workspace *workspace, struct bytes word, struct error *err) {
    enum status status = make_room(workspace, word.size + 1, err);
    if (status) return status;
    struct unigram_state *states = workspace->states;
    for (size_t i = 0; i <= word.size; i++) states[i].begin = UINT32_MAX;
    states[0] = (struct unigram_state){.begin = 0};
    for (size_t at = 0, character; at < word.size; at += character) {
        uint32_t point;
        character = unicode_decode(&point, word.data + at);
        extend(unigram, states, word, at, character);
    }
    /* Backwards from the end, then into the order of the text. */
    struct unigram_piece *pieces = workspace->pieces;
    size_t found = 0;
    for (size_t end = word.size; end > 0; end = states[end].begin)
        pieces[found++] = (struct unigram_piece){states[end].begin,
                                                 (uint32_t)end - states[end].begin, states[end].id};
    for (size_t i = 0; i < found / 2; i++) {
        struct unigram_piece other = pieces[i];
        pieces[i] = pieces[found - 1 - i];
        pieces[found - 1 - i] = other;
    }
    *count = found;
    return STATUS_OK;
}
