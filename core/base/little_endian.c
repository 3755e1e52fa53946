#include "core/base/little_endian.h"

uint64_t little_endian(const uint8_t *from, size_t size) {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | from[i];
    return value;
}
