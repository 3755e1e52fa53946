#include "core/text/bert.h"

#include "core/text/clean.h"
#include "core/text/unicode.h"

enum { REPLACEMENT = 0xFFFD };

static bool is_space(uint32_t c) {
    return unicode_classify(c) == UNICODE_SPACE;
}

/* The blocks that BERT's authors listed: ideographs, no kana and no Hangul. */
static bool is_ideograph(uint32_t c) {
    static const struct text_range blocks[] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
    };
    static const struct text_ranges ranges = {blocks, sizeof(blocks) / sizeof(blocks[0])};
    return unicode_in(&ranges, c);
}

static bool is_dropped(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    return !c || c == REPLACEMENT || unicode_is_control(c);
}

static enum status clean_characters(struct buffer *out, struct bytes text,
                                    const struct bert_options *options, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t at = 0, size; at < text.size && !status; at += size) {
        uint32_t c;
        size = unicode_decode(&c, text.data + at);
        bool apart = options->chinese && is_ideograph(c);
        if (options->clean && is_dropped(c)) continue;
        if (apart || (options->clean && is_space(c))) status = buffer_append(out, " ", 1, err);
        if (!status && !(options->clean && is_space(c)))
            status = buffer_append(out, text.data + at, size, err);
        if (!status && apart) status = buffer_append(out, " ", 1, err);
    }
    return status;
}

enum status bert_clean(struct buffer *out, struct bytes text, const struct bert_options *options,
                       struct error *err) {
    struct buffer cleaned, plain;
    buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
    buffer_init(&plain, CLEAN_OUTPUT_MAX);
    enum status status = clean_characters(&cleaned, text, options, err);
    text = buffer_view(&cleaned);
    if (!status && options->strip_accents) {
        status = unicode_nfd(&plain, text, err);
        unicode_drop_marks(&plain);
        text = buffer_view(&plain);
    }
    if (!status && text.size)
        status = options->lower ? clean_lower(out, text, true, err)
                                : buffer_append(out, text.data, text.size, err);
    buffer_free(&plain);
    buffer_free(&cleaned);
    return status;
}

static bool is_punctuation(uint32_t c) {
    if (c < 0x80) return c > 0x20 && c < 0x7F && unicode_classify(c) == UNICODE_OTHER;
    return unicode_is_punctuation(c);
}

bool bert_next_word(struct bytes *word, struct bytes *text) {
    size_t begin = 0, size, end;
    uint32_t c;
    for (; begin < text->size; begin += size) {
        size = unicode_decode(&c, text->data + begin);
        if (!is_space(c)) break;
    }
    if (begin == text->size) return false;
    for (end = begin; end < text->size; end += size) {
        size = unicode_decode(&c, text->data + end);
        if (is_space(c) || (is_punctuation(c) && end > begin)) break;
        if (!is_punctuation(c)) continue;
        end += size;
        break;
    }
    *word = (struct bytes){text->data + begin, end - begin};
    *text = (struct bytes){text->data + end, text->size - end};
    return true;
}
