#include "core/text/subword.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/text/clean.h"
#include "core/text/unicode.h"
#include "core/text/vocabulary.h"

enum { ADDED_MAX = 1 << 14, WORD_CHARACTERS_MAX = 100 /* BERT's */ };

/* What one call carries along. */
struct encoding {
    const struct subword *subword;
    struct tokens *out;
    size_t limit;
    bool begun; /* something of the text has been taken */
    struct unigram_workspace unigram;
    struct bpe_workspace bpe;
    uint32_t *symbols; /* [symbols_capacity], of BPE */
    size_t symbols_capacity;
};

void subword_init(struct subword *subword) {
    *subword = (struct subword){.unknown_id = PIECES_NONE,
                                .start_id = PIECES_NONE,
                                .end_id = PIECES_NONE,
                                .pad_id = PIECES_NONE};
    pieces_init(&subword->pieces);
    pieces_init(&subword->continuing);
    pieces_init(&subword->kept);
    pieces_init(&subword->added_raw);
    pieces_init(&subword->added_clean);
}

void subword_free(struct subword *subword) {
    pieces_free(&subword->pieces);
    pieces_free(&subword->continuing);
    pieces_free(&subword->kept);
    pieces_free(&subword->added_raw);
    pieces_free(&subword->added_clean);
    free(subword->scores);
    bpe_destroy(subword->bpe);
    normalizer_free(&subword->normalizer);
    charsmap_close(&subword->words.charsmap);
    free(subword->added);
    subword_init(subword);
}

enum status subword_add_added(struct subword *subword, struct bytes text,
                              const struct subword_added *added, bool clean, struct error *err) {
    if (subword->added_count == ADDED_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d added tokens", ADDED_MAX);
    size_t room = (subword->added_count + 1) * sizeof(*added);
    struct subword_added *grown = realloc(subword->added, room);
    if (!grown) return error_set(err, STATUS_NO_MEMORY, "out of memory for added tokens");
    subword->added = grown;
    grown[subword->added_count] = *added;
    if (subword->size <= added->id) subword->size = added->id + 1;
    uint32_t place = (uint32_t)subword->added_count++;
    if (!clean) return pieces_add(&subword->added_raw, text, place, err);
    struct buffer cleaned;
    buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
    enum status status = normalizer_apply(&cleaned, &subword->normalizer, text, err);
    if (!status && cleaned.size)
        status = pieces_add(&subword->added_clean, buffer_view(&cleaned), place, err);
    buffer_free(&cleaned);
    return status;
}

/* All 256 or none: a vocabulary that has only some of them cannot spell every text. */
static void find_bytes(struct subword *subword) {
    subword->has_bytes = true;
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof(name), "<0x%02X>", byte);
        subword->byte_ids[byte] = pieces_find(&subword->pieces, bytes_of(name));
        if (subword->byte_ids[byte] == PIECES_NONE) subword->has_bytes = false;
    }
}

void subword_finish(struct subword *subword, bool bytes) {
    struct pieces *const sets[] = {&subword->pieces, &subword->continuing, &subword->kept,
                                   &subword->added_raw, &subword->added_clean};
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) pieces_sort(sets[i]);
    if (subword->kept.count) subword->words.kept = &subword->kept;
    if (bytes) find_bytes(subword);
}

uint32_t subword_find(const struct subword *subword, struct bytes text) {
    uint32_t place = pieces_find(&subword->added_raw, text);
    if (place == PIECES_NONE) place = pieces_find(&subword->added_clean, text);
    return place == PIECES_NONE ? pieces_find(&subword->pieces, text) : subword->added[place].id;
}

/* ---- one word ---- */

static void push(struct encoding *encoding, uint32_t id) {
    bpe_push(encoding->out, encoding->limit, id);
}

/* A run of the text that is in no piece: its bytes, or the unknown token. *after_unknown: so
 * was what stood before it. */
static void push_unknown(struct encoding *encoding, struct bytes text, bool *after_unknown) {
    const struct subword *subword = encoding->subword;
    bool fused = *after_unknown && subword->fuse_unknown;
    *after_unknown = !subword->has_bytes;
    for (size_t i = 0; subword->has_bytes && i < text.size; i++)
        push(encoding, subword->byte_ids[text.data[i]]);
    if (!subword->has_bytes && !fused && subword->unknown_id != PIECES_NONE)
        push(encoding, subword->unknown_id);
}

static enum status encode_unigram(struct encoding *encoding, struct bytes word, struct error *err) {
    const struct subword *subword = encoding->subword;
    struct unigram unigram = {.pieces = &subword->pieces,
                              .scores = subword->scores,
                              .unknown_score = subword->unknown_score,
                              .narrow = subword->narrow};
    size_t count;
    enum status status = unigram_cut(&count, &unigram, &encoding->unigram, word, err);
    bool after_unknown = false;
    for (size_t i = 0; i < count && !status; i++) {
        const struct unigram_piece *piece = &encoding->unigram.pieces[i];
        if (piece->id == PIECES_NONE) {
            struct bytes text = {word.data + piece->begin, piece->size};
            push_unknown(encoding, text, &after_unknown);
            continue;
        }
        push(encoding, piece->id);
        after_unknown = false;
    }
    return status;
}

static enum status make_room(struct encoding *encoding, size_t size, struct error *err) {
    if (size <= encoding->symbols_capacity) return STATUS_OK;
    free(encoding->symbols);
    encoding->symbols_capacity = 0;
    encoding->symbols = malloc(size * sizeof(*encoding->symbols));
    if (!encoding->symbols)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a word of %zu bytes", size);
    encoding->symbols_capacity = size;
    return STATUS_OK;
}

/* The symbols that a word begins as: what the user defined, characters, bytes of those that
 * the vocabulary lacks, or unknown tokens. There are no more of them than bytes. */
static size_t find_symbols(struct encoding *encoding, struct bytes word) {
    const struct subword *subword = encoding->subword;
    size_t count = 0;
    for (size_t at = 0, size; at < word.size; at += size) {
        struct bytes rest = {word.data + at, word.size - at};
        uint32_t id = PIECES_NONE, point;
        size = pieces_longest(&subword->kept, rest, &id);
        if (!size) {
            size = unicode_decode(&point, rest.data);
            id = pieces_find(&subword->pieces, (struct bytes){rest.data, size});
        }
        if (id != PIECES_NONE) {
            encoding->symbols[count++] = id;
            continue;
        }
        for (size_t i = 0; i < size && subword->has_bytes; i++)
            encoding->symbols[count++] = subword->byte_ids[rest.data[i]];
        if (!subword->has_bytes) encoding->symbols[count++] = PIECES_NONE;
    }
    return count;
}

static enum status encode_bpe(struct encoding *encoding, struct bytes word, struct error *err) {
    const struct subword *subword = encoding->subword;
    uint32_t whole = subword->whole_first ? pieces_find(&subword->pieces, word) : PIECES_NONE;
    if (whole != PIECES_NONE) {
        push(encoding, whole);
        return STATUS_OK;
    }
    enum status status = make_room(encoding, word.size, err);
    if (status) return status;
    size_t count = find_symbols(encoding, word);
    status = bpe_join(encoding->symbols, &count, subword->bpe, &encoding->bpe, err);
    bool after_unknown = false;
    for (size_t i = 0; i < count && !status; i++) {
        if (encoding->symbols[i] == PIECES_NONE) {
            push_unknown(encoding, (struct bytes){0}, &after_unknown);
            continue;
        }
        push(encoding, encoding->symbols[i]);
        after_unknown = false;
    }
    return status;
}

/* The longest piece, then the longest that continues it, and so on; a word that does not come
 * out even is unknown as a whole. */
static enum status encode_wordpiece(struct encoding *encoding, struct bytes word) {
    const struct subword *subword = encoding->subword;
    uint32_t ids[WORD_CHARACTERS_MAX], point;
    size_t characters = 0, count = 0;
    for (size_t at = 0; at < word.size && characters <= WORD_CHARACTERS_MAX; characters++)
        at += unicode_decode(&point, word.data + at);
    bool known = characters <= WORD_CHARACTERS_MAX;
    for (size_t at = 0, size; at < word.size && known; at += size) {
        struct bytes rest = {word.data + at, word.size - at};
        size = pieces_longest(at ? &subword->continuing : &subword->pieces, rest, &ids[count]);
        known = size > 0;
        count += known;
    }
    for (size_t i = 0; i < count && known; i++) push(encoding, ids[i]);
    if (!known && subword->unknown_id != PIECES_NONE) push(encoding, subword->unknown_id);
    return STATUS_OK;
}

static enum status encode_word(void *context, struct bytes word, struct error *err) {
    struct encoding *encoding = context;
    switch (encoding->subword->model) {
    case SUBWORD_UNIGRAM: return encode_unigram(encoding, word, err);
    case SUBWORD_BPE: return encode_bpe(encoding, word, err);
    case SUBWORD_WORDPIECE: break;
    }
    return encode_wordpiece(encoding, word);
}

/* ---- a text ---- */

typedef enum status part_fn(struct encoding *encoding, struct bytes text, struct error *err);

static enum status encode_clean(struct encoding *encoding, struct bytes text, struct error *err) {
    bool first = !encoding->begun;
    encoding->begun = true;
    return words_cut(&encoding->subword->words, text, first, encode_word, encoding, err);
}

/* Pushes the added tokens, the leftmost and longest first, and hands what stands between them
 * to `encode_part`. */
static enum status split_added(struct encoding *encoding, const struct pieces *added,
                               struct bytes text, part_fn *encode_part, struct error *err) {
    enum status status = STATUS_OK;
    bool trim_left = false;
    for (size_t at = 0; added->count && at < text.size && !status;) {
        uint32_t place;
        size_t size = pieces_longest(added, (struct bytes){text.data + at, text.size - at}, &place);
        if (!size) {
            at++;
            continue;
        }
        const struct subword_added *token = &encoding->subword->added[place];
        struct bytes part =
            unicode_strip((struct bytes){text.data, at}, trim_left, token->take_left);
        if (part.size) status = encode_part(encoding, part, err);
        push(encoding, token->id);
        encoding->begun = true;
        trim_left = token->take_right;
        text = (struct bytes){text.data + at + size, text.size - at - size};
        at = 0;
    }
    text = unicode_strip(text, trim_left, false);
    return status || !text.size ? status : encode_part(encoding, text, err);
}

static enum status encode_raw(struct encoding *encoding, struct bytes text, struct error *err) {
    struct buffer clean;
    buffer_init(&clean, CLEAN_OUTPUT_MAX);
    enum status status = normalizer_apply(&clean, &encoding->subword->normalizer, text, err);
    if (!status)
        status = split_added(encoding, &encoding->subword->added_clean, buffer_view(&clean),
                             encode_clean, err);
    buffer_free(&clean);
    return status;
}

enum status subword_encode(struct tokens *out, size_t limit, const struct subword *subword,
                           struct bytes text, struct error *err) {
    struct encoding encoding = {.subword = subword, .out = out, .limit = limit};
    bpe_workspace_init(&encoding.bpe);
    if (subword->start_id != PIECES_NONE) push(&encoding, subword->start_id);
    enum status status = split_added(&encoding, &subword->added_raw, text, encode_raw, err);
    if (!status && subword->end_id != PIECES_NONE) push(&encoding, subword->end_id);
    bpe_workspace_free(&encoding.bpe);
    unigram_workspace_free(&encoding.unigram);
    free(encoding.symbols);
    return status;
}
