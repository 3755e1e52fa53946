#include "core/base/printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character that begins here; 0 for none, and for one that is not to be printed.
 * Ends at a NUL. */
static size_t character_size(const uint8_t *at) {
    /* The least that so many bytes may encode; in two, U+0080 to U+009F are control characters. */
    static const uint32_t least[] = {0, 0, 0xA0, 0x800, 0x10000};
    if (*at < 0x80) return *at >= 0x20 && *at != 0x7F;
    if (*at < 0xC0 || *at > 0xF4) return 0;
    size_t size = *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
    uint32_t point = *at & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
        point = point << 6 | (at[i] & 0x3FU);
    }
    bool surrogate = point >= 0xD800 && point < 0xE000;
    return point >= least[size] && point <= 0x10FFFF && !surrogate ? size : 0;
}

void printable_make(char *text) {
    while (*text) {
        size_t size = character_size((const uint8_t *)text);
        if (!size) *text = *text >= '\t' && *text <= '\r' ? ' ' : '?';
        text += size ? size : 1;
    }
}
