#include "core/base/printable.h"

size_t printable_read(uint32_t *point, const char *text) {
    /* The least that so many bytes may encode. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *at = (const uint8_t *)text;
    *point = *at;
    if (*at < 0x80) return *at != 0;
    if (*at < 0xC0 || *at > 0xF4) return 0;
    size_t size = *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
    *point = *at & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
        *point = *point << 6 | (at[i] & 0x3FU);
    }
    bool surrogate = *point >= 0xD800 && *point < 0xE000;
    return *point >= least[size] && *point <= 0x10FFFF && !surrogate ? size : 0;
}

bool printable_is_control(uint32_t point) {
    if (point < 0x20 || (point >= 0x7F && point < 0xA0)) return true; /* C0, DEL, C1 */
    /* Bidi_Control (Unicode Standard Annex #9, 2), of which "Trojan Source" (Boucher, Anderson
     * 2021) makes names that read otherwise than they are. */
    return point == 0x061C || point == 0x200E || point == 0x200F ||
           (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

void printable_make(char *text) {
    while (*text) {
        uint32_t point;
        size_t size = printable_read(&point, text);
        bool stays = size && !printable_is_control(point);
        for (char *end = text + (size ? size : 1); text < end; text++) {
            if (!stays) *text = *text >= '\t' && *text <= '\r' ? ' ' : '?';
        }
    }
}
