/* tokenizer.c - text to token ids: clean, split into words, encode each.
 *
 * In openai and open_clip a special word typed by the user becomes the special token when
 * the regular expression meets it in the cleaned text. In hf-fast the added tokens are cut
 * out of the text before it is cleaned, or, if they are marked "normalized", after (SPEC 5.2).
 * All ids are counted, though only context_length of them are kept: every step is linear
 * enough for a megabyte. */
#include "core/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/bpe.h"
#include "core/text/clean.h"
#include "core/text/pretokenize.h"
#include "core/text/unicode.h"
#include "core/text/vocabulary.h"

static const char *const mode_names[] = {
    [TOKENIZER_OPENAI] = "openai",
    [TOKENIZER_OPEN_CLIP] = "open_clip",
    [TOKENIZER_HF_FAST] = "hf-fast",
};
enum { MODES_COUNT = sizeof(mode_names) / sizeof(mode_names[0]) };

struct tokenizer {
    struct tokenizer_options options;
    struct vocabulary vocabulary; /* its merges are in `bpe` */
    struct bpe *bpe;
};

/* What one call carries along. */
struct encoding {
    const struct tokenizer *tokenizer;
    struct tokens *out;
    size_t limit;
    struct bpe_workspace workspace;
};

const char *tokenizer_mode_name(enum tokenizer_mode mode) {
    return mode_names[mode];
}

bool tokenizer_mode_parse(enum tokenizer_mode *out, const char *name) {
    for (size_t i = 0; i < MODES_COUNT; i++) {
        if (strcmp(name, mode_names[i]) != 0) continue;
        *out = (enum tokenizer_mode)i;
        return true;
    }
    return false;
}

/* Added tokens that are looked for in cleaned text are cleaned themselves. */
static enum status clean_added(struct tokenizer *tokenizer, struct error *err) {
    for (size_t i = 0; i < tokenizer->vocabulary.added_count; i++) {
        struct vocabulary_added *added = &tokenizer->vocabulary.added[i];
        if (!added->normalized) continue;
        struct buffer cleaned;
        buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
        struct bytes text = {added->text, added->size};
        enum status status = clean_text(&cleaned, text, &tokenizer->options, err);
        if (!status && !cleaned.size)
            status = error_set(err, STATUS_INVALID, "added token %u is only spaces", added->id);
        if (status) {
            buffer_free(&cleaned);
            return status;
        }
        free(added->text);
        added->text = cleaned.data;
        added->size = cleaned.size;
    }
    return STATUS_OK;
}

enum status tokenizer_open(struct tokenizer **out, const char *path,
                           const struct tokenizer_options *options, struct error *err) {
    struct tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    if (!tokenizer) return error_set(err, STATUS_NO_MEMORY, "out of memory for a tokenizer");
    tokenizer->options = *options;
    enum status status = vocabulary_open(&tokenizer->vocabulary, path, err);
    if (!status) status = bpe_create(&tokenizer->bpe, &tokenizer->vocabulary, err);
    if (!status && options->mode == TOKENIZER_HF_FAST) status = clean_added(tokenizer, err);
    if (status) {
        tokenizer_close(tokenizer);
        return status;
    }
    free(tokenizer->vocabulary.merges);
    tokenizer->vocabulary.merges = NULL;
    tokenizer->vocabulary.merges_count = 0;
    *out = tokenizer;
    return STATUS_OK;
}

void tokenizer_close(struct tokenizer *tokenizer) {
    if (!tokenizer) return;
    bpe_destroy(tokenizer->bpe);
    vocabulary_free(&tokenizer->vocabulary);
    free(tokenizer);
}

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer) {
    return tokenizer->vocabulary.size;
}

uint32_t tokenizer_start_id(const struct tokenizer *tokenizer) {
    return tokenizer->vocabulary.start_id;
}

uint32_t tokenizer_end_id(const struct tokenizer *tokenizer) {
    return tokenizer->vocabulary.end_id;
}

/* Cleaned text without added tokens. */
static enum status encode_words(struct encoding *encoding, struct bytes text, struct error *err) {
    const struct tokenizer *tokenizer = encoding->tokenizer;
    enum tokenizer_mode mode = tokenizer->options.mode;
    struct pretokenizer pretokenizer = {.text = text, .hf_fast = mode == TOKENIZER_HF_FAST};
    if (mode == TOKENIZER_OPENAI) {
        pretokenizer.start_word = VOCABULARY_START;
        pretokenizer.end_word = VOCABULARY_END;
    } else if (mode == TOKENIZER_OPEN_CLIP) {
        pretokenizer.start_word = "<start_of_text>";
        pretokenizer.end_word = "<end_of_text>";
    }
    for (;;) {
        struct bytes word;
        enum status status = STATUS_OK;
        switch (pretokenizer_next(&pretokenizer, &word)) {
        case PRETOKEN_NONE: return STATUS_OK;
        case PRETOKEN_START:
            bpe_push(encoding->out, encoding->limit, tokenizer->vocabulary.start_id);
            break;
        case PRETOKEN_END:
            bpe_push(encoding->out, encoding->limit, tokenizer->vocabulary.end_id);
            break;
        case PRETOKEN_WORD:
            status = bpe_encode(encoding->out, encoding->limit, tokenizer->bpe,
                                &encoding->workspace, word, err);
            break;
        }
        if (status) return status;
    }
}

typedef enum status piece_fn(struct encoding *encoding, struct bytes piece, struct error *err);

static const struct vocabulary_added *find_added(const struct vocabulary *vocabulary,
                                                 struct bytes text, bool normalized) {
    for (size_t i = 0; i < vocabulary->added_count; i++) {
        const struct vocabulary_added *added = &vocabulary->added[i];
        if (added->normalized == normalized && added->text[0] == text.data[0] &&
            added->size <= text.size && !memcmp(added->text, text.data, added->size))
            return added;
    }
    return NULL;
}

/* Pushes the added tokens of one kind, the leftmost and longest first, and hands what
 * stands between them to `encode_piece`. */
static enum status split_added(struct encoding *encoding, struct bytes text, bool normalized,
                               piece_fn *encode_piece, struct error *err) {
    const struct vocabulary *vocabulary = &encoding->tokenizer->vocabulary;
    size_t begin = 0, at = 0;
    while (at < text.size) {
        struct bytes rest = {text.data + at, text.size - at};
        const struct vocabulary_added *added = find_added(vocabulary, rest, normalized);
        if (!added) {
            at++;
            continue;
        }
        struct bytes piece = {text.data + begin, at - begin};
        enum status status = encode_piece(encoding, piece, err);
        if (status) return status;
        bpe_push(encoding->out, encoding->limit, added->id);
        begin = at += added->size;
    }
    if (begin == text.size) return STATUS_OK;
    return encode_piece(encoding, (struct bytes){text.data + begin, text.size - begin}, err);
}

static enum status clean_and_encode(struct encoding *encoding, struct bytes text,
                                    struct error *err) {
    const struct tokenizer_options *options = &encoding->tokenizer->options;
    struct buffer cleaned;
    buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
    enum status status = clean_text(&cleaned, text, options, err);
    if (!status && options->mode == TOKENIZER_HF_FAST)
        status = split_added(encoding, buffer_view(&cleaned), true, encode_words, err);
    else if (!status)
        status = encode_words(encoding, buffer_view(&cleaned), err);
    buffer_free(&cleaned);
    return status;
}

static enum status check_text(struct bytes text, struct error *err) {
    size_t offset;
    if (text.size > CLEAN_TEXT_MAX)
        return error_set(err, STATUS_TOO_LARGE, "the text has %zu bytes, the limit is %d",
                         text.size, CLEAN_TEXT_MAX);
    if (!unicode_valid(text, &offset))
        return error_set(err, STATUS_INVALID, "the text is not valid UTF-8: byte 0x%02x at %zu",
                         text.data[offset], offset);
    return STATUS_OK;
}

enum status tokenizer_encode(const struct tokenizer *tokenizer, struct bytes text,
                             size_t context_length, bool truncate, struct tokens *out,
                             struct error *err) {
    out->count = out->total = 0;
    out->truncated = false;
    if (context_length < 2)
        return error_set(err, STATUS_INVALID, "context_length is %zu, expected at least 2",
                         context_length);
    enum status status = check_text(text, err);
    if (status) return status;
    struct encoding encoding = {.tokenizer = tokenizer, .out = out, .limit = context_length};
    bpe_workspace_init(&encoding.workspace);
    bpe_push(out, context_length, tokenizer->vocabulary.start_id);
    if (tokenizer->options.mode == TOKENIZER_HF_FAST)
        status = split_added(&encoding, text, false, clean_and_encode, err);
    else
        status = clean_and_encode(&encoding, text, err);
    bpe_workspace_free(&encoding.workspace);
    if (status) return status;
    bpe_push(out, context_length, tokenizer->vocabulary.end_id);
    out->truncated = out->total > context_length;
    if (out->truncated && !truncate)
        return error_set(err, STATUS_UNPROCESSABLE, "the text has %zu tokens, the limit is %zu",
                         out->total, context_length);
    if (out->truncated) out->ids[context_length - 1] = tokenizer->vocabulary.end_id;
    return STATUS_OK;
}
