/* rows.h - what happens to one row of activations between two matrix products.
 *
 * One table of function pointers per instruction set. Every function treats its row
 * alone, so a row's result cannot depend on its neighbours; the same instruction set
 * gives the same bits at any address. Rows need no alignment.
 */
#ifndef CORE_KERNELS_ROWS_H
#define CORE_KERNELS_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* How a row was quantised: value = scale * (byte - zero). */
struct row_scale {
    float scale;
    int32_t zero; /* 0..255 */
};

struct row_kernels {
    const char *name; /* "avx512" */
    /* out = (x - mean) / sqrt(variance + epsilon) * gain + bias, over n > 0 elements.
     * out may be x. */
    void (*layer_norm)(float *out, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon);
    /* To the nearest bfloat16, ties to even. NaN stays NaN. The bits are the same in
     * every instruction set. */
    void (*to_bf16)(uint16_t *out, const float *x, size_t n);
    /* To bytes over the range of the row, widened to hold 0, so that 0 is exact. NaN
     * becomes byte 0. The bits are the same in every instruction set. */
    struct row_scale (*quantize)(uint8_t *out, const float *x, size_t n);
    /* out = the mean of four rows: what an average of 2 x 2 pixels makes. The bits are the same
     * in every instruction set. */
    void (*mean4)(float *out, const float *const from[4], size_t n);
    /* x = gelu(x * gate), by the error function; `gate` NULL: ones. */
    void (*gelu)(float *x, const float *gate, size_t n);
};

/* The best table of these instruction sets (isa.h). */
const struct row_kernels *row_kernels_find(unsigned features);

/* One value, portably: what to_bf16 does, and back. */
uint16_t rows_bf16_of(float value);
float rows_f32_of(uint16_t value);

/* The scale of a row whose elements span [least, most], 0 included, and the factor
 * from elements to bytes. */
struct row_scale rows_scale_of(float least, float most, float *inverse);

extern const struct row_kernels row_kernels_generic, row_kernels_avx2, row_kernels_avx512;

#endif
