#include "core/kernels/blas.h"

#include <cblas.h>

void blas_init(void) {
    openblas_set_num_threads(1);
}

static void multiply(const struct product *p, enum CBLAS_TRANSPOSE b) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, b, (blasint)p->m, (blasint)p->n, (blasint)p->k, 1,
                p->a, (blasint)p->a_stride, p->b, (blasint)p->b_stride, 0, p->out,
                (blasint)p->out_stride);
}

void blas_multiply_nt(const struct product *product) {
    multiply(product, CblasTrans);
}

void blas_multiply_nn(const struct product *product) {
    multiply(product, CblasNoTrans);
}
