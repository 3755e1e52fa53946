#include "core/text/words.h"

#include <string.h>

#include "core/text/bert.h"
#include "core/text/clean.h"
#include "core/text/unicode.h"

enum { SPACE_SIZE = sizeof(WORDS_SPACE) - 1 };

struct cut {
    const struct words_rules *rules;
    words_fn *take;
    void *context;
    struct buffer work; /* what a word becomes */
};

static struct bytes from(struct bytes text, size_t at) {
    return (struct bytes){text.data + at, text.size - at};
}

/* ---- Metaspace ---- */

static enum status with_spaces(struct buffer *out, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    const uint8_t *space;
    while (!status && text.size && (space = memchr(text.data, ' ', text.size))) {
        size_t before = (size_t)(space - text.data);
        status = unicode_keep(out, text, 0, before, err);
        if (!status) status = buffer_append(out, WORDS_SPACE, SPACE_SIZE, err);
        text = from(text, before + 1);
    }
    return status ? status : unicode_keep(out, text, 0, text.size, err);
}

static bool begins_with_space(struct bytes text) {
    return text.size >= SPACE_SIZE && !memcmp(text.data, WORDS_SPACE, SPACE_SIZE);
}

/* Every WORDS_SPACE begins a word. */
static enum status take_between_spaces(struct cut *cut, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    while (text.size && !status) {
        struct bytes rest = from(text, 1);
        const uint8_t *next =
            rest.size ? memmem(rest.data, rest.size, WORDS_SPACE, SPACE_SIZE) : NULL;
        size_t size = next ? (size_t)(next - text.data) : text.size;
        status = cut->take(cut->context, (struct bytes){text.data, size}, err);
        text = from(text, size);
    }
    return status;
}

static enum status cut_metaspace(struct cut *cut, struct bytes text, bool first,
                                 struct error *err) {
    enum words_prefix prefix = cut->rules->prefix;
    bool wanted = prefix == WORDS_PREFIX_ALWAYS || (prefix == WORDS_PREFIX_FIRST && first);
    enum status status = STATUS_OK;
    cut->work.size = 0;
    if (wanted && text.data[0] != ' ' && !begins_with_space(text))
        status = buffer_append(&cut->work, WORDS_SPACE, SPACE_SIZE, err);
    if (!status) status = with_spaces(&cut->work, text, err);
    if (status) return status;
    if (cut->rules->whole) return cut->take(cut->context, buffer_view(&cut->work), err);
    return take_between_spaces(cut, buffer_view(&cut->work), err);
}

/* ---- SentencePiece ---- */

/* What stands at the beginning of the text after the charsmap; returns the bytes taken. */
static size_t mapped(const struct words_rules *rules, struct bytes text, struct bytes *out) {
    uint32_t point;
    size_t size = rules->kept ? pieces_longest(rules->kept, text, &point) : 0;
    if (!size) {
        size = charsmap_match(&rules->charsmap, text, false, out);
        if (size) return size;
        size = unicode_decode(&point, text.data);
    }
    *out = (struct bytes){text.data, size};
    return size;
}

static enum status append_mapped(struct buffer *out, const struct words_rules *rules,
                                 struct bytes piece, struct error *err) {
    if (rules->escape) return with_spaces(out, piece, err);
    return unicode_keep(out, piece, 0, piece.size, err);
}

static enum status cut_sentencepiece(struct cut *cut, struct bytes text, struct error *err) {
    const struct words_rules *rules = cut->rules;
    struct buffer *work = &cut->work;
    const char *space = rules->escape ? WORDS_SPACE : " ";
    size_t space_size = strlen(space);
    struct bytes piece;
    work->size = 0;
    enum status status = STATUS_OK;
    bool after_space = rules->remove_extra, begun = false;
    while (text.size && !status) {
        text = from(text, mapped(rules, text, &piece));
        while (after_space && piece.size && piece.data[0] == ' ') piece = from(piece, 1);
        if (piece.size && !begun && rules->dummy_prefix)
            status = buffer_append(work, space, space_size, err);
        begun = begun || piece.size;
        if (!status) status = append_mapped(work, rules, piece, err);
        if (piece.size) after_space = piece.data[piece.size - 1] == ' ';
        after_space = after_space && rules->remove_extra;
    }
    while (rules->remove_extra && work->size >= space_size &&
           !memcmp(work->data + work->size - space_size, space, space_size))
        work->size -= space_size;
    if (status || !work->size) return status;
    return cut->take(cut->context, buffer_view(work), err);
}

/* ---- the others ---- */

static enum status cut_after_spaces(struct cut *cut, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    while (text.size && !status) {
        const uint8_t *space = memchr(text.data, ' ', text.size);
        size_t size = space ? (size_t)(space - text.data) + 1 : text.size;
        status = cut->take(cut->context, (struct bytes){text.data, size}, err);
        text = from(text, size);
    }
    return status;
}

static enum status cut_bert(struct cut *cut, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    struct bytes word;
    while (!status && bert_next_word(&word, &text)) status = cut->take(cut->context, word, err);
    return status;
}

static enum status cut_part(struct cut *cut, struct bytes text, bool first, struct error *err) {
    if (!text.size) return STATUS_OK;
    switch (cut->rules->kind) {
    case WORDS_AFTER_SPACE: return cut_after_spaces(cut, text, err);
    case WORDS_METASPACE: return cut_metaspace(cut, text, first, err);
    case WORDS_SENTENCEPIECE: return cut_sentencepiece(cut, text, err);
    case WORDS_BERT: return cut_bert(cut, text, err);
    case WORDS_WHOLE: break;
    }
    return cut->take(cut->context, text, err);
}

/* White space goes; what is between it is cut further. */
static enum status cut_split(struct cut *cut, struct bytes text, bool first, struct error *err) {
    size_t begin = 0, at = 0;
    enum status status = STATUS_OK;
    while (at < text.size && !status) {
        uint32_t c;
        size_t size = unicode_decode(&c, text.data + at);
        if (unicode_classify(c) == UNICODE_SPACE) {
            struct bytes part = {text.data + begin, at - begin};
            status = cut_part(cut, part, first && !begin, err);
            begin = at + size;
        }
        at += size;
    }
    return status ? status : cut_part(cut, from(text, begin), first && !begin, err);
}

enum status words_cut(const struct words_rules *rules, struct bytes text, bool first,
                      words_fn *take, void *context, struct error *err) {
    struct cut cut = {.rules = rules, .take = take, .context = context};
    buffer_init(&cut.work, SPACE_SIZE * (size_t)CLEAN_OUTPUT_MAX);
    enum status status =
        rules->split_spaces ? cut_split(&cut, text, first, err) : cut_part(&cut, text, first, err);
    buffer_free(&cut.work);
    return status;
}
