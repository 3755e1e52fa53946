/* garbled.c - tells mojibake from text, by the characters that stand side by side.
 *
 * Follows ftfy 6.3.1 (SPEC 5.3.1): its rules for badness, all of which are short sequences of
 * sets of characters, and its pattern for runs of UTF-8. The rules are looked for together:
 * each place in a rule is a bit, set while the characters before it fit, so a character costs
 * a look at its row and a shift (tools/gen_mojibake_tables.py). */
#include "core/text/garbled.h"

#include "core/text/unicode.h"

enum { ASCII_END = 0x80 };

const struct mojibake_character *garbled_find(uint32_t point) {
    if (point < ASCII_END) return &mojibake_characters[point];
    size_t low = ASCII_END, high = mojibake_characters_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mojibake_characters[middle].point < point)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < mojibake_characters_count && mojibake_characters[low].point == point;
    return found ? &mojibake_characters[low] : NULL;
}

static bool is_ascii(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= ASCII_END) return false;
    return true;
}

/* Python's \w, of Unicode 15; the characters that have a row know it themselves. */
static bool is_word(uint32_t c) {
    enum unicode_class class = unicode_classify(c);
    return class == UNICODE_LETTER || class == UNICODE_NUMBER;
}

bool garbled_suspect(struct bytes text) {
    if (is_ascii(text)) return false;
    const struct mojibake_rules *rules = &mojibake_rules;
    uint64_t fits[MOJIBAKE_WORDS] = {0}; /* the places up to which the last characters fit */
    for (size_t at = 0; at < text.size;) {
        const uint64_t *begin = at == 0 ? rules->at_begin : rules->first;
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        const struct mojibake_character *found = garbled_find(c);
        for (size_t i = 0; i < MOJIBAKE_WORDS; i++) {
            uint64_t next = fits[i] << 1 | begin[i];
            uint64_t allowed = found ? found->rules[i] : rules->other[i];
            if (!found && (next & rules->word[i]) && is_word(c)) allowed |= rules->word[i];
            fits[i] = next & allowed;
            if (fits[i] & rules->last[i]) return true;
        }
    }
    return false;
}

/* Bytes of the character at `at` if it is one of `clues`, or 0. */
static size_t clue_size(struct bytes text, size_t at, unsigned clues) {
    if (at == text.size) return 0;
    uint32_t c;
    size_t size = unicode_decode(&c, text.data + at);
    const struct mojibake_character *found = garbled_find(c);
    return found && (found->clues & clues) ? size : 0;
}

/* Bytes of what looks like one UTF-8 character at `at`, or 0. */
static size_t sequence_size(struct bytes text, size_t at) {
    static const unsigned leads[] = {MOJIBAKE_LEAD_2, MOJIBAKE_LEAD_3, MOJIBAKE_LEAD_4};
    for (size_t i = 0; i < 3; i++) {
        size_t size = clue_size(text, at, leads[i]);
        if (!size) continue;
        for (size_t k = 0; k <= i; k++) {
            size_t next = clue_size(text, at + size, MOJIBAKE_CONTINUATION);
            if (!next) return 0;
            size += next;
        }
        return size;
    }
    return 0;
}

static size_t previous(struct bytes text, size_t at) {
    do at--;
    while ((text.data[at] & 0xC0) == 0x80);
    return at;
}

bool garbled_run(size_t *begin, size_t *end, struct bytes text, size_t from) {
    /* What comes behind a continuation may be the rest of something longer. */
    bool strict = from > 0 && clue_size(text, previous(text, from), MOJIBAKE_STRICT);
    for (size_t at = from; at < text.size;) {
        size_t size = strict ? 0 : sequence_size(text, at);
        if (size) {
            *begin = at;
            for (; size; size = sequence_size(text, at)) at += size;
            *end = at;
            return true;
        }
        strict = clue_size(text, at, MOJIBAKE_STRICT) > 0;
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
    }
    return false;
}
