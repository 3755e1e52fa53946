/* unicode.h - UTF-8, character classes and normalization form C.
 *
 * Texts are checked once, at the border, by unicode_valid(); everything else here and
 * in the modules above takes valid UTF-8 for granted. All functions are pure.
 */
#ifndef CORE_TEXT_UNICODE_H
#define CORE_TEXT_UNICODE_H

#include <stdbool.h>

#include "core/base/bytes.h"
#include "core/text/text_tables.h"

/* The regex classes; every character is in exactly one. */
enum unicode_class { UNICODE_SPACE, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_OTHER };

/* False with the offset of the first wrong byte. Surrogates, overlong forms and
 * anything past U+10FFFF are wrong; U+0000 and noncharacters are not. */
bool unicode_valid(struct bytes text, size_t *offset);

/* The character at `at` in valid UTF-8, and how many bytes it takes. */
size_t unicode_decode(uint32_t *point, const uint8_t *at);
/* Writes the UTF-8 of `point` and returns its size. */
size_t unicode_encode(uint8_t out[4], uint32_t point);

enum unicode_class unicode_classify(uint32_t point);
bool unicode_in(const struct text_ranges *ranges, uint32_t point);
/* What the table, sorted by character, puts in place of `point`; NULL if nothing. */
const char *unicode_replace(const struct text_replacement *table, size_t count, uint32_t point);

/* By general category: P, and C without what is not assigned. */
bool unicode_is_punctuation(uint32_t point);
bool unicode_is_control(uint32_t point);
/* Bytes of the first extended grapheme cluster of a text that is not empty. */
size_t unicode_cluster(struct bytes text);

/* Nonspacing marks, category Mn, go. */
void unicode_drop_marks(struct buffer *text);
/* The text without the white space at its ends. */
struct bytes unicode_strip(struct bytes text, bool left, bool right);

/* Appends text[from, to): what a pass that replaces characters leaves as it is. */
enum status unicode_keep(struct buffer *out, struct bytes text, size_t from, size_t to,
                         struct error *err);

/* Appends the text in normalization form C. With `marks` no other combining mark counts
 * as one. The time is linear, also for a text of combining marks alone. */
enum status unicode_nfc(struct buffer *out, struct bytes text, const struct text_ranges *marks,
                        struct error *err);
/* Appends the text in normalization form D. */
enum status unicode_nfd(struct buffer *out, struct bytes text, struct error *err);

#endif
