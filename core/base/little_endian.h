/* little_endian.h - numbers as weight files and archives have them, at any address. */
#ifndef CORE_BASE_LITTLE_ENDIAN_H
#define CORE_BASE_LITTLE_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

/* The number in the first `size` bytes, at most 8. */
uint64_t little_endian(const uint8_t *from, size_t size);

#endif
