/* gemm.h - matrix products with prepacked weights: C[m, n] = A[m, k] * W[n, k]^T.
 *
 * A weight is packed once into panels of a kernel's own width and then multiplied
 * with row-major activations of any number of rows. The packed form is one blob of
 * 64-byte aligned, position-independent bytes, fit to be written to a file and
 * mapped again; gemm_kernel_format() names its layout, and a blob may be used by
 * any kernel that gives the same name.
 *
 * What a caller may rely on: an element of C has the same bits however many rows
 * the call has, wherever its row stands among them, and however the panels are
 * split between calls or threads. Each element is one sum over k in ascending order
 * in one accumulator, finished by the same instructions in full and in edge tiles.
 *
 * Precisions differ in A and in what is packed:
 *   fp32  A is float. fp32 sums.
 *   bf16  A is bfloat16 (uint16_t), W rounded to bfloat16. fp32 sums.
 *   int8  A is uint8_t with a scale and a zero point per row (rows.h), W is int8_t
 *         with one scale per column. int32 sums, exact.
 *
 * Nothing here fails or allocates; sizes are the caller's to get right. Everything
 * is immutable, so any number of threads may multiply at once.
 */
#ifndef CORE_KERNELS_GEMM_H
#define CORE_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/rows.h"

enum gemm_precision { GEMM_FP32, GEMM_BF16, GEMM_INT8 };
enum gemm_activation { GEMM_LINEAR, GEMM_QUICK_GELU, GEMM_GELU_ERF, GEMM_GELU_TANH, GEMM_RELU };
enum gemm_output {
    GEMM_STORE_F32,    /* c = result */
    GEMM_ADD_F32,      /* c += result: the residual stream */
    GEMM_STORE_BF16,   /* c = result, as the next bf16 product wants it */
    GEMM_ADD_RELU_F32, /* c = max(c + result, 0): the residual stream of a ResNet */
};

enum {
    GEMM_ALIGNMENT = 64,  /* of a blob; rows of A and C need none, but are faster with it */
    GEMM_K_MAX = 1 << 16, /* int32 sums cannot overflow below */
};

struct gemm_kernel;

/* Once, before the first product: keeps BLAS, the portable way, to one thread. */
void gemm_blas_init(void);

/* The best kernel of these instruction sets (isa.h) for a precision. Never NULL:
 * every precision has a portable one. */
const struct gemm_kernel *gemm_kernel_find(unsigned features, enum gemm_precision precision);
enum gemm_precision gemm_kernel_precision(const struct gemm_kernel *kernel);
/* "avx512_vnni": the instruction set used. */
const char *gemm_kernel_name(const struct gemm_kernel *kernel);
/* "int8-p32w127-1": precision, columns of a panel, largest weight, version. */
const char *gemm_kernel_format(const struct gemm_kernel *kernel);

/* Elements of A in a row of k. A row must be readable up to this count: round k up
 * to the elements that share a 32-bit word. The padding must be finite; it counts
 * as zero. */
size_t gemm_row_size(const struct gemm_kernel *kernel, size_t k);
/* A good stride for rows of A, in elements: the size, rounded up so that the rows of
 * a tile do not fall on the same cache sets. */
size_t gemm_row_stride(const struct gemm_kernel *kernel, size_t k);
/* Columns per panel, and panels of a weight with n rows. */
size_t gemm_panels(const struct gemm_kernel *kernel, size_t n);

/* Bytes of the blob for W[n, k]; a multiple of GEMM_ALIGNMENT. 0 if n or k is 0, k
 * is over GEMM_K_MAX or the size does not fit a size_t. */
size_t gemm_packed_size(const struct gemm_kernel *kernel, size_t n, size_t k);
/* Consecutive rows of a weight, `stride` floats apart. */
struct gemm_rows {
    const float *data; /* [count, k] */
    size_t stride, count;
};

/* Packs the rows of all parts, one part after the other (such as those for q, k and v),
 * into `blob`, whose n is the sum of their counts. */
void gemm_pack(void *blob, const struct gemm_kernel *kernel, const struct gemm_rows *parts,
               size_t part_count, size_t k);

/* A packed weight; a view, the blob is the caller's. */
struct gemm_weight {
    const struct gemm_kernel *kernel;
    size_t n, k;
    const void *panels;  /* [panels][words of k][columns of a panel] */
    const float *scales; /* [n], int8 only: W = scale * packed */
    const int32_t *sums; /* [n], int8 only: the sum of a packed row */
};

/* The view of a blob of gemm_packed_size() bytes. */
struct gemm_weight gemm_weight_of(const void *blob, const struct gemm_kernel *kernel, size_t n,
                                  size_t k);

struct gemm_call {
    const void *a; /* [m, k], rows a_stride elements apart */
    size_t a_stride;
    const struct row_scale *a_scales; /* [m], int8 only */
    size_t m;
    void *c; /* [m, n], rows c_stride elements apart */
    size_t c_stride;
    const float *bias; /* [n], or NULL */
    enum gemm_activation activation;
    enum gemm_output output;
};

/* Multiplies the panels [panel_begin, panel_end), that is, writes these columns of
 * C: c = activation(A * W^T + bias), stored as the call says. A and C must not
 * overlap. */
void gemm_multiply(const struct gemm_weight *weight, const struct gemm_call *call,
                   size_t panel_begin, size_t panel_end);

#endif
