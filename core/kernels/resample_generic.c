/* resample_generic.c - resizing in portable C: the definition of correct. */
#include <assert.h>

#include "core/kernels/isa.h"
#include "core/kernels/resample.h"

enum { BYTE_MAX = 255, HALF = 1 << (RESAMPLE_BITS - 1), BLOCK = 256 };

static uint8_t clip(int32_t sum) {
    sum >>= RESAMPLE_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > BYTE_MAX ? BYTE_MAX : sum);
}

/* One row of `channels`, a constant at every call so that the compiler unrolls. */
static inline void resize_row(uint8_t *out, const uint8_t *row, const struct resample_taps *taps,
                              size_t channels) {
    for (size_t i = 0; i < taps->count; i++) {
        const int32_t *weights = taps->weights + i * taps->stride;
        const uint8_t *from = row + taps->first[i] * channels;
        int32_t sums[RESAMPLE_CHANNELS];
        for (size_t c = 0; c < channels; c++) sums[c] = HALF;
        for (uint32_t k = 0; k < taps->taps[i]; k++)
            for (size_t c = 0; c < channels; c++) sums[c] += from[k * channels + c] * weights[k];
        for (size_t c = 0; c < channels; c++) out[i * channels + c] = clip(sums[c]);
    }
}

static void horizontal(uint8_t *const out[RESAMPLE_ROWS], const uint8_t *const rows[RESAMPLE_ROWS],
                       const struct resample_taps *taps, size_t channels) {
    for (size_t r = 0; r < RESAMPLE_ROWS && (r == 0 || out[r] != out[r - 1]); r++) {
        switch (channels) {
        case 1: resize_row(out[r], rows[r], taps, 1); break;
        case 2: resize_row(out[r], rows[r], taps, 2); break;
        case 3: resize_row(out[r], rows[r], taps, 3); break;
        case 4: resize_row(out[r], rows[r], taps, 4); break;
        default: assert(!"one to four channels");
        }
    }
}

/* In blocks of columns whose sums stay in the cache. */
static void vertical(uint8_t *out, const uint8_t *const *rows, const int32_t *weights,
                     uint32_t taps, size_t size) {
    int32_t sums[BLOCK];
    for (size_t begin = 0, count; begin < size; begin += count) {
        count = size - begin < BLOCK ? size - begin : BLOCK;
        for (size_t i = 0; i < count; i++) sums[i] = HALF;
        for (uint32_t k = 0; k < taps; k++) {
            const uint8_t *row = rows[k] + begin;
            for (size_t i = 0; i < count; i++) sums[i] += row[i] * weights[k];
        }
        for (size_t i = 0; i < count; i++) out[begin + i] = clip(sums[i]);
    }
}

const struct resample_kernels resample_kernels_generic = {
    .name = "generic",
    .horizontal = horizontal,
    .vertical = vertical,
};

const struct resample_kernels *resample_kernels_find(unsigned features) {
#if defined(__x86_64__)
    if (features & ISA_AVX2) return &resample_kernels_avx2;
#else
    (void)features;
#endif
    return &resample_kernels_generic;
}
