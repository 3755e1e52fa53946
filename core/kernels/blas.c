#include "core/kernels/blas.h"

#include <cblas.h>

void blas_init(void) {
    openblas_set_num_threads(1);
}

void blas_multiply_nt(float *out, size_t out_stride, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, size_t m, size_t n, size_t k) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
                (blasint)a_stride, b, (blasint)b_stride, 0, out, (blasint)out_stride);
}

void blas_multiply_nn(float *out, size_t out_stride, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, size_t m, size_t n, size_t k) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
                (blasint)a_stride, b, (blasint)b_stride, 0, out, (blasint)out_stride);
}
