/* pattern.h - what a tokenizer.json may look for in a text to replace it.
 *
 * A string, or of regular expressions the one form that these files use: one set of
 * characters, once or at least n times in a row ("\\s+", " {2,}", "[!\"#$]"). Anything else
 * is refused, so that no text is ever cleaned in another way than the model's own.
 */
#ifndef CORE_TEXT_PATTERN_H
#define CORE_TEXT_PATTERN_H

#include <stdbool.h>

#include "core/base/bytes.h"
#include "core/text/text_tables.h"

enum { PATTERN_RANGES_MAX = 256 };

/* Zeroed memory matches nothing. */
struct pattern {
    struct buffer literal; /* not empty: the string */
    struct text_range ranges[PATTERN_RANGES_MAX];
    size_t ranges_count;
    bool spaces, negated;
    uint32_t at_least; /* characters in a row */
    bool repeated;     /* all of them, else at_least */
};

enum status pattern_parse_string(struct pattern *out, struct bytes text, struct error *err);
/* STATUS_UNSUPPORTED for another form. */
enum status pattern_parse_regex(struct pattern *out, struct bytes regex, struct error *err);
void pattern_free(struct pattern *pattern);

/* Appends the text with every match replaced; matches do not overlap, the leftmost counts. */
enum status pattern_replace(struct buffer *out, const struct pattern *pattern, struct bytes text,
                            struct bytes content, struct error *err);

#endif
