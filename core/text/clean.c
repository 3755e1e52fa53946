/* clean.c - the cleaning of the three references, put together from their steps.
 *
 * openai: ftfy, HTML twice, spaces collapsed, Python's lower(). open_clip: the same by
 * default; its other two ways leave out lower() or delete punctuation. hf-fast: NFC,
 * spaces collapsed, lower case character by character (SPEC 5.1, 5.2).
 *
 * Most texts are printable ASCII without an ampersand, on which ftfy, HTML and NFC do
 * nothing: these go straight to the last two steps. */
#include "core/text/clean.h"

#include <assert.h>
#include <string.h>

#include "core/text/ftfy.h"
#include "core/text/html.h"
#include "core/text/unicode.h"

enum { CAPITAL_SIGMA = 0x3A3 };

static bool is_plain(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7E || text.data[i] == '&') return false;
    return true;
}

/* ftfy, then html.unescape() twice. */
static enum status clean_basic(struct buffer *out, struct bytes text, struct error *err) {
    struct buffer fixed;
    buffer_init(&fixed, out->limit);
    enum status status = ftfy_fix(out, text, err);
    if (!status && out->size && memchr(out->data, '&', out->size)) {
        status = html_unescape(&fixed, buffer_view(out), err);
        out->size = 0;
        if (!status) status = html_unescape(out, buffer_view(&fixed), err);
    }
    buffer_free(&fixed);
    return status;
}

/* open_clip's canonicalize: underscores are spaces, other ASCII punctuation goes. */
static void drop_punctuation(struct buffer *text) {
    size_t written = 0;
    for (size_t i = 0; i < text->size; i++) {
        uint8_t c = text->data[i] == '_' ? ' ' : text->data[i];
        bool punctuation = c > 0x20 && c < 0x7F && unicode_classify(c) == UNICODE_OTHER;
        if (!punctuation) text->data[written++] = c;
    }
    text->size = written;
}

/* Runs of white space become one space, and none is left at the ends. */
static void collapse_spaces(struct buffer *text) {
    size_t written = 0;
    bool pending = false;
    for (size_t at = 0; at < text->size;) {
        uint32_t c;
        size_t size = unicode_decode(&c, text->data + at);
        if (unicode_classify(c) == UNICODE_SPACE) {
            pending = written > 0;
        } else {
            if (pending) text->data[written++] = ' ';
            pending = false;
            memmove(text->data + written, text->data + at, size);
            written += size;
        }
        at += size;
    }
    text->size = written;
}

static bool cased_follows(struct bytes text) {
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        at += unicode_decode(&c, text.data + at);
        if (!unicode_in(&text_case_ignorable, c)) return unicode_in(&text_cased, c);
    }
    return false;
}

/* A capital sigma after a cased letter and not before one, case-ignorable characters
 * between them not counted, becomes the small sigma that ends words. */
static void end_words(struct buffer *text) {
    if (!text->size || !memmem(text->data, text->size, "\xCE\xA3", 2)) return;
    bool after_cased = false;
    for (size_t at = 0; at < text->size;) {
        uint32_t c;
        uint8_t *from = text->data + at;
        at += unicode_decode(&c, from);
        if (c == CAPITAL_SIGMA && after_cased &&
            !cased_follows((struct bytes){text->data + at, text->size - at})) {
            from[0] = 0xCF; /* U+03C2 */
            from[1] = 0x82;
        }
        if (!unicode_in(&text_case_ignorable, c)) after_cased = unicode_in(&text_cased, c);
    }
}

static const char *lower_of(uint32_t c, bool hf_fast) {
    const char *lower = unicode_replace(text_lower, text_lower_count, c);
    if (!lower && hf_fast) lower = unicode_replace(text_hf_lower, text_hf_lower_count, c);
    return lower;
}

enum status clean_lower(struct buffer *out, struct bytes text, bool hf_fast, struct error *err) {
    /* Nothing grows more than from two bytes to three. */
    uint8_t *to = buffer_reserve(out, text.size + text.size / 2, err);
    if (!to) return err->status;
    size_t written = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        const uint8_t *from = text.data + at;
        size_t size = unicode_decode(&c, from);
        at += size;
        if (c < 0x80) {
            to[written++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
            continue;
        }
        const char *lower = lower_of(c, hf_fast);
        if (lower) {
            from = (const uint8_t *)lower;
            size = strlen(lower);
        }
        memcpy(to + written, from, size);
        written += size;
    }
    out->size += written;
    return STATUS_OK;
}

enum status clean_text(struct buffer *out, struct bytes text,
                       const struct tokenizer_options *options, struct error *err) {
    assert(text.size <= CLEAN_TEXT_MAX);
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    bool hf_fast = options->mode == TOKENIZER_HF_FAST;
    bool custom = options->mode == TOKENIZER_OPEN_CLIP;
    struct buffer work;
    buffer_init(&work, CLEAN_OUTPUT_MAX);
    enum status status;
    if (is_plain(text))
        status = buffer_append(&work, text.data, text.size, err);
    else if (hf_fast)
        status = unicode_nfc(&work, text, &text_hf_marks, err);
    else
        status = clean_basic(&work, text, err);
    if (!status && work.size) {
        if (custom && options->clean == TOKENIZER_CANONICALIZE) drop_punctuation(&work);
        collapse_spaces(&work);
        if (custom && options->clean == TOKENIZER_WHITESPACE) {
            status = buffer_append(out, work.data, work.size, err);
        } else {
            if (!hf_fast) end_words(&work);
            status = work.size ? clean_lower(out, buffer_view(&work), hf_fast, err) : STATUS_OK;
        }
    }
    buffer_free(&work);
    return status;
}
