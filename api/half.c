#include "api/half.h"

#include <stdint.h>
#include <string.h>

enum {
    FRACTION_BITS = 23,
    HALF_BITS = 10,
    DROPPED = FRACTION_BITS - HALF_BITS,
    BIAS = 127,
    HALF_BIAS = 15,
    HALF_INFINITE = 0x7c00,
};

/* `value` without its lowest `bits`, to the nearest, ties to even. */
static uint32_t round_bits(uint32_t value, uint32_t bits) {
    uint32_t half = UINT32_C(1) << (bits - 1), rest = value & (2 * half - 1);
    uint32_t kept = value >> bits;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

static uint16_t half_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000, fraction = bits & 0x7fffff;
    int exponent = (int)(bits >> FRACTION_BITS & 0xff) - BIAS;
    if (exponent == BIAS + 1) { /* infinite, or no number, which must not become infinite */
        uint32_t quiet = fraction ? 0x200 | fraction >> DROPPED : 0;
        return (uint16_t)(sign | HALF_INFINITE | quiet);
    }
    if (exponent > HALF_BIAS) return (uint16_t)(sign | HALF_INFINITE);
    if (exponent < -HALF_BIAS - HALF_BITS) return (uint16_t)sign;
    if (exponent <= -HALF_BIAS) { /* below the normal numbers: fewer bits */
        uint32_t shift = (uint32_t)(DROPPED - HALF_BIAS + 1 - exponent);
        return (uint16_t)(sign | round_bits(fraction | 1 << FRACTION_BITS, shift));
    }
    /* A carry out of the fraction goes into the exponent, as it should. */
    uint32_t biased = (uint32_t)(exponent + HALF_BIAS) << FRACTION_BITS;
    return (uint16_t)(sign | round_bits(biased | fraction, DROPPED));
}

void half_from_floats(void *out, const float *from, size_t count) {
    uint8_t *to = out;
    for (size_t i = 0; i < count; i++) {
        uint16_t half = half_of(from[i]);
        to[2 * i] = (uint8_t)half;
        to[2 * i + 1] = (uint8_t)(half >> 8);
    }
}
