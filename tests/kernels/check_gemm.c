/* check_gemm.c - the matrix products of every instruction set and precision against
 * sums in double precision of the same rounded inputs, and against themselves: a row's
 * bits must not depend on how many rows there are, on its place or on the panels asked
 * for. Behind every row of A and C lies NaN. Of each of millions of elements only what is
 * wrong is told to Check, which keeps account of every ck_assert() in a file.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { GAP = 5 }; /* elements between rows, all NaN */

/* A product with everything it needs, and what should come out. */
struct sample {
    const struct gemm_kernel *kernel;
    size_t m, n, k;
    float *source; /* [n, k] */
    void *blob;
    struct gemm_weight weight;
    void *a;
    struct row_scale *scales;
    float *bias;
    double *expected, *magnitude; /* [m, n]: A * W^T, and the same of absolute values */
};

static void pack(void *blob, const struct gemm_kernel *kernel, const float *source, size_t n,
                 size_t k) {
    gemm_pack(blob, kernel, &(struct gemm_rows){source, k, n}, 1, k);
}

static size_t element_size(const struct gemm_kernel *kernel) {
    return 4 / kernel->group;
}

static size_t stride_of(const struct sample *sample) {
    /* Rows start at odd addresses, but for fp32 not within a float. */
    return gemm_row_size(sample->kernel, sample->k) + GAP;
}

/* An element of A as the kernel sees it. */
static double a_value(const struct sample *sample, size_t row, size_t i) {
    size_t at = row * stride_of(sample) + i;
    switch (sample->kernel->precision) {
    case GEMM_FP32: return ((const float *)sample->a)[at];
    case GEMM_BF16: return rows_f32_of(((const uint16_t *)sample->a)[at]);
    case GEMM_INT8: break;
    }
    const struct row_scale *scale = sample->scales + row;
    return (double)scale->scale * (((const uint8_t *)sample->a)[at] - scale->zero);
}

/* An element of W as it is after packing; `largest` is that of its row. */
static double w_value(const struct sample *sample, float value, float largest) {
    int max = sample->kernel->weight_max;
    switch (sample->kernel->precision) {
    case GEMM_FP32: return value;
    case GEMM_BF16: return rows_f32_of(rows_bf16_of(value));
    case GEMM_INT8: break;
    }
    if (largest == 0) return 0;
    return (double)(largest / (float)max) * (double)lrintf(value * ((float)max / largest));
}

static void fill_a(struct sample *sample, uint32_t *state) {
    size_t size = gemm_row_size(sample->kernel, sample->k);
    for (size_t row = 0; row < sample->m; row++) {
        float *values = malloc((size + 1) * sizeof(*values));
        for (size_t i = 0; i < size; i++) values[i] = random_unit(state);
        size_t at = row * stride_of(sample);
        switch (sample->kernel->precision) {
        case GEMM_FP32: memcpy((float *)sample->a + at, values, size * sizeof(*values)); break;
        case GEMM_BF16:
            row_kernels_generic.to_bf16((uint16_t *)sample->a + at, values, size);
            break;
        case GEMM_INT8:
            sample->scales[row] =
                row_kernels_generic.quantize((uint8_t *)sample->a + at, values, size);
            break;
        }
        free(values);
    }
}

static void expect(struct sample *sample) {
    size_t k = sample->k;
    double *a = malloc((sample->m * k + k + 1) * sizeof(*a)), *w = a + sample->m * k;
    for (size_t i = 0; i < sample->m * k; i++) a[i] = a_value(sample, i / k, i % k);
    for (size_t column = 0; column < sample->n; column++) {
        const float *source = sample->source + column * k;
        float largest = 0;
        for (size_t i = 0; i < k; i++) largest = fmaxf(largest, fabsf(source[i]));
        for (size_t i = 0; i < k; i++) w[i] = w_value(sample, source[i], largest);
        for (size_t row = 0; row < sample->m; row++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < k; i++) {
                sum += a[row * k + i] * w[i];
                magnitude += fabs(a[row * k + i] * w[i]);
            }
            sample->expected[row * sample->n + column] = sum;
            sample->magnitude[row * sample->n + column] = magnitude;
        }
    }
    free(a);
}

static struct sample sample_create(const struct gemm_kernel *kernel, size_t m, size_t n, size_t k) {
    struct sample sample = {.kernel = kernel, .m = m, .n = n, .k = k};
    uint32_t state = (uint32_t)(m * 10007 + n * 101 + k);
    sample.source = malloc(n * k * sizeof(float));
    for (size_t i = 0; i < n * k; i++) sample.source[i] = random_unit(&state);
    size_t size = gemm_packed_size(kernel, n, k);
    ck_assert(size > 0 && size % GEMM_ALIGNMENT == 0);
    sample.blob = poison_alloc(size);
    pack(sample.blob, kernel, sample.source, n, k);
    sample.weight = gemm_weight_of(sample.blob, kernel, n, k);
    /* The last row ends with its last element: behind it is nothing. */
    size_t a_size = m ? m * stride_of(&sample) - GAP : 0;
    sample.a = poison_alloc(a_size * element_size(kernel));
    sample.scales = malloc((m + 1) * sizeof(*sample.scales));
    fill_a(&sample, &state);
    sample.bias = poison_alloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++) sample.bias[i] = random_unit(&state);
    sample.expected = malloc((m * n + 1) * sizeof(double));
    sample.magnitude = malloc((m * n + 1) * sizeof(double));
    return sample;
}

static void sample_free(struct sample *sample) {
    free(sample->source);
    poison_free(sample->blob);
    poison_free(sample->a);
    free(sample->scales);
    poison_free(sample->bias);
    free(sample->expected);
    free(sample->magnitude);
}

static struct gemm_call call_of(const struct sample *sample, void *c, enum gemm_output output) {
    return (struct gemm_call){.a = sample->a,
                              .a_stride = stride_of(sample),
                              .a_scales = sample->scales,
                              .m = sample->m,
                              .c = c,
                              .c_stride = sample->n + GAP,
                              .output = output};
}

static void run(const struct sample *sample, const struct gemm_call *call) {
    gemm_multiply(&sample->weight, call, 0, gemm_panels(sample->kernel, sample->n));
}

/* The result is right, and what lies between the rows of C is untouched. */
static void check_size(const struct gemm_kernel *kernel, size_t m, size_t n, size_t k) {
    struct sample sample = sample_create(kernel, m, n, k);
    expect(&sample);
    size_t bytes = m * (n + GAP) * sizeof(float);
    float *c = poison_alloc(bytes);
    struct gemm_call call = call_of(&sample, c, GEMM_STORE_F32);
    run(&sample, &call);
    for (size_t row = 0; row < m; row++) {
        for (size_t column = 0; column < n + GAP; column++) {
            double value = c[row * (n + GAP) + column];
            if (column >= n) {
                if (!isnan(value))
                    ck_abort_msg("%s: m %zu n %zu k %zu wrote behind row %zu", kernel->format, m, n,
                                 k, row);
                continue;
            }
            double wanted = sample.expected[row * n + column];
            double tolerance = 1e-6 * sample.magnitude[row * n + column] + 1e-30;
            if (!(fabs(value - wanted) <= tolerance))
                ck_abort_msg("%s %s: m %zu n %zu k %zu, [%zu, %zu] is %.9g, not %.9g", kernel->name,
                             kernel->format, m, n, k, row, column, value, wanted);
        }
    }
    poison_free(c);
    sample_free(&sample);
}

START_TEST(every_size) {
    static const size_t ns[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100};
    static const size_t ks[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33, 66, 131};
    const struct gemm_kernel *kernels[KERNELS_MAX];
    size_t count = kernel_list_all(kernels);
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m <= 26; m++) {
            for (size_t j = 0; j < 15; j++) {
                check_size(kernels[i], m, ns[(j + m) % 15], ks[j]);
                check_size(kernels[i], m, ns[j], ks[m % 15]);
            }
        }
        check_size(kernels[i], 391, 40, 768); /* three blocks of rows */
        check_size(kernels[i], 3, 65, 3072);
    }
}
END_TEST

/* int8 at its limits: the largest bytes against the largest weights, and a long k,
 * where a saturating or overflowing sum would show. */
START_TEST(int8_extremes) {
    const struct gemm_kernel *kernels[KERNEL_SETS];
    size_t count = kernel_list(kernels, GEMM_INT8);
    enum { K = GEMM_K_MAX, N = 2 };
    float *source = malloc(sizeof(float) * N * K), c[N];
    uint8_t *a = malloc(K);
    memset(a, 255, K);
    for (size_t i = 0; i < (size_t)K; i++) {
        source[i] = 1;
        source[K + i] = -1;
    }
    for (size_t i = 0; i < count; i++) {
        for (int zero = 0; zero <= 255; zero += 255) {
            struct row_scale scale = {.scale = 1, .zero = zero};
            void *blob = poison_alloc(gemm_packed_size(kernels[i], N, K));
            pack(blob, kernels[i], source, N, K);
            struct gemm_weight weight = gemm_weight_of(blob, kernels[i], N, K);
            struct gemm_call call = {.a = a, .a_stride = K, .a_scales = &scale, .m = 1, .c = c};
            call.c_stride = N;
            gemm_multiply(&weight, &call, 0, 1);
            double wanted = (double)(255 - zero) * K;
            ck_assert_msg(fabs(c[0] - wanted) <= 1e-6 * wanted, "%s: %g", kernels[i]->format,
                          (double)c[0]);
            ck_assert(c[1] == -c[0]);
            poison_free(blob);
        }
    }
    free(source);
    free(a);
}
END_TEST

static double activated(double x, enum gemm_activation activation) {
    switch (activation) {
    case GEMM_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case GEMM_GELU_ERF: return x * 0.5 * erfc(-x * M_SQRT1_2);
    case GEMM_GELU_TANH: return x / (1 + exp(-2 * sqrt(M_2_PI) * (x + 0.044715 * x * x * x)));
    case GEMM_RELU: return fmax(x, 0);
    case GEMM_LINEAR: break;
    }
    return x;
}

/* Bias, every activation and every way to store, for full and partial panels. */
static void check_finish(const struct gemm_kernel *kernel, size_t n) {
    struct sample sample = sample_create(kernel, 11, n, 12);
    expect(&sample);
    size_t count = sample.m * (n + GAP);
    for (int i = 0; i < 5 * 4 * 2; i++) {
        struct gemm_call call = call_of(&sample, NULL, (enum gemm_output)(i / 5 % 4));
        call.activation = (enum gemm_activation)(i % 5);
        call.bias = i / 20 ? sample.bias : NULL;
        bool bf16 = call.output == GEMM_STORE_BF16;
        float *before = poison_alloc(count * sizeof(float));
        for (size_t j = 0; j < count; j++) {
            if (j % (n + GAP) < n && !bf16) before[j] = (float)(j % 7) - 3;
        }
        float *c = poison_alloc(count * sizeof(float));
        memcpy(c, before, count * sizeof(float));
        call.c = c;
        run(&sample, &call);
        for (size_t j = 0; j < count; j++) {
            size_t row = j / (n + GAP), column = j % (n + GAP);
            double value = bf16 ? rows_f32_of(((uint16_t *)(void *)c)[j]) : c[j];
            if (column >= n) {
                if (!isnan(value)) ck_abort_msg("wrote behind row %zu", row);
                continue;
            }
            double sum = sample.expected[row * n + column],
                   bias = call.bias ? call.bias[column] : 0;
            double wanted = activated(sum + bias, call.activation);
            if (call.output == GEMM_ADD_F32 || call.output == GEMM_ADD_RELU_F32)
                wanted += before[j];
            if (call.output == GEMM_ADD_RELU_F32) wanted = fmax(wanted, 0);
            double tolerance = 2e-6 * (sample.magnitude[row * n + column] + fabs(bias) + 7);
            if (bf16) tolerance += fabs(wanted) / 256;
            if (!(fabs(value - wanted) <= tolerance))
                ck_abort_msg("%s %s: case %d n %zu: %g, not %g", kernel->name, kernel->format, i, n,
                             value, wanted);
        }
        poison_free(before);
        poison_free(c);
    }
    sample_free(&sample);
}

START_TEST(every_finish) {
    const struct gemm_kernel *kernels[KERNELS_MAX];
    size_t count = kernel_list_all(kernels);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 1; n <= 70; n++) check_finish(kernels[i], n);
    }
}
END_TEST

/* Runs `m` rows from `first` on, panels [begin, end), and compares with the whole. */
static void check_part(const struct sample *sample, const float *whole, size_t first, size_t m,
                       const size_t panels[2]) {
    size_t stride = sample->n + GAP, columns = sample->kernel->columns;
    float *c = poison_alloc(m * stride * sizeof(float));
    struct gemm_call call = call_of(sample, c, GEMM_STORE_F32);
    call.a = (const char *)sample->a + first * stride_of(sample) * element_size(sample->kernel);
    call.a_scales = sample->scales + first;
    call.m = m;
    call.bias = sample->bias;
    call.activation = GEMM_GELU_ERF;
    gemm_multiply(&sample->weight, &call, panels[0], panels[1]);
    size_t begin = panels[0] * columns, end = panels[1] * columns;
    if (end > sample->n) end = sample->n;
    for (size_t row = 0; row < m; row++) {
        const float *one = c + row * stride, *other = whole + (first + row) * stride;
        for (size_t i = 0; i < sample->n; i++) {
            if (i < begin || i >= end) {
                if (!isnan(one[i])) ck_abort_msg("wrote outside of the panels, [%zu, %zu]", row, i);
            } else if (!same_bits(one + i, other + i, sizeof(*one))) {
                ck_abort_msg("%s: rows %zu at %zu: [%zu, %zu] differs", sample->kernel->format, m,
                             first, row, i);
            }
        }
    }
    poison_free(c);
}

START_TEST(bits_do_not_depend_on_the_batch) {
    enum { M = 203, N = 90, K = 301 };
    const struct gemm_kernel *kernels[KERNELS_MAX];
    size_t count = kernel_list_all(kernels);
    for (size_t i = 0; i < count; i++) {
        struct sample sample = sample_create(kernels[i], M, N, K);
        float *whole = poison_alloc((size_t)M * (N + GAP) * sizeof(float));
        struct gemm_call call = call_of(&sample, whole, GEMM_STORE_F32);
        call.bias = sample.bias;
        call.activation = GEMM_GELU_ERF;
        run(&sample, &call);
        const size_t all[2] = {0, gemm_panels(kernels[i], N)};
        for (size_t row = 0; row < M; row++) check_part(&sample, whole, row, 1, all);
        for (size_t m = 1; m <= 30; m++) check_part(&sample, whole, 7 * m % 100, m, all);
        for (size_t panel = 0; panel < all[1]; panel++) {
            check_part(&sample, whole, 3, 50, (const size_t[2]){panel, panel + 1});
            check_part(&sample, whole, 0, M, (const size_t[2]){panel, all[1]});
        }
        poison_free(whole);
        sample_free(&sample);
    }
}
END_TEST

/* Over their whole range: within 1e-6 of libm in double precision, relative down to
 * results of 1e-3. (Below, the rounding of the exponent's argument shows.) */
START_TEST(activations_are_accurate) {
    enum { HALF = 100000, COUNT = 2 * HALF + 1 };
    const struct gemm_kernel *kernels[KERNEL_SETS];
    size_t count = kernel_list(kernels, GEMM_FP32);
    float *x = malloc(COUNT * sizeof(*x)), *y = malloc(COUNT * sizeof(*y)), one = 1;
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i - HALF) * 2.4e-4f; /* +-24 */
    for (size_t i = 0; i < count; i++) {
        void *blob = poison_alloc(gemm_packed_size(kernels[i], 1, 1));
        pack(blob, kernels[i], &one, 1, 1);
        struct gemm_weight weight = gemm_weight_of(blob, kernels[i], 1, 1);
        for (int activation = GEMM_QUICK_GELU; activation <= GEMM_RELU; activation++) {
            struct gemm_call call = {.a = x, .a_stride = 1, .m = COUNT, .c = y, .c_stride = 1};
            call.activation = (enum gemm_activation)activation;
            gemm_multiply(&weight, &call, 0, 1);
            double worst = 0, at = 0;
            for (int j = 0; j < COUNT; j++) {
                double wanted = activated(x[j], call.activation);
                double relative = fabs(y[j] - wanted) / fmax(fabs(wanted), 1e-3);
                if (relative > worst) at = x[j];
                if (relative > worst) worst = relative;
            }
            if (getenv("VERBOSE")) {
                printf("%s activation %d: %.2e at %g\n", kernels[i]->name, activation, worst, at);
            }
            ck_assert_msg(worst <= 1e-6, "%s activation %d: error %g at %g", kernels[i]->name,
                          activation, worst, at);
        }
        poison_free(blob);
    }
    free(x);
    free(y);
}
END_TEST

START_TEST(activations_of_odd_numbers) {
    const struct gemm_kernel *kernels[KERNEL_SETS];
    size_t count = kernel_list(kernels, GEMM_FP32);
    const float x[6] = {NAN, INFINITY, 3e38f, -3e38f, 0.0f, 1e-38f}, one = 1;
    for (size_t i = 0; i < count; i++) {
        _Alignas(64) char blob[1024];
        ck_assert_uint_le(gemm_packed_size(kernels[i], 1, 1), sizeof(blob));
        pack(blob, kernels[i], &one, 1, 1);
        struct gemm_weight weight = gemm_weight_of(blob, kernels[i], 1, 1);
        for (int activation = GEMM_LINEAR; activation <= GEMM_RELU; activation++) {
            float y[6];
            struct gemm_call call = {.a = x, .a_stride = 1, .m = 6, .c = y, .c_stride = 1};
            call.activation = (enum gemm_activation)activation;
            gemm_multiply(&weight, &call, 0, 1);
            ck_assert(isnan(y[0]) && y[1] == INFINITY && y[2] == 3e38f);
            ck_assert_msg(activation == GEMM_LINEAR || fabsf(y[3]) < 1e2f, "%s %d: %g",
                          kernels[i]->name, activation, (double)y[3]);
            ck_assert(y[4] == 0 && y[5] <= 1e-38f);
        }
    }
}
END_TEST

/* A blob works at any address; its layout is what the format's name says. */
START_TEST(blob_is_position_independent) {
    const struct gemm_kernel *kernels[KERNELS_MAX];
    size_t count = kernel_list_all(kernels);
    for (size_t i = 0; i < count; i++) {
        struct sample sample = sample_create(kernels[i], 5, 37, 19);
        size_t size = gemm_packed_size(kernels[i], 37, 19), c_size = (size_t)5 * (37 + GAP) * 4;
        float *c = poison_alloc(c_size), *again = poison_alloc(c_size);
        struct gemm_call call = call_of(&sample, c, GEMM_STORE_F32);
        run(&sample, &call);
        void *copy = poison_alloc(size);
        memcpy(copy, sample.blob, size);
        memset(sample.blob, 0, size);
        sample.weight = gemm_weight_of(copy, kernels[i], 37, 19);
        call.c = again;
        run(&sample, &call);
        ck_assert(same_bits(c, again, c_size));
        for (size_t j = 0; j < count; j++) {
            if (strcmp(kernels[i]->format, kernels[j]->format) != 0) continue;
            pack(sample.blob, kernels[j], sample.source, 37, 19);
            ck_assert(same_bits(sample.blob, copy, size));
        }
        poison_free(copy);
        poison_free(c);
        poison_free(again);
        sample_free(&sample);
    }
}
END_TEST

/* Parts with strides of their own, an empty one among them, pack as one matrix does. */
START_TEST(parts_are_joined) {
    enum { N = 45, K = 9, STRIDE = 2 * K };
    float joined[N * K], apart[N * STRIDE];
    uint32_t state = 5;
    for (size_t i = 0; i < (size_t)N * STRIDE; i++) apart[i] = NAN;
    for (size_t i = 0; i < (size_t)N * K; i++) {
        joined[i] = apart[i / K * STRIDE + i % K] = random_unit(&state);
    }
    for (int p = GEMM_FP32; p <= GEMM_INT8; p++) {
        const struct gemm_kernel *kernel = gemm_kernel_find(0, (enum gemm_precision)p);
        size_t size = gemm_packed_size(kernel, N, K);
        void *one = poison_alloc(size), *other = poison_alloc(size);
        const struct gemm_rows parts[4] = {{apart, STRIDE, 20},
                                           {NULL, 0, 0},
                                           {apart + (size_t)20 * STRIDE, STRIDE, 1},
                                           {joined + (size_t)21 * K, K, 24}};
        pack(one, kernel, joined, N, K);
        gemm_pack(other, kernel, parts, 4, K);
        ck_assert(same_bits(one, other, size));
        poison_free(one);
        poison_free(other);
    }
}
END_TEST

START_TEST(sizes_have_limits) {
    const struct gemm_kernel *kernel = gemm_kernel_find(kernel_set(KERNEL_SETS - 1), GEMM_INT8);
    ck_assert(gemm_packed_size(kernel, 0, 8) == 0);
    ck_assert(gemm_packed_size(kernel, 8, 0) == 0);
    ck_assert(gemm_packed_size(kernel, 8, GEMM_K_MAX) > 0);
    ck_assert(gemm_packed_size(kernel, 8, GEMM_K_MAX + 1) == 0);
    ck_assert(gemm_packed_size(kernel, SIZE_MAX / 64, 64) == 0);
    ck_assert(gemm_packed_size(kernel, SIZE_MAX, 1) == 0);
    ck_assert(gemm_row_size(kernel, 9) == 12);
    ck_assert(gemm_row_stride(kernel, 768) >= 768 && gemm_row_stride(kernel, 768) % 64 == 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("gemm");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, every_size);
    tcase_add_test(tests, int8_extremes);
    tcase_add_test(tests, every_finish);
    tcase_add_test(tests, bits_do_not_depend_on_the_batch);
    tcase_add_test(tests, activations_are_accurate);
    tcase_add_test(tests, activations_of_odd_numbers);
    tcase_add_test(tests, blob_is_position_independent);
    tcase_add_test(tests, parts_are_joined);
    tcase_add_test(tests, sizes_have_limits);
    return program_run("gemm", tests, CK_NOFORK);
}
