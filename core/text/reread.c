/* reread.c - reads UTF-8 that was taken for another encoding as UTF-8.
 *
 * Follows ftfy 6.3.1 (SPEC 5.3.1): restore_byte_a0(), replace_lossy_sequences() and the codec
 * utf-8-variants, down to what its regular expressions do at the last line feed. Every
 * pass looks at a few bytes at a time, and none writes more bytes than the text had: one byte
 * becomes two or three only where the text had a character of two or three bytes. */
#include "core/text/reread.h"

#include <assert.h>
#include <string.h>

#include "core/text/garbled.h"
#include "core/text/unicode.h"

enum { SUBSTITUTE = 0x1A, NO_BREAK_SPACE = 0xA0 };

/* A first byte and what follows it, a letter for each byte, see is_kind(). */
struct sequence {
    uint8_t low, high;
    const char *rest;
};

/* UTF-8 whose byte A0, which is a space in these encodings, became a plain one. */
static const struct sequence altered[] = {
    {0xC2, 0xC3, "_"},   {0xC5, 0xC5, "_"},   {0xCE, 0xCE, "_"},  {0xD0, 0xD0, "_"},
    {0xD9, 0xD9, "_"},   {0xE2, 0xE3, "_k"},  {0xE0, 0xE3, "k_"}, {0xF0, 0xF0, "_bb"},
    {0xF0, 0xF0, "b_b"}, {0xF0, 0xF0, "bb_"},
};

/* UTF-8, or UTF-16 pairs in it, of which one byte or more became U+FFFD or a question mark. */
static const struct sequence lossy[] = {
    {0xC2, 0xDF, "s"},     {0xC2, 0xC3, "?"},
    {0xED, 0xED, "hxela"}, {0xED, 0xED, "haelx"},
    {0xE0, 0xEF, "xc"},    {0xE0, 0xEF, "cx"},
    {0xF0, 0xF4, "xcc"},   {0xF0, 0xF4, "cxc"},
    {0xF0, 0xF4, "ccx"},   {SUBSTITUTE, SUBSTITUTE, ""},
};

static bool is_kind(uint8_t byte, char kind) {
    bool continuation = (byte & 0xC0) == 0x80, lost = byte == SUBSTITUTE;
    switch (kind) {
    case '_': return byte == ' ';
    case '?': return byte == '?';
    case 'k': return continuation && byte != 0x85 && byte != NO_BREAK_SPACE;
    case 'b': return continuation;
    case 's': return lost;
    case 'x': return lost || byte == '?';
    case 'c': return lost || continuation;
    case 'a': return lost || byte == '?' || continuation;
    case 'e': return byte == 0xED;
    case 'h': return byte >= 0xA0 && byte < 0xB0; /* the high half of a pair */
    default: return byte >= 0xB0 && byte < 0xC0;  /* l, the low one */
    }
}

/* Bytes of the first of the sequences that is at the start of `bytes`, or 0. */
static size_t sequence_size(const struct sequence *sequences, size_t count, struct bytes bytes) {
    if (bytes.data[0] < 0xC2 && bytes.data[0] != SUBSTITUTE) return 0; /* begins none */
    for (size_t i = 0; i < count; i++) {
        const struct sequence *sequence = &sequences[i];
        if (bytes.data[0] < sequence->low || bytes.data[0] > sequence->high) continue;
        size_t size = 1;
        const char *kind = sequence->rest;
        while (*kind && size < bytes.size && is_kind(bytes.data[size], *kind)) {
            kind++;
            size++;
        }
        if (!*kind) return size;
    }
    return 0;
}

/* "C3 20" that is a word of its own, as in French, keeps its space: not one that begins a
 * Portuguese word. */
static bool is_lone_a(struct bytes bytes) {
    static const char *const words[] = {" ", "quele", "quela", "quilo", "s "};
    if (bytes.size < 2 || bytes.data[0] != 0xC3 || bytes.data[1] != ' ') return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t size = strlen(words[i]);
        if (bytes.size - 2 >= size && !memcmp(bytes.data + 2, words[i], size)) return false;
    }
    return true;
}

static size_t restore_spaces(uint8_t *out, struct bytes bytes) {
    static const uint8_t lone_a[] = {0xC3, NO_BREAK_SPACE, ' '};
    size_t written = 0;
    for (size_t at = 0; at < bytes.size;) {
        struct bytes rest = {bytes.data + at, bytes.size - at};
        if (is_lone_a(rest)) {
            memcpy(out + written, lone_a, sizeof(lone_a));
            written += sizeof(lone_a);
            at += 2;
            continue;
        }
        size_t size = sequence_size(altered, sizeof(altered) / sizeof(altered[0]), rest);
        bool found = size > 0;
        if (!found) size = 1;
        for (size_t i = 0; i < size; i++)
            out[written++] = found && rest.data[i] == ' ' ? NO_BREAK_SPACE : rest.data[i];
        at += size;
    }
    return written;
}

static size_t replace_lossy(uint8_t *out, struct bytes bytes) {
    static const uint8_t replacement[] = {0xEF, 0xBF, 0xBD}; /* U+FFFD */
    size_t written = 0;
    for (size_t at = 0; at < bytes.size;) {
        struct bytes rest = {bytes.data + at, bytes.size - at};
        size_t size = sequence_size(lossy, sizeof(lossy) / sizeof(lossy[0]), rest);
        if (size) {
            memcpy(out + written, replacement, sizeof(replacement));
            written += sizeof(replacement);
            at += size;
        } else {
            out[written++] = bytes.data[at++];
        }
    }
    return written;
}

/* The line feed that ends the text stands for any byte: ftfy's patterns take it for the end. */
static bool is_or_ends(struct bytes bytes, size_t at, bool is) {
    return is || (bytes.data[at] == '\n' && at + 1 == bytes.size);
}

/* The character that two surrogates of three bytes each are, or 0. */
static uint32_t pair_at(struct bytes bytes, size_t at) {
    if (bytes.size - at < 6) return 0;
    const uint8_t *b = bytes.data + at;
    bool pair = b[0] == 0xED && is_kind(b[1], 'h') && is_kind(b[2], 'b') && b[3] == 0xED &&
                is_kind(b[4], 'l') && is_or_ends(bytes, at + 5, is_kind(b[5], 'b'));
    if (!pair) return 0;
    return 0x10000U +
           ((b[1] & 0x0FU) << 16 | (b[2] & 0x3FU) << 10 | (b[4] & 0x0FU) << 6 | (b[5] & 0x3FU));
}

/* Java's U+0000. */
static bool is_null(struct bytes bytes, size_t at) {
    return bytes.size - at >= 2 && bytes.data[at] == 0xC0 &&
           is_or_ends(bytes, at + 1, bytes.data[at + 1] == 0x80);
}

/* Writes the variants of UTF-8, CESU-8's pairs and Java's C0 80, as UTF-8 has them. What
 * else is wrong stays wrong, because each piece that is written begins a character. */
static size_t settle_variants(uint8_t *out, struct bytes bytes) {
    size_t written = 0;
    for (size_t at = 0; at < bytes.size;) {
        uint32_t pair = pair_at(bytes, at);
        if (pair) {
            written += unicode_encode(out + written, pair);
            at += 6;
        } else if (is_null(bytes, at)) {
            out[written++] = 0;
            at += 2;
        } else {
            out[written++] = bytes.data[at++];
        }
    }
    return written;
}

static bool is_sloppy(enum mojibake_encoding encoding) {
    return encoding >= MOJIBAKE_WINDOWS_1252 && encoding <= MOJIBAKE_WINDOWS_1257;
}

unsigned reread_encodings(struct bytes text) {
    unsigned encodings = (1U << MOJIBAKE_ENCODINGS) - 1;
    for (size_t at = 0; at < text.size && encodings;) {
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        if (c < 0x80 && c != SUBSTITUTE) continue;
        const struct mojibake_character *found = garbled_find(c);
        for (unsigned i = 0; i < MOJIBAKE_ENCODINGS; i++) {
            bool has = c == SUBSTITUTE ? !is_sloppy(i) : found && found->bytes[i];
            if (!has) encodings &= ~(1U << i);
        }
    }
    return encodings;
}

static size_t encode(uint8_t *out, struct bytes text, enum mojibake_encoding encoding) {
    size_t written = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        out[written++] = c < 0x80 ? (uint8_t)c : garbled_find(c)->bytes[encoding];
    }
    return written;
}

static void swap(uint8_t **a, uint8_t **b) {
    uint8_t *kept = *a;
    *a = *b;
    *b = kept;
}

enum status reread_as(struct buffer *out, bool *read, struct bytes text,
                      enum mojibake_encoding encoding, struct buffer *spare, struct error *err) {
    assert(reread_encodings(text) >> encoding & 1);
    out->size = spare->size = 0;
    uint8_t *to = buffer_reserve(out, text.size, err);
    uint8_t *from = to ? buffer_reserve(spare, text.size, err) : NULL;
    if (!from) return err->status;
    size_t size = encode(from, text, encoding);
    /* MacRoman has an en dash at D0, which a space may well follow. */
    if (encoding != MOJIBAKE_MACROMAN) {
        size = restore_spaces(to, (struct bytes){from, size});
        swap(&from, &to);
    }
    if (is_sloppy(encoding)) {
        size = replace_lossy(to, (struct bytes){from, size});
        swap(&from, &to);
    }
    size = settle_variants(to, (struct bytes){from, size});
    size_t offset;
    *read = unicode_valid((struct bytes){to, size}, &offset);
    if (to != out->data) {
        struct buffer kept = *out;
        *out = *spare;
        *spare = kept;
    }
    out->size = size;
    return STATUS_OK;
}
