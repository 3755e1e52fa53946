/* A vocabulary file of any form: it opens or it is refused, and if it opens, a text can be
 * encoded with it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/text/tokenizer.h"

enum { CONTEXT_LENGTH = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int file = memfd_create("vocabulary", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    struct tokenizer_options options = {.mode = TOKENIZER_HF_FAST, .clean = TOKENIZER_LOWER};
    struct tokenizer *tokenizer;
    struct error err = ERROR_NONE;
    enum status status = tokenizer_open(&tokenizer, path, &options, &err);
    if (status && !err.message[0]) abort();
    if (!status) {
        uint32_t ids[CONTEXT_LENGTH];
        struct tokens tokens = {.ids = ids};
        struct bytes text = bytes_of("a photo of abab caf\xC3\xA9 <|endoftext|>");
        if (tokenizer_encode(tokenizer, text, CONTEXT_LENGTH, true, &tokens, NULL)) abort();
        for (size_t i = 0; i < tokens.count; i++)
            if (ids[i] >= tokenizer_vocab_size(tokenizer)) abort();
        tokenizer_close(tokenizer);
    }
    close(file);
    return 0;
}
