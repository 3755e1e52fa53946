#include "hub/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/sha1.h"
#include "core/base/sha256.h"

enum { GIT_HEX_SIZE = 2 * SHA1_SIZE, SHA256_DIGITS = SHA256_HEX_SIZE - 1 };

struct digest {
    struct sha256_run *sha256; /* one of the two */
    struct sha1_run *git;
};

bool digest_is_name(const char *name) {
    size_t size = strlen(name);
    return (size == GIT_HEX_SIZE || size == SHA256_DIGITS) &&
           strspn(name, "0123456789abcdef") == size;
}

struct digest *digest_begin(const char *name, uint64_t size) {
    struct digest *digest = calloc(1, sizeof(*digest));
    if (!digest) return NULL;
    if (strlen(name) == SHA256_DIGITS)
        digest->sha256 = sha256_begin();
    else
        digest->git = sha1_begin();
    if (!digest->sha256 && !digest->git) {
        free(digest);
        return NULL;
    }
    if (digest->git) {
        char head[40]; /* git hashes this in front, with its NUL */
        int head_size = snprintf(head, sizeof(head), "blob %" PRIu64, size);
        sha1_add(digest->git, (struct bytes){(const uint8_t *)head, (size_t)head_size + 1});
    }
    return digest;
}

void digest_add(struct digest *digest, struct bytes part) {
    if (digest->git)
        sha1_add(digest->git, part);
    else
        sha256_add(digest->sha256, part);
}

void digest_end(struct digest *digest, char hex[DIGEST_HEX_SIZE]) {
    uint8_t raw[SHA256_SIZE];
    size_t size = SHA256_SIZE;
    *hex = 0;
    if (!digest) return;
    if (digest->git) {
        sha1_end(digest->git, raw);
        size = SHA1_SIZE;
    } else {
        sha256_end(digest->sha256, raw);
    }
    free(digest);
    for (size_t i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", raw[i]);
}
