/* sha256.h - the digest by which weights are named. */
#ifndef CORE_BASE_SHA256_H
#define CORE_BASE_SHA256_H

#include "core/base/bytes.h"

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

void sha256(uint8_t digest[SHA256_SIZE], struct bytes data);
/* Of what comes in parts: sha256_begin(), which is NULL without memory, sha256_add() for each
 * part, and sha256_end(), which frees it. */
struct sha256_run;
struct sha256_run *sha256_begin(void);
void sha256_add(struct sha256_run *run, struct bytes part);
void sha256_end(struct sha256_run *run, uint8_t digest[SHA256_SIZE]);

/* Lower-case hexadecimal with a NUL. */
void sha256_print(char hex[SHA256_HEX_SIZE], const uint8_t digest[SHA256_SIZE]);
/* Both at once. */
void sha256_hex(char hex[SHA256_HEX_SIZE], struct bytes data);

#endif
