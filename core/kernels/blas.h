/* blas.h - matrix products by the system's BLAS; see kernels.h for the contracts.
 *
 * The encoder runs one batch per worker thread, so BLAS itself must stay single
 * threaded: blas_init() says so, once, before the first product. */
#ifndef CORE_KERNELS_BLAS_H
#define CORE_KERNELS_BLAS_H

#include <stddef.h>

void blas_init(void);
void blas_multiply_nt(float *out, size_t out_stride, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, size_t m, size_t n, size_t k);
void blas_multiply_nn(float *out, size_t out_stride, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, size_t m, size_t n, size_t k);

#endif
