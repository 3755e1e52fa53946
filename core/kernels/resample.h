/* resample.h - the inner loops of resizing 8-bit images.
 *
 * One table of function pointers per instruction set. An output is the sum of source
 * pixels times weights of RESAMPLE_BITS fractional bits, rounded, shifted down and
 * clipped to a byte. The sums are of integers, so every instruction set gives the same
 * bytes. Nothing needs alignment.
 */
#ifndef CORE_KERNELS_RESAMPLE_H
#define CORE_KERNELS_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    RESAMPLE_BITS = 22,   /* SPEC 6.3 */
    RESAMPLE_ROWS = 4,    /* that go through the horizontal pass together */
    RESAMPLE_STRIDE = 8,  /* the weights of an output take a multiple of this */
    RESAMPLE_CHANNELS = 4 /* bytes of a pixel, at most */
};

/* How a row is resized: output i is made of the `taps[i]` pixels from `first[i]` on. */
struct resample_taps {
    size_t count;     /* outputs */
    size_t span;      /* pixels of the source row; no output needs more */
    size_t stride;    /* a multiple of RESAMPLE_STRIDE, at least as much as every taps[i] */
    uint32_t *first;  /* [count] */
    uint32_t *taps;   /* [count], at least 1 */
    int32_t *weights; /* [count, stride]; 0 behind an output's taps. No sum of 255 times the
                         magnitudes overflows */
};

struct resample_kernels {
    const char *name; /* "avx2" */
    /* `out` are rows of [taps->count, channels], `rows` of [taps->span, channels]. Who has
     * fewer rows names one of them again, in both. */
    void (*horizontal)(uint8_t *const out[RESAMPLE_ROWS], const uint8_t *const rows[RESAMPLE_ROWS],
                       const struct resample_taps *taps, size_t channels);
    /* One row of `size` bytes from `taps` of them. `weights` as of one output above. */
    void (*vertical)(uint8_t *out, const uint8_t *const *rows, const int32_t *weights,
                     uint32_t taps, size_t size);
};

/* The best table of these instruction sets (isa.h). */
const struct resample_kernels *resample_kernels_find(unsigned features);

extern const struct resample_kernels resample_kernels_generic, resample_kernels_avx2;

#endif
