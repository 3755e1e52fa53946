/* A text through every mode, with the small vocabulary of the goldens; run it from the
 * root of the repository. */
#include <stdlib.h>
#include <string.h>

#include "core/text/tokenizer.h"
#include "core/text/unicode.h"

enum { CONTEXT_LENGTH = 16, MODES = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tokenizer_options modes[MODES] = {
    {.mode = TOKENIZER_OPENAI, .clean = TOKENIZER_LOWER},
    {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_LOWER},
    {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_WHITESPACE},
    {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_CANONICALIZE},
    {.mode = TOKENIZER_HF_FAST, .clean = TOKENIZER_LOWER},
};

static void expect(bool condition) {
    if (!condition) abort();
}

static void encode(const struct tokenizer *tokenizer, struct bytes text, bool valid) {
    uint32_t ids[CONTEXT_LENGTH];
    struct tokens tokens = {.ids = ids};
    enum status status = tokenizer_encode(tokenizer, text, CONTEXT_LENGTH, true, &tokens, NULL);
    expect(status == (valid ? STATUS_OK : STATUS_INVALID));
    if (status) return;
    expect(tokens.count >= 2 && tokens.count <= CONTEXT_LENGTH && tokens.total >= tokens.count);
    expect(tokens.truncated == (tokens.total > CONTEXT_LENGTH));
    expect(ids[0] == tokenizer_start_id(tokenizer));
    expect(ids[tokens.count - 1] == tokenizer_end_id(tokenizer));
    for (size_t i = 0; i < tokens.count; i++) expect(ids[i] < tokenizer_vocab_size(tokenizer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tokenizer *tokenizers[MODES];
    struct bytes text = {data, size};
    size_t offset;
    bool valid = unicode_valid(text, &offset);
    for (size_t i = 0; i < MODES; i++) {
        if (!tokenizers[i])
            expect(
                !tokenizer_open(&tokenizers[i], "tests/golden/text/merges.txt", &modes[i], NULL));
        encode(tokenizers[i], text, valid);
    }
    return 0;
}
