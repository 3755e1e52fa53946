/* subword.h - the tokenizers that are not CLIP's: SentencePiece's unigram and BPE, and BERT's
 * WordPiece, with all that stands around them in a tokenizer.json, a .model or a vocab.txt.
 *
 * A text goes through the normaliser, is cut into words, and each word into pieces by one of
 * three models; a start and an end token are put around. Immutable once it is read.
 */
#ifndef CORE_TEXT_SUBWORD_H
#define CORE_TEXT_SUBWORD_H

#include "core/text/bpe.h"
#include "core/text/normalizer.h"
#include "core/text/unigram.h"
#include "core/text/words.h"

enum subword_model { SUBWORD_UNIGRAM, SUBWORD_BPE, SUBWORD_WORDPIECE };

/* A string that is one token wherever it stands in a text. */
struct subword_added {
    uint32_t id;
    bool take_left, take_right; /* and the white space beside it goes */
};

struct subword {
    enum subword_model model;
    uint32_t size; /* the largest id and one */
    /* PIECES_NONE: there is none */
    uint32_t unknown_id, start_id, end_id, pad_id;
    bool fuse_unknown; /* neighbours that are unknown are one token */
    bool whole_first;  /* of BPE: a word that is a piece is not cut */

    struct pieces pieces;     /* of WordPiece those that begin a word */
    struct pieces continuing; /* of WordPiece, without the mark "##" */
    struct pieces kept;       /* of a .model: what the user defined, one symbol for BPE */
    uint32_t byte_ids[256];   /* for what is unknown */
    bool has_bytes;
    double *scores; /* [size], of unigram */
    double unknown_score;
    bool narrow; /* see struct unigram */
    struct bpe *bpe;

    struct normalizer normalizer;
    struct words_rules words;
    struct subword_added *added; /* [added_count] */
    size_t added_count;
    struct pieces added_raw, added_clean; /* places in `added`: looked for before and after */
};

void subword_init(struct subword *subword);
void subword_free(struct subword *subword);

/* For whoever reads a file, the normaliser before the added tokens. One with `clean` is looked
 * for in the normalised text, normalised itself. */
enum status subword_add_added(struct subword *subword, struct bytes text,
                              const struct subword_added *added, bool clean, struct error *err);
/* Sorts, and finds the pieces of bytes ("<0x00>") if `bytes`. Ids are below subword->size. */
void subword_finish(struct subword *subword, bool bytes);
/* The id of a piece or an added token; PIECES_NONE if there is none. */
uint32_t subword_find(const struct subword *subword, struct bytes text);

/* Pushes the ids of the text, start and end token included; `text` is valid UTF-8 of at most
 * CLEAN_TEXT_MAX bytes. */
enum status subword_encode(struct tokens *out, size_t limit, const struct subword *subword,
                           struct bytes text, struct error *err);

#endif
