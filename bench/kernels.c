/* kernels.c - speed of the kernels, in percent of what the multipliers can do.
 *
 *     build/release/bench/kernels [--json] [products|attention]
 *
 * Every figure is the best of several repeats in CPU time of one thread, so that other
 * programs disturb it little; `clipd bench` measures whole models, in real time. Weights are
 * cycled through more memory than the last-level cache holds, as a real forward pass does.
 * CLIPD_CPU caps the instruction sets. With --json one object a line, for bench/run.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/kernels/attention.h"
#include "core/kernels/isa.h"
#include "core/kernels/peak.h"

enum {
    WEIGHT_BYTES = 128 << 20,
    ROWS_MAX = 800,
    K_MAX = 3072,
    PAD = 16,
};

static const char *const precision_names[] = {"fp32", "bf16", "int8"};

/* Uninteresting but normal numbers, whatever the type. */
static void *memory(size_t size) {
    size_t page = (size_t)2 << 20;
    uint32_t *data = aligned_alloc(page, (size + page - 1) / page * page);
    if (!data) {
        perror("aligned_alloc");
        exit(1);
    }
    madvise(data, size, MADV_HUGEPAGE);
    for (size_t i = 0; i < size / 4; i++) data[i] = 0x3c013c00u + (i & 0xff);
    return data;
}

struct product {
    const char *name;
    size_t n, k;
    enum gemm_activation activation;
    bool add;
};

static const struct product products[] = {
    {"qkv", 2304, 768, GEMM_LINEAR, false},
    {"out", 768, 768, GEMM_LINEAR, true},
    {"up", 3072, 768, GEMM_QUICK_GELU, false},
    {"down", 768, 3072, GEMM_LINEAR, true},
};

struct buffers {
    char *a, *c, *weights;
    float *bias;
    struct row_scale *scales;
};

/* Seconds of the best of some calls, each with other weights. */
static double time_product(const struct gemm_kernel *kernel, enum gemm_precision precision,
                           const struct product *product, size_t m, const struct buffers *buffers) {
    size_t size = gemm_packed_size(kernel, product->n, product->k);
    size_t weights = WEIGHT_BYTES / size, repeats = m < 100 ? 80 : 24;
    double best = 1e9;
    struct gemm_call call = {.a = buffers->a, .a_scales = buffers->scales, .m = m};
    call.a_stride = gemm_row_stride(kernel, product->k);
    call.c = buffers->c;
    call.c_stride = product->n + PAD;
    call.bias = buffers->bias;
    call.activation = product->activation;
    call.output = precision == GEMM_BF16 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
    if (product->add) call.output = GEMM_ADD_F32;
    for (size_t i = 0; i < repeats; i++) {
        struct gemm_weight weight =
            gemm_weight_of(buffers->weights + i % weights * size, kernel, product->n, product->k);
        double begin = peak_thread_seconds();
        gemm_multiply(&weight, &call, 0, gemm_panels(kernel, product->n));
        double seconds = peak_thread_seconds() - begin;
        if (seconds < best) best = seconds;
    }
    return best;
}

/* One figure; `detail` is for people only. */
static void report(bool json, const char *name, double rate, double peak, const char *detail) {
    if (json)
        printf("{\"name\": \"%s\", \"gflops\": %.3f, \"peak_gflops\": %.3f}\n", name, rate * 1e-9,
               peak * 1e-9);
    else
        printf("%-40s %7.1f of %6.1f GFLOP/s, %5.1f %%%s\n", name, rate * 1e-9, peak * 1e-9,
               rate / peak * 100, detail);
    fflush(stdout);
}

static void bench_products(unsigned features, bool json) {
    static const size_t rows[] = {1, 8, 50, 400, ROWS_MAX};
    size_t row_bytes = (K_MAX + 2 * PAD) * sizeof(float);
    struct buffers buffers = {.a = memory(ROWS_MAX * row_bytes), .c = memory(ROWS_MAX * row_bytes)};
    buffers.weights = memory(WEIGHT_BYTES);
    buffers.bias = memory(K_MAX * sizeof(float));
    buffers.scales = memory(ROWS_MAX * sizeof(*buffers.scales));
    for (size_t i = 0; i < ROWS_MAX; i++) buffers.scales[i] = (struct row_scale){1e-6f, 100};
    for (int p = GEMM_FP32; p <= GEMM_INT8; p++) {
        const struct gemm_kernel *kernel = gemm_kernel_find(features, (enum gemm_precision)p);
        double peak = peak_measure(kernel);
        if (peak <= 0) continue;
        for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
            double seconds = 0, work = 0, share[4];
            for (size_t i = 0; i < 4; i++) {
                double best =
                    time_product(kernel, (enum gemm_precision)p, products + i, rows[r], &buffers);
                double operations = 2.0 * (double)(rows[r] * products[i].n * products[i].k);
                share[i] = operations / best / peak * 100;
                seconds += best;
                work += operations;
            }
            char name[64], detail[64];
            snprintf(name, sizeof(name), "products %s %s, %zu rows", precision_names[p],
                     gemm_kernel_name(kernel), rows[r]);
            snprintf(detail, sizeof(detail), " (qkv %.1f, out %.1f, up %.1f, down %.1f)", share[0],
                     share[1], share[2], share[3]);
            report(json, name, work / seconds, peak, detail);
        }
    }
    free(buffers.a);
    free(buffers.c);
    free(buffers.weights);
    free(buffers.bias);
    free(buffers.scales);
}

static void bench_attention(unsigned features, bool json) {
    static const size_t tokens[] = {50, 77, 197, 257, 577}, dims[] = {64, 80};
    enum { STRIDE = 3 * 1280, OUT_STRIDE = 1280 };
    char *qkv = memory((size_t)577 * STRIDE * 4), *out = memory((size_t)577 * OUT_STRIDE * 4);
    for (int p = GEMM_FP32; p <= GEMM_BF16; p++) {
        double peak = peak_measure(gemm_kernel_find(features, (enum gemm_precision)p));
        if (peak <= 0) continue;
        const struct attention_kernel *kernel =
            attention_kernel_find(features, (enum gemm_precision)p);
        for (size_t i = 0; i < 10; i++) {
            size_t count = tokens[i / 2], dim = dims[i % 2], size = p == GEMM_BF16 ? 2 : 4;
            struct attention_call call = {.q = qkv, .k = qkv + 1280 * size, .v = qkv + 2560 * size};
            call.stride = STRIDE;
            call.tokens = call.query_end = count;
            call.head_dim = dim;
            call.scale = 0.1f;
            call.out = out;
            call.out_stride = OUT_STRIDE;
            call.output = p == GEMM_BF16 ? GEMM_STORE_BF16 : GEMM_STORE_F32;
            void *scratch = memory(attention_scratch_size(kernel, count, dim));
            double best = 1e9;
            for (int repeat = 0; repeat < 60; repeat++) {
                double begin = peak_thread_seconds();
                for (int j = 0; j < 8; j++) attention_run(kernel, &call, scratch);
                double seconds = (peak_thread_seconds() - begin) / 8;
                if (seconds < best) best = seconds;
            }
            char name[64];
            snprintf(name, sizeof(name), "attention %s, %zu tokens, head %zu", precision_names[p],
                     count, dim);
            report(json, name, 4.0 * (double)(count * count * dim) / best, peak, "");
            free(scratch);
        }
    }
    free(qkv);
    free(out);
}

int main(int argc, char **argv) {
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    const char *what = argc > 1 + json ? argv[1 + json] : "";
    unsigned features = isa_detect();
    struct error err = ERROR_NONE;
    if (isa_cap(&features, getenv("CLIPD_CPU"), &err)) {
        fprintf(stderr, "CLIPD_CPU: %s\n", err.message);
        return 1;
    }
    if (!*what || !strcmp(what, "products")) bench_products(features, json);
    if (!*what || !strcmp(what, "attention")) bench_attention(features, json);
    return 0;
}
