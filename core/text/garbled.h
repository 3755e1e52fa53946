/* garbled.h - tells mojibake from text, by the characters that stand side by side.
 *
 * UTF-8 that was taken for Windows-1252 or the like has accented letters beside signs and
 * punctuation as no language puts them. All functions are pure and take valid UTF-8.
 */
#ifndef CORE_TEXT_GARBLED_H
#define CORE_TEXT_GARBLED_H

#include <stdbool.h>

#include "core/base/bytes.h"
#include "core/text/mojibake_tables.h"

/* The row of a character; NULL if it takes no part in mojibake. */
const struct mojibake_character *garbled_find(uint32_t point);

/* True if some of the text is likely to be mojibake: is_bad() of ftfy, false for ASCII. */
bool garbled_suspect(struct bytes text);

/* The first run at `from` or behind it that looks like UTF-8 characters, one after the other,
 * in whichever encodings: its bytes are text[*begin, *end). False if there is none. */
bool garbled_run(size_t *begin, size_t *end, struct bytes text, size_t from);

#endif
