/* Table 3-7 of the Unicode standard: the first byte decides how many follow and what
 * the second may be, which rules out overlong forms, surrogates and what lies above
 * U+10FFFF. */
#include "api/utf8.h"

static bool is_between(uint8_t byte, uint8_t low, uint8_t high) {
    return byte >= low && byte <= high;
}

size_t utf8_character(struct bytes text) {
    if (text.size == 0) return 0;
    uint8_t first = text.data[0], low = 0x80, high = 0xbf;
    if (first < 0x80) return 1;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (!is_between(first, 0xc2, 0xf4) || text.size < length) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (!is_between(text.data[1], low, high)) return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_between(text.data[i], 0x80, 0xbf)) return 0;
    }
    return length;
}

bool utf8_valid(struct bytes text) {
    while (text.size) {
        size_t length = utf8_character(text);
        if (!length) return false;
        text.data += length;
        text.size -= length;
    }
    return true;
}
