/* pretokenize.h - cleaned text to the words that BPE works on: CLIP's regular expression.
 *
 *     <special words> | 's|'t|'re|'ve|'m|'ll|'d | \p{L}+ | \p{N} | [^\s\p{L}\p{N}]+
 *
 * Leftmost match, first alternative first. What matches nothing is skipped.
 */
#ifndef CORE_TEXT_PRETOKENIZE_H
#define CORE_TEXT_PRETOKENIZE_H

#include <stdbool.h>

#include "core/base/bytes.h"

/* The caller's own; set at to 0 and read on until PRETOKEN_NONE. */
struct pretokenizer {
    struct bytes text; /* valid UTF-8 */
    size_t at;
    /* Words that stand for the start and the end token; NULL: none are special. */
    const char *start_word, *end_word;
    bool hf_fast; /* case matters and newer letters count; else re.IGNORECASE */
};

enum pretoken_kind { PRETOKEN_NONE, PRETOKEN_WORD, PRETOKEN_START, PRETOKEN_END };

/* The next word, a view into the text, never empty; for START and END it is the word as
 * well. */
enum pretoken_kind pretokenizer_next(struct pretokenizer *pretokenizer, struct bytes *word);

#endif
