/* normalizer.h - the "normalizer" of a tokenizer.json: steps that a text goes through before
 * it is cut into words. */
#ifndef CORE_TEXT_NORMALIZER_H
#define CORE_TEXT_NORMALIZER_H

#include "core/text/bert.h"
#include "core/text/charsmap.h"
#include "core/text/pattern.h"

enum normalizer_kind {
    NORMALIZER_LOWER,
    NORMALIZER_NFC,
    NORMALIZER_NFD,
    NORMALIZER_STRIP,         /* white space at the ends goes */
    NORMALIZER_STRIP_ACCENTS, /* nonspacing marks go */
    NORMALIZER_PREPEND,       /* `content` before a text that is not empty */
    NORMALIZER_REPLACE,       /* what `pattern` matches by `content` */
    NORMALIZER_CHARSMAP,
    NORMALIZER_BERT,
};

struct normalizer_step {
    enum normalizer_kind kind;
    bool left, right; /* of strip */
    struct pattern pattern;
    struct buffer content;
    struct charsmap charsmap;
    struct bert_options bert;
};

enum { NORMALIZER_STEPS_MAX = 16 };

/* Zeroed memory does nothing. */
struct normalizer {
    struct normalizer_step *steps; /* [count] */
    size_t count;
};

/* Adds a zeroed step at the end, or `first` at the beginning; NULL when there are too many. */
struct normalizer_step *normalizer_add(struct normalizer *normalizer, enum normalizer_kind kind,
                                       bool first, struct error *err);
void normalizer_free(struct normalizer *normalizer);

/* Appends the text as the steps leave it; `text` is valid UTF-8, `out` has the limit
 * CLEAN_OUTPUT_MAX. */
enum status normalizer_apply(struct buffer *out, const struct normalizer *normalizer,
                             struct bytes text, struct error *err);

#endif
