/* scan_generic.c - the scan in portable C: the definition of correct. */
#include "core/kernels/rows.h"
#include "core/kernels/scan_kernel.h"

/* Eight sums side by side, which compilers turn into vectors of whatever size there is. */
enum { LANES = 8 };

static float add_lanes(const float lanes[LANES]) {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

static float dot_int8(const int8_t *a, const int8_t *b, size_t stride) {
    int32_t sum = 0;
    for (size_t i = 0; i < stride; i++) sum += a[i] * b[i];
    return (float)sum;
}

static float dot_bf16(const uint16_t *a, const float *b, size_t stride) {
    float lanes[LANES] = {0};
    for (size_t i = 0; i < stride; i++) lanes[i % LANES] += rows_f32_of(a[i]) * b[i];
    return add_lanes(lanes);
}

static float dot_fp32(const float *a, const float *b, size_t stride) {
    float lanes[LANES] = {0};
    for (size_t i = 0; i < stride; i += LANES) {
        for (size_t j = 0; j < LANES; j++) lanes[j] += a[i + j] * b[i + j];
    }
    return add_lanes(lanes);
}

static void tile_int8(const struct scan_tile *tile, size_t rows, size_t queries) {
    for (size_t i = 0; i < rows; i++) {
        const void *row = tile->row + i * tile->row_bytes;
        for (size_t q = 0; q < queries; q++) {
            const void *query = tile->query[q];
            tile->sums[i * SCAN_TILE + q] = dot_int8(row, query, tile->stride);
        }
    }
}

static void tile_bf16(const struct scan_tile *tile, size_t rows, size_t queries) {
    for (size_t i = 0; i < rows; i++) {
        const void *row = tile->row + i * tile->row_bytes;
        for (size_t q = 0; q < queries; q++) {
            const void *query = tile->query[q];
            tile->sums[i * SCAN_TILE + q] = dot_bf16(row, query, tile->stride);
        }
    }
}

static void tile_fp32(const struct scan_tile *tile, size_t rows, size_t queries) {
    for (size_t i = 0; i < rows; i++) {
        const void *row = tile->row + i * tile->row_bytes;
        for (size_t q = 0; q < queries; q++) {
            const void *query = tile->query[q];
            tile->sums[i * SCAN_TILE + q] = dot_fp32(row, query, tile->stride);
        }
    }
}

static float pair_int8(const void *a, const void *b, size_t stride) {
    return dot_int8(a, b, stride);
}

static float pair_bf16(const void *a, const void *b, size_t stride) {
    const uint16_t *left = a, *right = b;
    float lanes[LANES] = {0};
    for (size_t i = 0; i < stride; i++)
        lanes[i % LANES] += rows_f32_of(left[i]) * rows_f32_of(right[i]);
    return add_lanes(lanes);
}

static float pair_fp32(const void *a, const void *b, size_t stride) {
    return dot_fp32(a, b, stride);
}

const struct scan_kernel scan_kernels_generic[3] = {
    {"generic", SCAN_INT8, sizeof(int8_t), tile_int8, pair_int8},
    {"generic", SCAN_BF16, sizeof(uint16_t), tile_bf16, pair_bf16},
    {"generic", SCAN_FP32, sizeof(float), tile_fp32, pair_fp32},
};
