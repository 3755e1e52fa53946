/* bert.h - how BERT cleans a text and cuts it into words, as the module tokenizers does it. */
#ifndef CORE_TEXT_BERT_H
#define CORE_TEXT_BERT_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct bert_options {
    bool clean;         /* control characters go, white space becomes spaces */
    bool chinese;       /* spaces around CJK ideographs */
    bool strip_accents; /* form D without nonspacing marks */
    bool lower;
};

/* Appends the cleaned text; `text` is valid UTF-8. */
enum status bert_clean(struct buffer *out, struct bytes text, const struct bert_options *options,
                       struct error *err);
/* Takes the next word off the cleaned text: letters up to white space or punctuation, or one
 * punctuation character. False at the end. */
bool bert_next_word(struct bytes *word, struct bytes *text);

#endif
