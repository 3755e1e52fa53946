/* words.h - a normalised text to the words that a subword model cuts: the "pre_tokenizer" of a
 * tokenizer.json, and what SentencePiece itself does with spaces. */
#ifndef CORE_TEXT_WORDS_H
#define CORE_TEXT_WORDS_H

#include "core/text/charsmap.h"
#include "core/text/pieces.h"

/* U+2581, which stands for a space in SentencePiece's pieces. */
#define WORDS_SPACE "\xE2\x96\x81"

enum words_kind {
    WORDS_WHOLE,       /* the text is one word */
    WORDS_AFTER_SPACE, /* cut behind every space */
    WORDS_METASPACE,   /* tokenizers' Metaspace: spaces become WORDS_SPACE, before which it cuts */
    WORDS_SENTENCEPIECE, /* a .model file's own way: charsmap, spaces, one word */
    WORDS_BERT,          /* white space and punctuation */
};

enum words_prefix { WORDS_PREFIX_NEVER, WORDS_PREFIX_FIRST, WORDS_PREFIX_ALWAYS };

struct words_rules {
    enum words_kind kind;
    bool split_spaces;        /* white space is dropped and cuts first */
    enum words_prefix prefix; /* of metaspace: which words get a WORDS_SPACE in front */
    bool whole;               /* of metaspace: it does not cut */
    /* of sentencepiece: */
    bool dummy_prefix, remove_extra, escape;
    struct charsmap charsmap;
    const struct pieces *kept; /* strings that the charsmap leaves alone; NULL: none */
};

typedef enum status words_fn(void *context, struct bytes word, struct error *err);

/* Calls `take` for each word of valid UTF-8, none of them empty. `first`: nothing of the
 * input stands before this text. */
enum status words_cut(const struct words_rules *rules, struct bytes text, bool first,
                      words_fn *take, void *context, struct error *err);

#endif
