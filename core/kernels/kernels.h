/* kernels.h - the numeric inner loops behind one table.
 *
 * Portable C is the reference; an instruction set overrides what it improves. The
 * table is filled once and constant afterwards. Nothing here allocates, fails or
 * knows what a model is.
 */
#ifndef CORE_KERNELS_KERNELS_H
#define CORE_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* One matrix product; all matrices are row-major, their rows `stride` floats apart. */
struct product {
    float *out;     /* [m, n] */
    const float *a; /* [m, k] */
    const float *b; /* [n, k] for multiply_nt, [k, n] for multiply_nn */
    size_t out_stride, a_stride, b_stride;
    size_t m, n, k;
};

struct kernels {
    const char *name;

    /* out[i, j] = sum over l of a[i, l] * b[j, l], as torch.nn.Linear stores its weight.
     * The same sizes and values give the same bits. */
    void (*multiply_nt)(const struct product *product);
    /* out[i, j] = sum over l of a[i, l] * b[l, j]. */
    void (*multiply_nn)(const struct product *product);

    /* (x - mean) / sqrt(variance + eps) * gain + bias over one row of n; the variance is
     * the biased one. out may be in. */
    void (*layer_norm)(float *out, const float *in, const float *gain, const float *bias, size_t n,
                       float eps);
    /* softmax(scale * row) in place. */
    void (*softmax)(float *row, size_t n, float scale);
    /* row += add. */
    void (*add)(float *row, const float *add, size_t n);
    /* Activations in place: x * sigmoid(1.702 x), and GELU by erf and by tanh. */
    void (*quick_gelu)(float *row, size_t n);
    void (*gelu_erf)(float *row, size_t n);
    void (*gelu_tanh)(float *row, size_t n);
};

/* What the CPU has; one bit per feature that a kernel may need. */
unsigned cpu_features(void);

/* Fills the table with the best that `features` allow. */
void kernels_init(struct kernels *k, unsigned features);

#endif
