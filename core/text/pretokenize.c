/* pretokenize.c - CLIP's regular expression, by hand.
 *
 * Case is ignored by the references' regex module in a way of its own (SPEC 5.1, both
 * found by trying every character): the long s (U+017F) is an s, and U+0345 matches no
 * alternative at all, so it is dropped and splits words. A special word in other letters
 * than its own, <|ENDOFTEXT|>, is still matched as one word, but not as special. hf-fast
 * has none of this, and knows some letters and numbers of a newer Unicode. */
#include "core/text/pretokenize.h"

#include <string.h>

#include "core/text/unicode.h"

enum { LONG_S = 0x17F, YPOGEGRAMMENI = 0x345 };

static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
enum { CONTRACTIONS_COUNT = sizeof(contractions) / sizeof(contractions[0]) };

static bool same_letter(uint32_t c, uint32_t lower, bool ignore_case) {
    if (c == lower) return true;
    if (!ignore_case) return false;
    return (c >= 'A' && c <= 'Z' && (c | 0x20) == lower) || (c == LONG_S && lower == 's');
}

/* How many bytes at the start of `text` spell `literal` (lower-case ASCII), or 0. */
static size_t match_literal(struct bytes text, const char *literal, bool ignore_case) {
    size_t at = 0;
    for (; *literal; literal++) {
        if (at == text.size) return 0;
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        if (!same_letter(c, (uint8_t)*literal, ignore_case)) return 0;
    }
    return at;
}

/* A special word or a contraction at the start of `text`: its size, or 0. */
static size_t match_words(const struct pretokenizer *pretokenizer, struct bytes text) {
    bool ignore_case = !pretokenizer->hf_fast;
    if (text.data[0] == '<' && pretokenizer->start_word) {
        size_t size = match_literal(text, pretokenizer->start_word, ignore_case);
        return size ? size : match_literal(text, pretokenizer->end_word, ignore_case);
    }
    if (text.data[0] != '\'') return 0;
    for (size_t i = 0; i < CONTRACTIONS_COUNT; i++) {
        size_t size = match_literal(text, contractions[i], ignore_case);
        if (size) return size;
    }
    return 0;
}

static enum unicode_class classify(const struct pretokenizer *pretokenizer, uint32_t c) {
    enum unicode_class class = unicode_classify(c);
    if (c < 0x80 || class != UNICODE_OTHER) return class;
    /* Taken as a space, it is skipped and ends words, which is what matching nothing means. */
    if (!pretokenizer->hf_fast) return c == YPOGEGRAMMENI ? UNICODE_SPACE : class;
    if (unicode_in(&text_hf_letters, c)) return UNICODE_LETTER;
    return unicode_in(&text_hf_numbers, c) ? UNICODE_NUMBER : class;
}

/* The size of the run of one class at the start of `text`; a number is alone. */
static size_t match_run(const struct pretokenizer *pretokenizer, struct bytes text) {
    uint32_t c;
    size_t at = unicode_decode(&c, text.data);
    enum unicode_class class = classify(pretokenizer, c);
    if (class == UNICODE_NUMBER) return at;
    while (at < text.size) {
        size_t size = unicode_decode(&c, text.data + at);
        if (classify(pretokenizer, c) != class) break;
        at += size;
    }
    return at;
}

static enum pretoken_kind kind_of(const struct pretokenizer *pretokenizer, struct bytes word) {
    const char *start = pretokenizer->start_word, *end = pretokenizer->end_word;
    if (!start || word.data[0] != '<') return PRETOKEN_WORD;
    if (word.size == strlen(start) && !memcmp(word.data, start, word.size)) return PRETOKEN_START;
    if (word.size == strlen(end) && !memcmp(word.data, end, word.size)) return PRETOKEN_END;
    return PRETOKEN_WORD;
}

enum pretoken_kind pretokenizer_next(struct pretokenizer *pretokenizer, struct bytes *word) {
    while (pretokenizer->at < pretokenizer->text.size) {
        struct bytes rest = {pretokenizer->text.data + pretokenizer->at,
                             pretokenizer->text.size - pretokenizer->at};
        size_t size = match_words(pretokenizer, rest);
        bool found = size > 0;
        if (!found) {
            uint32_t c;
            unicode_decode(&c, rest.data);
            found = classify(pretokenizer, c) != UNICODE_SPACE;
            size = match_run(pretokenizer, rest);
        }
        pretokenizer->at += size;
        if (!found) continue;
        *word = (struct bytes){rest.data, size};
        return kind_of(pretokenizer, *word);
    }
    return PRETOKEN_NONE;
}
