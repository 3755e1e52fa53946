/* charsmap.h - the "precompiled charsmap" of SentencePiece: which strings normalisation puts
 * in place of which.
 *
 * A 32-bit size, a double-array trie of that many bytes, and behind it strings that end in
 * NUL: what the trie finds is the place of one of these. Both come from a file, so that
 * every step through the trie is held against its size.
 */
#ifndef CORE_TEXT_CHARSMAP_H
#define CORE_TEXT_CHARSMAP_H

#include <stdbool.h>

#include "core/base/bytes.h"

/* Zeroed memory is a map of nothing. */
struct charsmap {
    uint32_t *units; /* [units_count], owned */
    size_t units_count;
    char *strings; /* [strings_size], owned; the last byte is NUL */
    size_t strings_size;
};

/* Copies what it needs. */
enum status charsmap_open(struct charsmap *out, struct bytes blob, struct error *err);
void charsmap_close(struct charsmap *map);

/* How many bytes at the beginning of the text are replaced, and by what; 0: none. Of several
 * entries the longest counts, as in SentencePiece, or with `shortest` the shortest, as in
 * the module tokenizers. */
size_t charsmap_match(const struct charsmap *map, struct bytes text, bool shortest,
                      struct bytes *replacement);
/* Appends the text as tokenizers' Precompiled makes it: short grapheme clusters are looked
 * up whole, then their characters. `text` is valid UTF-8. */
enum status charsmap_apply(struct buffer *out, const struct charsmap *map, struct bytes text,
                           struct error *err);

#endif
