/* kernels.c - speed of the kernels, in percent of what the multipliers can do.
 *
 *     build/release/bench/kernels [products|attention|b32|b16|l14]
 *
 * Every figure but the encoder's is the best of several repeats in CPU time of one
 * thread, so that other programs disturb it little; the encoder runs one batch per
 * thread and is measured in real time, and in CPU time for busy machines. Weights are cycled
 * through more memory than the last-level cache holds, as a real forward pass does. CLIPD_CPU caps
 * the instruction sets.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/encoder.h"
#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/kernels/attention.h"
#include "core/kernels/isa.h"
#include "core/kernels/peak.h"

enum {
    WEIGHT_BYTES = 128 << 20,
    ROWS_MAX = 800,
    K_MAX = 3072,
    PAD = 16,
    THREADS_MAX = 64,
    BATCH = 8,
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

static void bench_products(unsigned features) {
    static const size_t rows[] = {1, 8, 50, 400, ROWS_MAX};
    size_t row_bytes = (K_MAX + 2 * PAD) * sizeof(float);
    struct buffers buffers = {.a = memory(ROWS_MAX * row_bytes), .c = memory(ROWS_MAX * row_bytes)};
    buffers.weights = memory(WEIGHT_BYTES);
    buffers.bias = memory(K_MAX * sizeof(float));
    buffers.scales = memory(ROWS_MAX * sizeof(*buffers.scales));
    for (size_t i = 0; i < ROWS_MAX; i++) buffers.scales[i] = (struct row_scale){1e-6f, 100};
    printf("%-24s %5s %14s   %% of peak: qkv, out, up (QuickGELU), down\n", "products", "rows",
           "GFLOP/s, share");
    for (int p = GEMM_FP32; p <= GEMM_INT8; p++) {
        const struct gemm_kernel *kernel = gemm_kernel_find(features, (enum gemm_precision)p);
        double peak = peak_measure(kernel);
        if (peak <= 0) continue;
        printf("%-5s %-18s  peak %6.1f\n", precision_names[p], gemm_kernel_name(kernel),
               peak * 1e-9);
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
            printf("%-24s %5zu %7.1f %5.1f %%   %5.1f %5.1f %5.1f %5.1f\n", "", rows[r],
                   work / seconds * 1e-9, work / seconds / peak * 100, share[0], share[1], share[2],
                   share[3]);
            fflush(stdout);
        }
    }
    free(buffers.a);
    free(buffers.c);
    free(buffers.weights);
    free(buffers.bias);
    free(buffers.scales);
}

static void bench_attention(unsigned features) {
    static const size_t tokens[] = {50, 77, 197, 257, 577}, dims[] = {64, 80};
    enum { STRIDE = 3 * 1280, OUT_STRIDE = 1280 };
    char *qkv = memory((size_t)577 * STRIDE * 4), *out = memory((size_t)577 * OUT_STRIDE * 4);
    printf("attention, one head: %% of peak\n");
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
            printf("%-5s %4zu tokens, head %3zu: %7.1f us  %5.1f %%\n", precision_names[p], count,
                   dim, best * 1e6, 4.0 * (double)(count * count * dim) / best / peak * 100);
            fflush(stdout);
            free(scratch);
        }
    }
    free(qkv);
    free(out);
}

struct runner {
    const struct encoder *encoder;
    struct encoder_space *space;
    size_t core;
    int passes;
    double best, best_cpu; /* seconds of a pass, in real time and in CPU time */
};

static void *run(void *context) {
    struct runner *runner = context;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(runner->core, &cores);
    sched_setaffinity(0, sizeof(cores), &cores);
    for (int i = 0; i < runner->passes; i++) {
        uint64_t begin = clock_now_ns();
        double begin_cpu = peak_thread_seconds();
        encoder_run(runner->encoder, runner->space);
        double seconds = (double)(clock_now_ns() - begin) * 1e-9;
        double cpu = peak_thread_seconds() - begin_cpu;
        /* The first pass only warms up. */
        if (i == 1 || (i > 0 && seconds < runner->best)) runner->best = seconds;
        if (i == 1 || (i > 0 && cpu < runner->best_cpu)) runner->best_cpu = cpu;
    }
    return NULL;
}

static void bench_encoder(const struct encoder_shape *shape, unsigned features) {
    size_t cores = cpu_usable_cores();
    if (cores > THREADS_MAX) cores = THREADS_MAX;
    printf("%s on random weights, a batch of %d per thread, best of repeats\n", shape->name, BATCH);
    for (int p = GEMM_FP32; p <= GEMM_INT8; p++) {
        double peak = peak_measure(gemm_kernel_find(features, (enum gemm_precision)p));
        if (peak <= 0) continue;
        struct encoder *encoder = encoder_create(shape, features, (enum gemm_precision)p);
        /* Some three seconds of work. */
        int passes = 3 + (int)(3 * peak / (BATCH * encoder_operations(shape)));
        for (size_t threads = 1; threads <= cores; threads *= 2) {
            struct runner runners[THREADS_MAX];
            pthread_t handles[THREADS_MAX];
            double rate = 0, rate_cpu = 0;
            for (size_t i = 0; i < threads; i++) {
                runners[i] = (struct runner){.encoder = encoder, .core = i, .passes = passes};
                runners[i].space = encoder_space_create(encoder, BATCH);
                if (pthread_create(handles + i, NULL, run, runners + i)) exit(1);
            }
            for (size_t i = 0; i < threads; i++) {
                pthread_join(handles[i], NULL);
                rate += BATCH / runners[i].best;
                rate_cpu += BATCH / runners[i].best_cpu;
                encoder_space_destroy(runners[i].space);
            }
            double share = encoder_operations(shape) / peak / (double)threads * 100;
            printf("%-5s %2zu threads: %7.1f images/s  %5.1f %% of the full model's peak"
                   " (%5.1f %% in CPU time)\n",
                   precision_names[p], threads, rate, rate * share, rate_cpu * share);
            fflush(stdout);
        }
        encoder_destroy(encoder);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    unsigned features = isa_detect();
    struct error err = ERROR_NONE;
    if (isa_cap(&features, getenv("CLIPD_CPU"), &err)) {
        fprintf(stderr, "CLIPD_CPU: %s\n", err.message);
        return 1;
    }
    if (!*what || !strcmp(what, "products")) bench_products(features);
    if (!*what || !strcmp(what, "attention")) bench_attention(features);
    if (!*what || !strcmp(what, "b32")) bench_encoder(&encoder_b32, features);
    if (!*what || !strcmp(what, "b16")) bench_encoder(&encoder_b16, features);
    if (!*what || !strcmp(what, "l14")) bench_encoder(&encoder_l14, features);
    return 0;
}
