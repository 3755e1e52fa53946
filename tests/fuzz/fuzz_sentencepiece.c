/* A SentencePiece model, charsmap and all: it is read or refused, and what was read encodes a
 * text to ids that it has. */
#include <stdlib.h>

#include "core/text/sentencepiece.h"

enum { IDS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct subword *subword, const char *text) {
    uint32_t ids[IDS_MAX];
    struct tokens tokens = {.ids = ids};
    if (subword_encode(&tokens, IDS_MAX, subword, bytes_of(text), NULL)) abort();
    for (size_t i = 0; i < tokens.count; i++)
        if (ids[i] >= subword->size) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes file = {data, size};
    for (int fairseq = 0; fairseq < 2; fairseq++) {
        struct subword subword;
        struct error err = ERROR_NONE;
        subword_init(&subword);
        enum status status = sentencepiece_read(&subword, file, fairseq, &err);
        if (status && !err.message[0]) abort();
        if (!status) {
            encode(&subword,
                   " a photo  of abab caf\xC3\xA9 e\xCC\x81 \xEF\xBC\xA1\xF0\x9F\x90\xB1 ");
            encode(&subword, "");
        }
        subword_free(&subword);
    }
    return 0;
}
