/* sha256.h - the digest by which weights are named. */
#ifndef CORE_BASE_SHA256_H
#define CORE_BASE_SHA256_H

#include "core/base/bytes.h"

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

void sha256(uint8_t digest[SHA256_SIZE], struct bytes data);
/* Lower-case hexadecimal with a NUL. */
void sha256_hex(char hex[SHA256_HEX_SIZE], struct bytes data);

#endif
