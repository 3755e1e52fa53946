#include "core/kernels/scan.h"

#include <string.h>

#include "core/kernels/isa.h"
#include "core/kernels/rows.h"
#include "core/kernels/scan_kernel.h"

enum {
    CODE_MAX = 127,
    QUERY_MAX = 63, /* 2 * 255 * 63 < 2^15: vpmaddubsw does not saturate */
    BIAS = 128,
    QUERY_ELEMENT = sizeof(float),
};

const struct scan_kernel *scan_kernel_find(unsigned features, enum scan_precision precision) {
#if defined(__x86_64__)
    if (precision == SCAN_INT8 && features & ISA_AVX512_VNNI) return &scan_kernel_avx512_vnni;
    if (features & ISA_AVX512) return &scan_kernels_avx512[precision];
    if (features & ISA_AVX2) return &scan_kernels_avx2[precision];
#else
    (void)features;
#endif
    return &scan_kernels_generic[precision];
}

const char *scan_kernel_name(const struct scan_kernel *kernel) {
    return kernel->name;
}

size_t scan_stride(size_t dim) {
    return (dim + SCAN_STEP - 1) / SCAN_STEP * SCAN_STEP;
}

size_t scan_row_bytes(const struct scan_kernel *kernel, size_t dim) {
    return scan_stride(dim) * kernel->element_bytes;
}

size_t scan_query_bytes(size_t dim) {
    return scan_stride(dim) * QUERY_ELEMENT;
}

/* The largest magnitude. Those of floats are in the order of their bits as integers, of
 * which compilers compare several at once. */
static float largest(const float *x, size_t dim) {
    int32_t most = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= INT32_MAX;
        if (bits > most) most = bits;
    }
    float magnitude;
    memcpy(&magnitude, &most, sizeof(magnitude));
    return magnitude;
}

/* To the nearest integer, ties to even, for small x: what 1.5 * 2^23 added to it leaves in
 * the low bits. A call of lrintf() for each element was half of the time. */
static int8_t rounded(float x) {
    float shifted = x + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof(bits));
    return (int8_t)(bits & 0xff);
}

/* From elements to codes; 0 for a row of nothing but zeros. */
static float code_factor(float most, int code_max) {
    const float smallest = 1e-30f; /* below, the inverse may not be a number */
    return most > smallest ? (float)code_max / most : 0;
}

float scan_encode(const struct scan_kernel *kernel, void *row, const float *x, size_t dim) {
    memset(row, 0, scan_row_bytes(kernel, dim));
    if (kernel->precision == SCAN_FP32) {
        memcpy(row, x, dim * sizeof(*x));
        return 1;
    }
    if (kernel->precision == SCAN_BF16) {
        uint16_t *out = row;
        for (size_t i = 0; i < dim; i++) out[i] = rows_bf16_of(x[i]);
        return 1;
    }
    int8_t *out = row;
    float most = largest(x, dim), factor = code_factor(most, CODE_MAX);
    for (size_t i = 0; i < dim; i++) out[i] = rounded(x[i] * factor);
    return most / (float)CODE_MAX;
}

struct scan_query scan_prepare(const struct scan_kernel *kernel, void *values, const float *x,
                               size_t dim) {
    struct scan_query query = {.values = values, .scale = 1};
    memset(values, 0, scan_query_bytes(dim));
    if (kernel->precision != SCAN_INT8) {
        memcpy(values, x, dim * sizeof(*x));
        return query;
    }
    int8_t *out = values;
    int32_t sum = 0;
    float most = largest(x, dim), factor = code_factor(most, QUERY_MAX);
    for (size_t i = 0; i < dim; i++) {
        out[i] = rounded(x[i] * factor);
        sum += out[i];
    }
    sum *= BIAS;
    memcpy(out + scan_stride(dim), &sum, sizeof(sum));
    query.scale = most / (float)QUERY_MAX;
    return query;
}

/* One tile's sums to scores, all but the scales being done. */
static void store_tile(float *scores, const struct scan_tile *tile, const struct scan_rows *rows,
                       size_t row, size_t count, const float *query_scales, size_t queries) {
    for (size_t i = 0; i < count; i++) {
        float scale = rows->scales ? rows->scales[row + i] : 1;
        for (size_t q = 0; q < queries; q++) {
            scores[q * rows->count + row + i] =
                tile->sums[i * SCAN_TILE + q] * (scale * query_scales[q]);
        }
    }
}

void scan_score(const struct scan_kernel *kernel, float *scores, const struct scan_rows *rows,
                const struct scan_query *queries, size_t queries_count) {
    static const size_t rows_of[SCAN_TILE + 1] = {0, 4, 4, 2, 2};
    float sums[SCAN_TILE * SCAN_TILE], scales[SCAN_TILE];
    struct scan_tile tile = {.sums = sums,
                             .row_bytes = scan_row_bytes(kernel, rows->dim),
                             .stride = scan_stride(rows->dim)};
    for (size_t first = 0; first < queries_count; first += SCAN_TILE) {
        size_t left = queries_count - first, count = left < SCAN_TILE ? left : SCAN_TILE;
        for (size_t q = 0; q < count; q++) {
            tile.query[q] = queries[first + q].values;
            scales[q] = queries[first + q].scale;
        }
        for (size_t row = 0; row < rows->count;) {
            size_t take = rows->count - row < rows_of[count] ? 1 : rows_of[count];
            tile.row = (const char *)rows->codes + row * tile.row_bytes;
            kernel->tile(&tile, take, count);
            store_tile(scores + first * rows->count, &tile, rows, row, take, scales, count);
            row += take;
        }
    }
}

float scan_pair(const struct scan_kernel *kernel, const void *a, const void *b, size_t dim) {
    return kernel->pair(a, b, scan_stride(dim));
}

float scan_dot(const struct scan_kernel *kernel, const float *a, const float *b, size_t dim) {
    if (dim % SCAN_STEP == 0) return kernel->pair(a, b, dim);
    float padded[2][SCAN_DIM_MAX];
    size_t bytes = scan_stride(dim) * sizeof(float);
    memset(padded[0], 0, bytes);
    memset(padded[1], 0, bytes);
    memcpy(padded[0], a, dim * sizeof(*a));
    memcpy(padded[1], b, dim * sizeof(*b));
    return kernel->pair(padded[0], padded[1], scan_stride(dim));
}
