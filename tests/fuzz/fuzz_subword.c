/* A text through every subword tokenizer of the goldens, as it is and cleaned; run it from the
 * root of the repository. */
#include <stdlib.h>

#include "core/text/tokenizer.h"
#include "core/text/unicode.h"

enum { CONTEXT_LENGTH = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
    "tests/golden/subword/unigram.model",  "tests/golden/subword/bpe.model",
    "tests/golden/subword/kept.model",     "tests/golden/subword/siglip",
    "tests/golden/subword/xlmr",           "tests/golden/subword/gemma",
    "tests/golden/subword/bert/vocab.txt",
};
enum { FILES = sizeof(files) / sizeof(files[0]), TOKENIZERS = 2 * FILES };

static void expect(bool condition) {
    if (!condition) abort();
}

static void encode(const struct tokenizer *tokenizer, struct bytes text, bool valid) {
    uint32_t ids[CONTEXT_LENGTH];
    struct tokens tokens = {.ids = ids};
    enum status status = tokenizer_encode(tokenizer, text, CONTEXT_LENGTH, true, &tokens, NULL);
    expect(status == (valid ? STATUS_OK : STATUS_INVALID));
    if (status) return;
    expect(tokens.count >= 1 && tokens.count <= CONTEXT_LENGTH && tokens.total >= tokens.count);
    expect(tokens.truncated == (tokens.total > CONTEXT_LENGTH));
    expect(ids[tokens.count - 1] == tokenizer_end_id(tokenizer));
    size_t filled = tokenizer_pad(tokenizer, &tokens, CONTEXT_LENGTH);
    for (size_t i = 0; i < filled; i++) expect(ids[i] < tokenizer_vocab_size(tokenizer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tokenizer *tokenizers[TOKENIZERS];
    struct bytes text = {data, size};
    size_t offset;
    bool valid = unicode_valid(text, &offset);
    for (size_t i = 0; i < TOKENIZERS; i++) {
        struct tokenizer_options options = {.mode = TOKENIZER_HF_FAST};
        if (i >= FILES)
            options =
                (struct tokenizer_options){TOKENIZER_OPEN_CLIP, TOKENIZER_CANONICALIZE, false};
        if (!tokenizers[i])
            expect(!tokenizer_open(&tokenizers[i], files[i % FILES], &options, NULL));
        encode(tokenizers[i], text, valid);
    }
    return 0;
}
