/* ftfy.c - ftfy 6.3.1 with its default options.
 *
 * A text is fixed line by line, and a line is fixed again until nothing changes. Only
 * nested references (&amp;amp;lt;) need more than two rounds, but a hostile line can be
 * nothing else: then each round takes one layer off a megabyte. So the bytes that further
 * rounds may look at are bounded, for the whole text. The bound is never met by a text
 * below 16 KB, nor by a line nested less than 30 deep; what is left there stays as it is.
 * Repairs of mojibake have half as much for themselves: it takes thousands of references that
 * hide some, or megabytes that were read wrongly over and over, to use that up. */
#include "core/text/ftfy.h"

#include <string.h>

#include "core/text/garbled.h"
#include "core/text/html.h"
#include "core/text/mojibake.h"
#include "core/text/unicode.h"

enum {
    SEGMENT_POINTS_MAX = 1000000, /* ftfy's max_decode_length */
    WORK_MIN = 32 << 20,          /* bytes of all rounds */
    WORK_PER_BYTE = 32,
    ESCAPE = 0x1B,
};

struct fixer {
    struct buffer line, step, fixed;
    bool unescape; /* no < so far */
    size_t work;   /* bytes left to look at */
    size_t repair_work;
};

static bool is_removed_control(uint32_t c) {
    if (c < 0x20) return c != '\t' && c != '\n' && c != '\f' && c != '\r';
    return c == 0x7F || (c >= 0x206A && c < 0x2070) || c == 0xFEFF || (c >= 0xFFF9 && c < 0xFFFD);
}

/* The size of a terminal's escape sequence, ESC [ digits-or-semicolons letter, or 0. */
static size_t escape_size(struct bytes text) {
    if (text.size < 3 || text.data[0] != ESCAPE || text.data[1] != '[') return 0;
    for (size_t at = 2; at < text.size;) {
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        if (c < 0x80 && unicode_classify(c) == UNICODE_LETTER) return at;
        if (c != ';' && !unicode_in(&text_digits, c)) return 0;
    }
    return 0;
}

/* What one character becomes before escapes and controls are taken out; NULL: itself. */
static const char *fix_point(uint32_t c) {
    if (c == '\r' || c == 0x2028 || c == 0x2029) return "\n";
    return c < 0x80 ? NULL : unicode_replace(text_fixes, text_fixes_count, c);
}

/* Steps 3 to 7: C1 controls, ligatures, widths, quotes, line breaks. */
static enum status fix_points(struct buffer *out, struct bytes text, struct error *err) {
    size_t kept = 0; /* bytes before it are in `out` */
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        size_t size = unicode_decode(&c, text.data + at);
        const char *to = fix_point(c);
        if (c == '\r' && at + 1 < text.size && text.data[at + 1] == '\n') to = "";
        if (to) {
            enum status status = unicode_keep(out, text, kept, at, err);
            if (!status) status = buffer_append(out, to, strlen(to), err);
            if (status) return status;
            kept = at + size;
        }
        at += size;
    }
    return unicode_keep(out, text, kept, text.size, err);
}

/* Steps 9 and 10: escape sequences of terminals and control characters go. */
static enum status remove_controls(struct buffer *out, struct bytes text, struct error *err) {
    size_t kept = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        size_t size = unicode_decode(&c, text.data + at);
        size_t removed = is_removed_control(c) ? size : 0;
        if (c == ESCAPE) {
            size_t sequence = escape_size((struct bytes){text.data + at, text.size - at});
            if (sequence) removed = sequence;
        }
        if (removed) {
            enum status status = unicode_keep(out, text, kept, at, err);
            if (status) return status;
            kept = at + removed;
        }
        at += removed ? removed : size;
    }
    return unicode_keep(out, text, kept, text.size, err);
}

/* Once through all steps: fixer->line to fixer->fixed. */
static enum status fix_once(struct fixer *fixer, struct error *err) {
    struct buffer *step = &fixer->step, *fixed = &fixer->fixed;
    struct bytes line = buffer_view(&fixer->line);
    if (fixer->unescape && memchr(line.data, '&', line.size)) {
        step->size = 0;
        enum status status = html_unescape_closed(step, line, err);
        if (status) return status;
        line = buffer_view(step);
    }
    fixed->size = 0;
    if (garbled_suspect(line)) {
        enum status status = mojibake_fix(fixed, line, &fixer->repair_work, err);
        if (status) return status;
        struct buffer repaired = *fixed;
        *fixed = *step;
        *step = repaired;
        fixed->size = 0;
        line = buffer_view(step);
    }
    enum status status = fix_points(fixed, line, err);
    if (status) return status;
    step->size = 0;
    status = remove_controls(step, buffer_view(fixed), err);
    if (status) return status;
    fixed->size = 0;
    return unicode_nfc(fixed, buffer_view(step), NULL, err);
}

static bool same(const struct buffer *a, const struct buffer *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static enum status fix_line(struct buffer *out, struct fixer *fixer, struct bytes line,
                            struct error *err) {
    fixer->line.size = 0;
    enum status status = buffer_append(&fixer->line, line.data, line.size, err);
    while (!status && fixer->line.size) {
        status = fix_once(fixer, err);
        if (status || same(&fixer->line, &fixer->fixed)) break;
        struct buffer fixed = fixer->fixed;
        fixer->fixed = fixer->line;
        fixer->line = fixed;
        if (fixer->line.size > fixer->work) break;
        fixer->work -= fixer->line.size;
    }
    if (status) return status;
    return buffer_append(out, fixer->line.data, fixer->line.size, err);
}

/* Up to and with the next line feed, and no longer than ftfy takes at once. */
static size_t line_size(struct bytes text) {
    const uint8_t *found = memchr(text.data, '\n', text.size);
    size_t size = found ? (size_t)(found - text.data) + 1 : text.size;
    if (size <= SEGMENT_POINTS_MAX) return size;
    size_t points = 0;
    for (size_t i = 0; i < size; i++) {
        bool starts = (text.data[i] & 0xC0) != 0x80;
        if (starts && points++ == SEGMENT_POINTS_MAX) return i;
    }
    return size;
}

enum status ftfy_fix(struct buffer *out, struct bytes text, struct error *err) {
    size_t work;
    if (!size_multiply(&work, text.size, WORK_PER_BYTE) || work < WORK_MIN) work = WORK_MIN;
    struct fixer fixer = {.unescape = true, .work = work, .repair_work = work / 2};
    buffer_init(&fixer.line, out->limit);
    buffer_init(&fixer.step, out->limit);
    buffer_init(&fixer.fixed, out->limit);
    enum status status = STATUS_OK;
    for (size_t at = 0; !status && at < text.size;) {
        struct bytes line = {text.data + at,
                             line_size((struct bytes){text.data + at, text.size - at})};
        if (memchr(line.data, '<', line.size)) fixer.unescape = false;
        status = fix_line(out, &fixer, line, err);
        at += line.size;
    }
    buffer_free(&fixer.line);
    buffer_free(&fixer.step);
    buffer_free(&fixer.fixed);
    return status;
}
