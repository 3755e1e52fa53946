/* gemm.c - packing, and the loops around the micro-kernels.
 *
 * C is cut into blocks of rows, a block into panels of columns, a panel's part of a
 * block into tiles. A block's rows of A stay in L2 while the panels of W stream past
 * them. What makes the loop run at the speed of the multipliers is less the blocking
 * than that nothing is waited for: while a tile is multiplied, the kernel asks for
 * the next tile's A, for a share of the next panel of W and for the lines of C about
 * to be written (fp32 96 -> 98 %, int8 93 -> 98 % of peak for long A).
 */
#include "core/kernels/gemm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/isa.h"

enum {
    WORD = 4,          /* bytes */
    LINE_WORDS = 16,   /* words in a cache line */
    BLOCK_ROWS = 192,  /* 96 to 384 measure the same */
    PREFETCH_STEP = 16 /* bytes of the next panel per word of k, at least */
};

const struct gemm_kernel *gemm_kernel_find(unsigned features, enum gemm_precision precision) {
#if defined(__x86_64__)
    switch (precision) {
    case GEMM_FP32:
        if (features & ISA_AVX512) return &gemm_avx512_fp32;
        if (features & ISA_AVX2) return &gemm_avx2_fp32;
        break;
    case GEMM_BF16:
        if (features & ISA_AVX512_BF16) return &gemm_avx512_bf16;
        if (features & ISA_AVX2) return &gemm_avx2_bf16;
        break;
    case GEMM_INT8:
        if (features & ISA_AVX512_VNNI) return &gemm_avx512_vnni;
        if (features & ISA_AVX2) return &gemm_avx2_int8;
        break;
    }
#else
    (void)features;
#endif
    if (precision == GEMM_BF16) return &gemm_generic_bf16;
    return precision == GEMM_INT8 ? &gemm_generic_int8 : &gemm_blas_fp32;
}

enum gemm_precision gemm_kernel_precision(const struct gemm_kernel *kernel) {
    return kernel->precision;
}

const char *gemm_kernel_name(const struct gemm_kernel *kernel) {
    return kernel->name;
}

const char *gemm_kernel_format(const struct gemm_kernel *kernel) {
    return kernel->format;
}

static size_t round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

static size_t words_of(const struct gemm_kernel *kernel, size_t k) {
    return (k + kernel->group - 1) / kernel->group;
}

size_t gemm_row_size(const struct gemm_kernel *kernel, size_t k) {
    return words_of(kernel, k) * kernel->group;
}

size_t gemm_row_stride(const struct gemm_kernel *kernel, size_t k) {
    size_t lines = round_up(words_of(kernel, k), LINE_WORDS) / LINE_WORDS;
    return (lines | 1) * LINE_WORDS * kernel->group; /* an odd count of lines hits every set */
}

size_t gemm_panels(const struct gemm_kernel *kernel, size_t n) {
    return (n + kernel->columns - 1) / kernel->columns;
}

/* Bytes of the panels alone; the tables of an int8 weight follow them. */
static size_t panels_size(const struct gemm_kernel *kernel, size_t n, size_t k) {
    return gemm_panels(kernel, n) * kernel->columns * words_of(kernel, k) * WORD;
}

size_t gemm_packed_size(const struct gemm_kernel *kernel, size_t n, size_t k) {
    const size_t bytes_max = 16; /* per element: a word, and the tables of a weight with k = 1 */
    size_t elements, bytes;
    if (n == 0 || n > SIZE_MAX / 2 || k == 0 || k > GEMM_K_MAX) return 0;
    if (!size_multiply(&elements, n + kernel->columns, k + kernel->group)) return 0;
    if (!size_multiply(&bytes, elements, bytes_max)) return 0;
    size_t size = panels_size(kernel, n, k);
    if (kernel->precision == GEMM_INT8) size += 2 * round_up(n, LINE_WORDS) * WORD;
    return round_up(size, GEMM_ALIGNMENT);
}

struct gemm_weight gemm_weight_of(const void *blob, const struct gemm_kernel *kernel, size_t n,
                                  size_t k) {
    struct gemm_weight weight = {.kernel = kernel, .n = n, .k = k, .panels = blob};
    if (kernel->precision != GEMM_INT8) return weight;
    const char *tables = (const char *)blob + panels_size(kernel, n, k);
    weight.scales = (const float *)(const void *)tables;
    weight.sums = (const int32_t *)(const void *)(tables + round_up(n, LINE_WORDS) * WORD);
    return weight;
}

static void pack_row_f32(uint32_t *out, size_t step, const float *row, size_t k) {
    for (size_t i = 0; i < k; i++) memcpy(out + i * step, row + i, WORD);
}

static void pack_row_bf16(uint32_t *out, size_t step, const float *row, size_t k) {
    for (size_t i = 0; i < k; i += 2) {
        uint32_t low = rows_bf16_of(row[i]);
        uint32_t high = i + 1 < k ? rows_bf16_of(row[i + 1]) : 0;
        out[i / 2 * step] = low | high << 16;
    }
}

/* Symmetric, the largest magnitude of the row at +-max. A row too small for its inverse
 * to be a number is zero. */
static void pack_row_int8(uint32_t *out, size_t step, const float *row, size_t k, int max,
                          float *scale, int32_t *sum) {
    const float least = 1e-30f;
    float largest = 0;
    for (size_t i = 0; i < k; i++) largest = fmaxf(largest, fabsf(row[i]));
    *scale = 0;
    *sum = 0;
    if (largest < least) return;
    *scale = largest / (float)max;
    float inverse = (float)max / largest;
    for (size_t i = 0; i < k; i++) {
        float limited = fminf(fmaxf(row[i] * inverse, (float)-max), (float)max);
        int32_t value = (int32_t)lrintf(limited);
        *sum += value;
        out[i / 4 * step] |= (uint32_t)(uint8_t)value << i % 4 * 8;
    }
}

void gemm_pack(void *blob, const struct gemm_kernel *kernel, const struct gemm_rows *parts,
               size_t part_count, size_t k) {
    size_t columns = kernel->columns, words = words_of(kernel, k), n = 0;
    for (size_t i = 0; i < part_count; i++) n += parts[i].count;
    memset(blob, 0, gemm_packed_size(kernel, n, k));
    float *scales = (float *)(void *)((char *)blob + panels_size(kernel, n, k));
    int32_t *sums = (int32_t *)(void *)(scales + round_up(n, LINE_WORDS));
    size_t part = 0, first = 0; /* the part that `row` is in, and that part's first row */
    for (size_t row = 0; row < n; row++) {
        while (row - first == parts[part].count) first += parts[part++].count;
        const float *source = parts[part].data + (row - first) * parts[part].stride;
        uint32_t *out = (uint32_t *)blob + row / columns * columns * words + row % columns;
        switch (kernel->precision) {
        case GEMM_FP32: pack_row_f32(out, columns, source, k); break;
        case GEMM_BF16: pack_row_bf16(out, columns, source, k); break;
        case GEMM_INT8:
            pack_row_int8(out, columns, source, k, kernel->weight_max, scales + row, sums + row);
            break;
        }
    }
}

/* The rows [begin, end) of C, one panel after the other. */
static void multiply_block(const struct gemm_weight *weight, const struct gemm_call *call,
                           const size_t rows[2], const size_t panels[2]) {
    const struct gemm_kernel *kernel = weight->kernel;
    _Alignas(GEMM_ALIGNMENT) uint32_t sums[GEMM_TILE_WORDS];
    size_t count = rows[1] - rows[0];
    size_t tiles = (count + kernel->tile_rows - 1) / kernel->tile_rows;
    size_t a_stride = call->a_stride * (WORD / kernel->group);
    size_t c_size = call->output == GEMM_STORE_BF16 ? 2 : 4;
    size_t words = words_of(kernel, weight->k), line = kernel->columns * WORD;
    size_t share = (line + tiles - 1) / tiles;
    if (share < PREFETCH_STEP) share = PREFETCH_STEP;
    struct gemm_tile tile = {.a_stride = a_stride, .words = words, .sums = sums};
    tile.sums_stride = kernel->columns;
    tile.c_stride = call->c_stride * c_size;
    tile.next_a_step = kernel->tile_rows * a_stride / words;
    const char *a = call->a;
    for (size_t panel = panels[0]; panel < panels[1]; panel++) {
        tile.b = (const char *)weight->panels + panel * words * line;
        struct gemm_area area = {.column = panel * kernel->columns};
        area.columns = weight->n - area.column;
        if (area.columns > kernel->columns) area.columns = kernel->columns;
        for (size_t i = 0; i < tiles; i++) {
            /* Heights differ by at most one: no lone row wastes a whole pass over B. */
            area.row = rows[0] + count * i / tiles;
            size_t next = rows[0] + count * (i + 1) / tiles;
            area.rows = next - area.row;
            tile.a = a + area.row * a_stride;
            tile.next_a = a + (i + 1 < tiles ? next : rows[0]) * a_stride;
            tile.c = (char *)call->c + area.row * tile.c_stride + area.column * c_size;
            bool more = panel + 1 < panels[1] && i * share < line;
            tile.next_b = (const char *)tile.b + (more ? words * (line + i * share) : 0);
            tile.next_b_step = more ? share : 0;
            kernel->tile(&tile, area.rows);
            kernel->finish(weight, call, &area, sums);
        }
    }
}

void gemm_multiply(const struct gemm_weight *weight, const struct gemm_call *call,
                   size_t panel_begin, size_t panel_end) {
    assert(panel_end <= gemm_panels(weight->kernel, weight->n));
    const size_t panels[2] = {panel_begin, panel_end};
    size_t blocks = (call->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (size_t i = 0; i < blocks; i++) {
        const size_t rows[2] = {call->m * i / blocks, call->m * (i + 1) / blocks};
        multiply_block(weight, call, rows, panels);
    }
}
