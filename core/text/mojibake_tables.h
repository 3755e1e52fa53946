/* mojibake_tables.h - the characters that mojibake is made of.
 *
 * The tables are written by tools/gen_mojibake_tables.py into mojibake_tables.c, from what
 * ftfy 6.3.1 knows. They have the characters of ten encodings, of ftfy's categories, white
 * space and ASCII; nothing else takes part in mojibake.
 */
#ifndef CORE_TEXT_MOJIBAKE_TABLES_H
#define CORE_TEXT_MOJIBAKE_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* What UTF-8 may have been taken for, in the order in which it is tried. The Windows ones
 * are sloppy: their unassigned bytes are the C1 controls of the same number, and byte 1A
 * stands for U+FFFD. */
enum mojibake_encoding {
    MOJIBAKE_LATIN_1,
    MOJIBAKE_WINDOWS_1252,
    MOJIBAKE_WINDOWS_1251,
    MOJIBAKE_WINDOWS_1250,
    MOJIBAKE_WINDOWS_1253,
    MOJIBAKE_WINDOWS_1254,
    MOJIBAKE_WINDOWS_1257,
    MOJIBAKE_ISO_8859_2,
    MOJIBAKE_MACROMAN,
    MOJIBAKE_CP437,
    MOJIBAKE_ENCODINGS,
};

/* What a character is in UTF-8 that was taken for one of the encodings. */
enum {
    MOJIBAKE_LEAD_2 = 1, /* the first byte of two */
    MOJIBAKE_LEAD_3 = 2,
    MOJIBAKE_LEAD_4 = 4,
    MOJIBAKE_CONTINUATION = 8,
    MOJIBAKE_STRICT = 16, /* a continuation that hardly ever stands for itself */
};

enum { MOJIBAKE_WORDS = 2 };

/* `bytes` is the character in each encoding, 0 where there is none, and for ASCII. `rules`
 * has a bit for each place in a rule where the character may stand. */
struct mojibake_character {
    uint16_t point;
    uint8_t clues;
    uint8_t bytes[MOJIBAKE_ENCODINGS];
    uint64_t rules[MOJIBAKE_WORDS];
};

/* Sorted by character; the first 128 are ASCII. */
extern const struct mojibake_character mojibake_characters[];
extern const size_t mojibake_characters_count;

/* The places where a rule begins, where it may begin at the start of a text, where it ends;
 * where the characters that have no row may stand, and where letters and numbers may. */
struct mojibake_rules {
    uint64_t first[MOJIBAKE_WORDS], at_begin[MOJIBAKE_WORDS], last[MOJIBAKE_WORDS];
    uint64_t other[MOJIBAKE_WORDS], word[MOJIBAKE_WORDS];
};
extern const struct mojibake_rules mojibake_rules;

#endif
