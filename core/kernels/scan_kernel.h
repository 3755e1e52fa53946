/* scan_kernel.h - what an instruction set brings to scan.c. Internal. */
#ifndef CORE_KERNELS_SCAN_KERNEL_H
#define CORE_KERNELS_SCAN_KERNEL_H

#include <string.h>

#include "core/kernels/scan.h"

struct scan_tile {
    float *sums; /* [rows][queries], rows SCAN_TILE apart */
    const char *row;
    size_t row_bytes;
    const char *query[SCAN_TILE];
    size_t stride; /* elements; a multiple of SCAN_STEP */
};

struct scan_kernel {
    const char *name;
    enum scan_precision precision;
    size_t element_bytes;
    /* The sums of 1..SCAN_TILE queries with 1 row or as many as scan.c says for so many
     * queries: 4, 4, 2, 2. */
    void (*tile)(const struct scan_tile *tile, size_t rows, size_t queries);
    /* [stride] each, encoded. */
    float (*pair)(const void *a, const void *b, size_t stride);
};

/* Behind the codes of an int8 query: what the sums have too much when the rows' codes are
 * read as bytes, 128 higher than they are, because instructions want one unsigned side. */
static inline int32_t scan_query_excess(const char *query, size_t stride) {
    int32_t excess;
    memcpy(&excess, query + stride, sizeof(excess));
    return excess;
}

extern const struct scan_kernel scan_kernels_generic[3], scan_kernels_avx2[3],
    scan_kernels_avx512[3], scan_kernel_avx512_vnni;

#endif
