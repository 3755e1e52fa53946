/* blas.h - matrix products by the system's BLAS; see kernels.h for the contracts.
 *
 * The encoder runs one batch per worker thread, so BLAS itself must stay single
 * threaded: blas_init() says so, once, before the first product. */
#ifndef CORE_KERNELS_BLAS_H
#define CORE_KERNELS_BLAS_H

#include "core/kernels/kernels.h"

void blas_init(void);
void blas_multiply_nt(const struct product *product);
void blas_multiply_nn(const struct product *product);

#endif
