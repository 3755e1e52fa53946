/* clean.h - a text as the pre-tokenizer of its mode wants it. */
#ifndef CORE_TEXT_CLEAN_H
#define CORE_TEXT_CLEAN_H

#include "core/text/tokenizer.h"

enum {
    CLEAN_TEXT_MAX = 4 << 20, /* bytes */
    /* NFC makes no text more than three times as long, lower case half as long again. */
    CLEAN_OUTPUT_MAX = 5 * CLEAN_TEXT_MAX,
};

/* Appends the cleaned text, spaces at both ends dropped; `text` is valid UTF-8 of at most
 * CLEAN_TEXT_MAX bytes, `out` has the limit CLEAN_OUTPUT_MAX. */
enum status clean_text(struct buffer *out, struct bytes text,
                       const struct tokenizer_options *options, struct error *err);

/* Appends the text in lower case, character by character: with Python's tables, or with the
 * newer ones of the module tokenizers. */
enum status clean_lower(struct buffer *out, struct bytes text, bool hf_fast, struct error *err);

#endif
