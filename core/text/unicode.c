/* unicode.c - UTF-8, character classes and normalization form C.
 *
 * Decomposition, combining classes and composition are utf8proc's. Putting marks in
 * canonical order is ours: the library's exchange sort takes quadratic time, which
 * a text of half a million accents turns into hours. Classes come from the tables of the
 * references, because the library's Unicode version differs from theirs. (NFC itself only
 * changes for characters that are new; Debian 12 has Unicode 15.) */
#include "core/text/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    COMBINING_MIN = 0x300,    /* nothing below takes part in NFC but as a base */
    DECOMPOSITION_MAX = 4,    /* characters a single one decomposes into */
    HANGUL_NO_FINAL = 0x11A7, /* one before the first final consonant */
    NEW_VOWEL_SIGN = 0x11930, /* composes, but is no mark, since Unicode 13 */
    COMBINING_CLASSES = 256,
};

bool unicode_valid(struct bytes text, size_t *offset) {
    size_t at = 0;
    while (at < text.size) {
        if (text.data[at] < 0x80) {
            at++;
            continue;
        }
        utf8proc_int32_t point;
        utf8proc_ssize_t size =
            utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.size - at), &point);
        if (size <= 0) {
            *offset = at;
            return false;
        }
        at += (size_t)size;
    }
    return true;
}

size_t unicode_decode(uint32_t *point, const uint8_t *at) {
    if (at[0] < 0x80) {
        *point = at[0];
        return 1;
    }
    if (at[0] < 0xE0) {
        *point = (at[0] & 0x1FU) << 6 | (at[1] & 0x3FU);
        return 2;
    }
    if (at[0] < 0xF0) {
        *point = (at[0] & 0x0FU) << 12 | (at[1] & 0x3FU) << 6 | (at[2] & 0x3FU);
        return 3;
    }
    *point = (at[0] & 0x07U) << 18 | (at[1] & 0x3FU) << 12 | (at[2] & 0x3FU) << 6 | (at[3] & 0x3FU);
    return 4;
}

size_t unicode_encode(uint8_t out[4], uint32_t point) {
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)point, out);
}

bool unicode_in(const struct text_ranges *ranges, uint32_t point) {
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (point > ranges->ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranges->count && point >= ranges->ranges[low].first;
}

enum unicode_class unicode_classify(uint32_t point) {
    if (point < 0x80) {
        uint32_t lower = point | 0x20;
        if (lower >= 'a' && lower <= 'z') return UNICODE_LETTER;
        if (point >= '0' && point <= '9') return UNICODE_NUMBER;
        return point == ' ' || (point >= '\t' && point <= '\r') ? UNICODE_SPACE : UNICODE_OTHER;
    }
    if (unicode_in(&text_letters, point)) return UNICODE_LETTER;
    if (unicode_in(&text_spaces, point)) return UNICODE_SPACE;
    return unicode_in(&text_numbers, point) ? UNICODE_NUMBER : UNICODE_OTHER;
}

static utf8proc_category_t category_of(uint32_t point) {
    return utf8proc_category((utf8proc_int32_t)point);
}

bool unicode_is_punctuation(uint32_t point) {
    utf8proc_category_t category = category_of(point);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool unicode_is_control(uint32_t point) {
    return category_of(point) >= UTF8PROC_CATEGORY_CC;
}

size_t unicode_cluster(struct bytes text) {
    uint32_t point, next;
    utf8proc_int32_t state = 0;
    size_t at = unicode_decode(&point, text.data);
    while (at < text.size) {
        size_t size = unicode_decode(&next, text.data + at);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)point, (utf8proc_int32_t)next,
                                             &state))
            break;
        point = next;
        at += size;
    }
    return at;
}

const char *unicode_replace(const struct text_replacement *table, size_t count, uint32_t point) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].from < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && table[low].from == point ? table[low].to : NULL;
}

void unicode_drop_marks(struct buffer *text) {
    size_t written = 0;
    for (size_t at = 0, size; at < text->size; at += size) {
        uint32_t c;
        size = unicode_decode(&c, text->data + at);
        if (category_of(c) == UTF8PROC_CATEGORY_MN) continue;
        for (size_t i = 0; i < size; i++) text->data[written++] = text->data[at + i];
    }
    text->size = written;
}

struct bytes unicode_strip(struct bytes text, bool left, bool right) {
    uint32_t c;
    for (size_t size; left && text.size;) {
        size = unicode_decode(&c, text.data);
        if (unicode_classify(c) != UNICODE_SPACE) break;
        text = (struct bytes){text.data + size, text.size - size};
    }
    while (right && text.size) {
        size_t last = text.size - 1;
        while ((text.data[last] & 0xC0) == 0x80) last--;
        unicode_decode(&c, text.data + last);
        if (unicode_classify(c) != UNICODE_SPACE) break;
        text.size = last;
    }
    return text;
}

enum status unicode_keep(struct buffer *out, struct bytes text, size_t from, size_t to,
                         struct error *err) {
    return from == to ? STATUS_OK : buffer_append(out, text.data + from, to - from, err);
}

static unsigned combining_class(int32_t point) {
    return (unsigned)utf8proc_get_property(point)->combining_class;
}

/* Sorts each run of marks by combining class, equal ones in their order. `spare` has
 * room for the longest run. */
static void order_marks(int32_t *points, int32_t *spare, size_t count) {
    size_t begin = 0;
    while (begin < count) {
        size_t end = begin;
        bool sorted = true;
        for (unsigned last = 0, now; end < count && (now = combining_class(points[end])); end++) {
            sorted = sorted && now >= last;
            last = now;
        }
        if (!sorted) {
            size_t starts[COMBINING_CLASSES + 1] = {0};
            for (size_t i = begin; i < end; i++) starts[combining_class(points[i]) + 1]++;
            for (size_t k = 1; k <= COMBINING_CLASSES; k++) starts[k] += starts[k - 1];
            for (size_t i = begin; i < end; i++)
                spare[starts[combining_class(points[i])]++] = points[i];
            memcpy(points + begin, spare, (end - begin) * sizeof(*points));
        }
        begin = end + 1;
    }
}

/* `points` has room for DECOMPOSITION_MAX times the characters of `text`. */
static size_t decompose(int32_t *points, struct bytes text) {
    size_t count = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t point;
        at += unicode_decode(&point, text.data + at);
        int boundary = 0;
        utf8proc_ssize_t added =
            utf8proc_decompose_char((utf8proc_int32_t)point, points + count, DECOMPOSITION_MAX,
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        count += (size_t)added;
    }
    return count;
}

/* A run has one base of a byte or two, then characters of at least two bytes. */
enum { RUN_ON_STACK = 62, ROOM_ON_STACK = DECOMPOSITION_MAX * (RUN_ON_STACK / 2 + 1) };

static enum status normalize_run(struct buffer *out, struct bytes run, bool compose,
                                 struct error *err) {
    int32_t small[2 * ROOM_ON_STACK];
    int32_t *points = small;
    size_t room = DECOMPOSITION_MAX * (run.size / 2 + 1);
    if (run.size > RUN_ON_STACK) points = malloc(2 * room * sizeof(*points));
    if (!points) return error_set(err, STATUS_NO_MEMORY, "out of memory for a text");
    size_t count = decompose(points, run);
    order_marks(points, points + room, count);
    if (compose)
        count = (size_t)utf8proc_normalize_utf32(points, (utf8proc_ssize_t)count,
                                                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < count; i++) {
        uint8_t encoded[4];
        status = buffer_append(out, encoded, unicode_encode(encoded, (uint32_t)points[i]), err);
    }
    if (points != small) free(points);
    return status;
}

/* A character that takes no part, because the reference's Unicode is older than it.
 * (utf8proc 2.8 also swallows U+11A7 after a Hangul syllable, where nothing composes.) */
static bool is_inert(uint32_t c, const struct text_ranges *marks) {
    if (c == HANGUL_NO_FINAL) return true;
    if (!marks) return false;
    return c == NEW_VOWEL_SIGN || (combining_class((int32_t)c) && !unicode_in(marks, c));
}

enum status unicode_nfc(struct buffer *out, struct bytes text, const struct text_ranges *marks,
                        struct error *err) {
    size_t kept = 0; /* bytes before it are in `out` */
    size_t base = 0; /* where the run begins: at the last character that can be a base */
    size_t at = 0;
    while (at < text.size) {
        uint32_t c;
        size_t size = unicode_decode(&c, text.data + at);
        if (c < COMBINING_MIN) {
            base = at;
            at += size;
            continue;
        }
        /* Nothing composes over the next plain character, so the run up to it stands alone. */
        while (c >= COMBINING_MIN && !is_inert(c, marks)) {
            at += size;
            if (at == text.size) break;
            size = unicode_decode(&c, text.data + at);
        }
        enum status status = unicode_keep(out, text, kept, base, err);
        if (!status)
            status = normalize_run(out, (struct bytes){text.data + base, at - base}, true, err);
        if (status) return status;
        kept = base = at;
        if (at < text.size && c >= COMBINING_MIN) {
            at += size; /* the inert one stays as it is */
            base = at;
        }
    }
    return unicode_keep(out, text, kept, text.size, err);
}

enum status unicode_nfd(struct buffer *out, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t at = 0, from; at < text.size && !status;) {
        for (from = at; at < text.size && text.data[at] < 0x80; at++) continue;
        status = unicode_keep(out, text, from, at, err);
        for (from = at; at < text.size && text.data[at] >= 0x80; at++) continue;
        if (!status && from < at)
            status = normalize_run(out, (struct bytes){text.data + from, at - from}, false, err);
    }
    return status;
}
