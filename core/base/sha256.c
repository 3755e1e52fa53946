#include "core/base/sha256.h"

#include <nettle/sha2.h>

void sha256(uint8_t digest[SHA256_SIZE], struct bytes data) {
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, data.size, data.data);
    sha256_digest(&context, SHA256_SIZE, digest);
}

void sha256_hex(char hex[SHA256_HEX_SIZE], struct bytes data) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_SIZE];
    sha256(digest, data);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * (size_t)SHA256_SIZE] = 0;
}
