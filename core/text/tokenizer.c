/* tokenizer.c - text to token ids: clean, split into words, encode each. Here with CLIP's own
 * vocabularies; subword.c has the others.
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
#include "core/text/subword_file.h"
#include "core/text/unicode.h"
#include "core/text/vocabulary.h"
#include "core/text/vocabulary_json.h"

static const char *const mode_names[] = {
    [TOKENIZER_OPENAI] = "openai",
    [TOKENIZER_OPEN_CLIP] = "open_clip",
    [TOKENIZER_HF_FAST] = "hf-fast",
};
enum { MODES_COUNT = sizeof(mode_names) / sizeof(mode_names[0]) };

struct tokenizer {
    struct tokenizer_options options;
    struct vocabulary vocabulary; /* its merges are in `bpe` */
    struct bpe *bpe;              /* NULL: `subword` is used instead of the two */
    struct subword subword;
    uint32_t size, start_id, end_id; /* of either */
    char digest[SHA256_HEX_SIZE];
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

static enum status use_vocabulary(struct tokenizer *tokenizer, struct vocabulary_file *file,
                                  json_t *json, struct error *err) {
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    enum status status = vocabulary_read(vocabulary, file, json, err);
    if (!status) status = bpe_create(&tokenizer->bpe, vocabulary, err);
    if (!status && tokenizer->options.mode == TOKENIZER_HF_FAST)
        status = clean_added(tokenizer, err);
    if (status) return status;
    free(vocabulary->merges);
    vocabulary->merges = NULL;
    vocabulary->merges_count = 0;
    tokenizer->size = vocabulary->size;
    tokenizer->start_id = vocabulary->start_id;
    tokenizer->end_id = vocabulary->end_id;
    return STATUS_OK;
}

static enum status use_subword(struct tokenizer *tokenizer, struct vocabulary_file *file,
                               json_t *json, struct error *err) {
    enum status status = subword_file_read(&tokenizer->subword, file, json, err);
    tokenizer->size = tokenizer->subword.size;
    tokenizer->start_id = tokenizer->subword.start_id;
    tokenizer->end_id = tokenizer->subword.end_id;
    return status;
}

static enum status use_file(struct tokenizer *tokenizer, struct vocabulary_file *file,
                            struct error *err) {
    uint8_t first = vocabulary_file_first(file);
    json_t *json = NULL;
    enum status status = STATUS_OK;
    if (!first)
        status = error_set(err, STATUS_INVALID, "the file is empty");
    else if (first == '{')
        status = vocabulary_json_parse(&json, buffer_view(&file->content), err);
    if (!status) {
        status = subword_file_fits(file, json) ? use_subword(tokenizer, file, json, err)
                                               : use_vocabulary(tokenizer, file, json, err);
    }
    json_decref(json);
    return status;
}

static enum status open_path(struct tokenizer *tokenizer, const char *path, struct error *err) {
    struct vocabulary_file file;
    struct error cause = ERROR_NONE;
    enum status status = vocabulary_file_open(&file, path, &cause);
    if (status) return error_pass(err, &cause);
    status = use_file(tokenizer, &file, &cause);
    if (status) error_set(err, status, "vocabulary %s: %s", file.path, cause.message);
    sha256_print(tokenizer->digest, file.digest);
    vocabulary_file_close(&file);
    return status;
}

enum status tokenizer_open(struct tokenizer **out, const char *path,
                           const struct tokenizer_options *options, struct error *err) {
    struct tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    if (!tokenizer) return error_set(err, STATUS_NO_MEMORY, "out of memory for a tokenizer");
    tokenizer->options = *options;
    enum status status = open_path(tokenizer, path, err);
    if (status) {
        tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return STATUS_OK;
}

void tokenizer_close(struct tokenizer *tokenizer) {
    if (!tokenizer) return;
    bpe_destroy(tokenizer->bpe);
    vocabulary_free(&tokenizer->vocabulary);
    subword_free(&tokenizer->subword);
    free(tokenizer);
}

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer) {
    return tokenizer->size;
}

const char *tokenizer_digest(const struct tokenizer *tokenizer) {
    return tokenizer->digest;
}

uint32_t tokenizer_start_id(const struct tokenizer *tokenizer) {
    return tokenizer->start_id;
}

uint32_t tokenizer_end_id(const struct tokenizer *tokenizer) {
    return tokenizer->end_id;
}

size_t tokenizer_pad(const struct tokenizer *tokenizer, const struct tokens *tokens,
                     size_t context_length) {
    uint32_t pad = tokenizer->bpe ? PIECES_NONE : tokenizer->subword.pad_id;
    if (pad == PIECES_NONE) return tokens->count;
    for (size_t i = tokens->count; i < context_length; i++) tokens->ids[i] = pad;
    return context_length > tokens->count ? context_length : tokens->count;
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

/* Pushes all ids of the text with CLIP's own tokenizers. */
static enum status encode_clip(const struct tokenizer *tokenizer, struct bytes text, size_t limit,
                               struct tokens *out, struct error *err) {
    struct encoding encoding = {.tokenizer = tokenizer, .out = out, .limit = limit};
    bpe_workspace_init(&encoding.workspace);
    bpe_push(out, limit, tokenizer->start_id);
    enum status status = tokenizer->options.mode == TOKENIZER_HF_FAST
                             ? split_added(&encoding, text, false, clean_and_encode, err)
                             : clean_and_encode(&encoding, text, err);
    bpe_workspace_free(&encoding.workspace);
    if (!status) bpe_push(out, limit, tokenizer->end_id);
    return status;
}

/* The same with another one. open_clip cleans texts before it hands them to it. */
static enum status encode_subword(const struct tokenizer *tokenizer, struct bytes text,
                                  size_t limit, struct tokens *out, struct error *err) {
    const struct tokenizer_options *options = &tokenizer->options;
    if (options->mode != TOKENIZER_OPEN_CLIP)
        return subword_encode(out, limit, &tokenizer->subword, text, err);
    struct buffer cleaned;
    buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
    enum status status = clean_text(&cleaned, text, options, err);
    if (!status)
        status = subword_encode(out, limit, &tokenizer->subword, buffer_view(&cleaned), err);
    buffer_free(&cleaned);
    return status;
}

/* What is left of a text that is too long, or of the end token where a model was trained
 * without it. */
static void finish(const struct tokenizer *tokenizer, size_t limit, struct tokens *out) {
    uint32_t end = tokenizer->end_id;
    if (end == PIECES_NONE) return;
    if (out->truncated) out->ids[limit - 1] = end;
    for (size_t i = 0; tokenizer->options.drop_end && i < out->count; i++)
        if (out->ids[i] == end) out->ids[i] = 0;
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
    if (!status) {
        status = tokenizer->bpe ? encode_clip(tokenizer, text, context_length, out, err)
                                : encode_subword(tokenizer, text, context_length, out, err);
    }
    if (status) return status;
    out->truncated = out->total > context_length;
    if (out->truncated && !truncate)
        return error_set(err, STATUS_UNPROCESSABLE, "the text has %zu tokens, the limit is %zu",
                         out->total, context_length);
    finish(tokenizer, context_length, out);
    return STATUS_OK;
}
