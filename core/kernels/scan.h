/* scan.h - dot products of a few queries with many rows, for the search in memory.
 *
 * Rows are encoded once, in one of three precisions, and padded with zeros to a multiple
 * of SCAN_STEP elements. A call scores several queries against consecutive rows; where
 * the rows come from memory, four queries cost hardly more than one.
 *
 *   int8  a row is round(x * 127 / max|x|) with one scale per row. A query has 63 in the
 *         place of 127: one bit less, and AVX2 takes two thirds of the time. int32 sums,
 *         exact: the same bits in every instruction set.
 *   bf16  a row is rounded to bfloat16, the query stays float. fp32 sums.
 *   fp32  both are float. fp32 sums.
 *
 * A score has the same bits wherever its row stands, at any address, and whichever
 * queries share the call: each is one chain of sums in ascending order per lane, and
 * the lanes are added in one fixed way. Nothing here fails or allocates.
 */
#ifndef CORE_KERNELS_SCAN_H
#define CORE_KERNELS_SCAN_H

#include <stddef.h>
#include <stdint.h>

enum scan_precision { SCAN_INT8, SCAN_BF16, SCAN_FP32 };

enum {
    SCAN_STEP = 64,      /* elements; rows are padded to a multiple */
    SCAN_TILE = 4,       /* rows, and queries, of a tile at most */
    SCAN_DIM_MAX = 4096, /* no int32 sum overflows up to here, by far */
};

struct scan_kernel;

/* The best kernel of these instruction sets (isa.h). Never NULL. */
const struct scan_kernel *scan_kernel_find(unsigned features, enum scan_precision precision);
/* "avx2": the instruction set used. */
const char *scan_kernel_name(const struct scan_kernel *kernel);

/* Elements of a padded row, and bytes of one when encoded. */
size_t scan_stride(size_t dim);
size_t scan_row_bytes(const struct scan_kernel *kernel, size_t dim);
/* Bytes of a prepared query, whatever the precision. */
size_t scan_query_bytes(size_t dim);

/* Encodes x[dim] with its padding and returns the scale of the row: element = scale *
 * encoded. 1 where the precision has none. x must be finite. */
float scan_encode(const struct scan_kernel *kernel, void *row, const float *x, size_t dim);

/* A query as the kernels read it. */
struct scan_query {
    const void *values; /* scan_query_bytes() */
    float scale;
};

/* Fills `values`, which must outlive the query. */
struct scan_query scan_prepare(const struct scan_kernel *kernel, void *values, const float *x,
                               size_t dim);

/* Encoded rows, one after the other. */
struct scan_rows {
    const void *codes;   /* [count][scan_row_bytes()] */
    const float *scales; /* [count]; NULL: all are 1 */
    size_t count, dim;
};

/* scores[q * rows->count + r] = query q . row r */
void scan_score(const struct scan_kernel *kernel, float *scores, const struct scan_rows *rows,
                const struct scan_query *queries, size_t queries_count);

/* The dot product of two encoded rows, without their scales. */
float scan_pair(const struct scan_kernel *kernel, const void *a, const void *b, size_t dim);

/* The same of two plain vectors, of which nothing behind the last element is read: with
 * an fp32 kernel, the bits that scan_score() gives. */
float scan_dot(const struct scan_kernel *kernel, const float *a, const float *b, size_t dim);

#endif
