/* text_tables.h - what the cleaning of texts knows about characters.
 *
 * The tables are written by tools/gen_text_tables.py into text_tables.c, which names
 * the sources and their versions: the references pin these versions, so the tables
 * do not follow the Unicode library of the machine. All are sorted and constant.
 */
#ifndef CORE_TEXT_TEXT_TABLES_H
#define CORE_TEXT_TEXT_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct text_range {
    uint32_t first, last; /* both included */
};

struct text_ranges {
    const struct text_range *ranges;
    size_t count;
};

/* Of the regex module: \p{L}, \p{N}, \s. */
extern const struct text_ranges text_letters;
extern const struct text_ranges text_numbers;
extern const struct text_ranges text_spaces;
/* What hf-fast, with a newer Unicode, takes for letters and numbers besides. */
extern const struct text_ranges text_hf_letters;
extern const struct text_ranges text_hf_numbers;
/* The only combining marks that its NFC, with an older Unicode, knows. */
extern const struct text_ranges text_hf_marks;
/* Of Python: \d, and what decides whether a capital sigma ends its word. A character
 * that is both cased and case-ignorable stands among the ignorable only. */
extern const struct text_ranges text_digits;
extern const struct text_ranges text_cased;
extern const struct text_ranges text_case_ignorable;

/* One character and what it becomes, in UTF-8. */
struct text_replacement {
    uint32_t from;
    const char *to;
};

/* Python's lower(), without the rule for sigma at the end of a word. */
extern const struct text_replacement text_lower[];
extern const size_t text_lower_count;
/* What hf-fast lowers besides. */
extern const struct text_replacement text_hf_lower[];
extern const size_t text_hf_lower_count;
/* ftfy's fix_c1_controls, fix_latin_ligatures, fix_character_width and uncurl_quotes
 * one after the other. All are above U+007F. */
extern const struct text_replacement text_fixes[];
extern const size_t text_fixes_count;

/* A name without its ampersand, with its semicolon if it has one. */
struct text_entity {
    const char *name, *value;
};

enum {
    TEXT_ENTITY_NAME_MAX = 32,     /* bytes, semicolon included */
    TEXT_ENTITY_BARE_NAME_MAX = 6, /* of the names that need no semicolon */
};

/* HTML 5's names, and the upper-case ones that ftfy adds; by bytes of the name. */
extern const struct text_entity text_entities[];
extern const size_t text_entities_count;
extern const struct text_entity text_ftfy_entities[];
extern const size_t text_ftfy_entities_count;

/* What &#128; to &#159; stand for. */
extern const uint16_t text_c1_references[32];

#endif
