/* A float has at most 9 significant digits that matter, and 6 that it always keeps.
 * So 6 to 9 digits are tried, each rounded from the value scaled to an integer; the
 * first that reads back is written. All of it happens in double, whose 53 bits hold
 * every candidate and every power of ten used exactly: the scaled value is off by
 * less than 1e-15 of itself, a nine-digit candidate may be off by 15 % of what
 * separates neighbouring floats, so the nine digits always read back. */
#include "api/float_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MIN = 6, DIGITS_MAX = 9 };

static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Numbers outside of these are rare (probabilities of far-off labels): printf(). */
static const double fast_min = 1e-6, fast_max = 1e9;

/* Whether a decimal whose nearest double is `decimal` reads back as `value`. Half-way
 * between two floats its nearest double no longer tells on which side the decimal
 * lies. */
static bool reads_back(double decimal, float value) {
    uint64_t bits;
    memcpy(&bits, &decimal, sizeof(bits));
    bool half_way = (bits & 0x1fffffff) == 0x10000000;
    return (float)decimal == value && !half_way;
}

/* `number` / 10^places, without zeros at the end. */
static size_t put_decimal(char *out, uint64_t number, int places) {
    char reversed[FLOAT_TEXT_MAX];
    size_t size = 0, length = 0;
    while (places > 0 && number % 10 == 0) {
        number /= 10;
        places--;
    }
    for (int left = places; number || left >= 0; left--) {
        reversed[size++] = (char)('0' + number % 10);
        number /= 10;
        if (left == 1) reversed[size++] = '.';
    }
    while (size) out[length++] = reversed[--size];
    while (places++ < 0) out[length++] = '0';
    return length;
}

/* The exponent e with 10^e <= value < 10^(e+1), for values in the fast range. */
static int decimal_exponent(double value) {
    int e = (int)DIGITS_MAX - 1;
    if (value >= 1) {
        while (value < powers[e]) e--;
        return e;
    }
    e = -1;
    while (value * powers[-e] < 1) e--;
    return e;
}

static size_t put_word(char *out, const char *word) {
    size_t length = 0;
    while (*word) out[length++] = *word++;
    return length;
}

size_t float_text(char out[FLOAT_TEXT_MAX], float value) {
    if (!isfinite(value)) {
        return put_word(out, "null");
    }
    size_t sign = signbit(value) ? 1 : 0;
    if (sign) out[0] = '-';
    value = fabsf(value);
    if (value == 0) {
        return sign + put_word(out + sign, "0.0");
    }
    if (value < fast_min || value >= fast_max) {
        int length = snprintf(out + sign, FLOAT_TEXT_MAX - sign, "%.9g", (double)value);
        return sign + (size_t)length;
    }
    int exponent = decimal_exponent((double)value);
    for (int digits = DIGITS_MIN;; digits++) {
        int places = digits - 1 - exponent;
        double scaled =
            places >= 0 ? (double)value * powers[places] : (double)value / powers[-places];
        uint64_t number = (uint64_t)(scaled + 0.5);
        double decimal =
            places >= 0 ? (double)number / powers[places] : (double)number * powers[-places];
        if (digits == DIGITS_MAX || reads_back(decimal, value)) {
            return sign + put_decimal(out + sign, number, places);
        }
    }
}
