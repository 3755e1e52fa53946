#include "core/base/sha256.h"

#include <nettle/sha2.h>
#include <stdlib.h>

struct sha256_run {
    struct sha256_ctx context;
};

struct sha256_run *sha256_begin(void) {
    struct sha256_run *run = malloc(sizeof(*run));
    if (run) sha256_init(&run->context);
    return run;
}

void sha256_add(struct sha256_run *run, struct bytes part) {
    sha256_update(&run->context, part.size, part.data);
}

void sha256_end(struct sha256_run *run, uint8_t digest[SHA256_SIZE]) {
    sha256_digest(&run->context, SHA256_SIZE, digest);
    free(run);
}

void sha256(uint8_t digest[SHA256_SIZE], struct bytes data) {
    struct sha256_run run;
    sha256_init(&run.context);
    sha256_add(&run, data);
    sha256_digest(&run.context, SHA256_SIZE, digest);
}

void sha256_print(char hex[SHA256_HEX_SIZE], const uint8_t digest[SHA256_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * (size_t)SHA256_SIZE] = 0;
}

void sha256_hex(char hex[SHA256_HEX_SIZE], struct bytes data) {
    uint8_t digest[SHA256_SIZE];
    sha256(digest, data);
    sha256_print(hex, digest);
}
