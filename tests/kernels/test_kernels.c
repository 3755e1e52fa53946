/* Every entry of the kernel table against its definition in double, at every small size,
 * at shifted addresses, and with NaN around what may be read: a kernel that reads too far
 * gives itself away, and so does one that writes too far. */
#include "core/kernels/kernels.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 67, LARGE = 1027, PAD = 20, SIDE = 19 };
static const size_t memory_floats = LARGE + (size_t)2 * PAD;

static struct kernels kernels;
static unsigned state = 1;

static float uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1;
}

/* Memory of exactly this many floats behind `shift` and before NaN. */
struct row {
    float memory[LARGE + 2 * PAD];
    float *at;
    size_t n;
};

static void fill(struct row *row, size_t n, float scale) {
    for (size_t i = 0; i < memory_floats; i++) row->memory[i] = NAN;
    row->n = n;
    row->at = row->memory + PAD / 2 + n % 4;
    for (size_t i = 0; i < n; i++) row->at[i] = scale * uniform();
}

static void check_untouched(const struct row *row) {
    for (const float *p = row->memory; p < row->at; p++) ck_assert(isnan(*p));
    for (const float *p = row->at + row->n; p < row->memory + memory_floats; p++) {
        ck_assert(isnan(*p));
    }
}

static void check_value(float found, double wanted, double magnitude, size_t n) {
    double allowed = 2e-6 * magnitude + 1e-37;
    ck_assert_msg(fabs((double)found - wanted) <= allowed, "%g instead of %g at n = %zu",
                  (double)found, wanted, n);
}

static size_t size_of(int i) {
    return i <= SMALL ? (size_t)i : LARGE;
}

typedef double activation_fn(double x);

static double quick_gelu(double x) {
    return x / (1 + exp(-1.702 * x));
}

static double gelu_erf(double x) {
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void check_activation(void (*kernel)(float *, size_t), activation_fn *wanted, size_t n) {
    struct row row;
    float in[LARGE];
    fill(&row, n, 12);
    memcpy(in, row.at, n * sizeof(float));
    kernel(row.at, n);
    for (size_t i = 0; i < n; i++)
        check_value(row.at[i], wanted((double)in[i]), fabs((double)in[i]), n);
    check_untouched(&row);
}

START_TEST(activations) {
    check_activation(kernels.quick_gelu, quick_gelu, size_of(_i));
    check_activation(kernels.gelu_erf, gelu_erf, size_of(_i));
    check_activation(kernels.gelu_tanh, gelu_tanh, size_of(_i));
}
END_TEST

/* Neither end of the range becomes NaN. */
START_TEST(activations_far_out) {
    void (*const all[])(float *, size_t) = {kernels.quick_gelu, kernels.gelu_erf,
                                            kernels.gelu_tanh};
    for (size_t i = 0; i < 3; i++) {
        float row[] = {-1e4f, -200, 0, 200, 1e4f};
        all[i](row, 5);
        ck_assert_float_eq(row[0], 0);
        ck_assert_float_eq(row[1], 0);
        ck_assert_float_eq(row[2], 0);
        ck_assert_float_eq(row[3], 200);
        ck_assert_float_eq(row[4], 1e4f);
    }
}
END_TEST

START_TEST(softmax) {
    size_t n = size_of(_i);
    struct row row;
    double exact[LARGE], sum = 0;
    const float scale = 0.125f;
    fill(&row, n, 90);
    for (size_t i = 0; i < n; i++) sum += exact[i] = exp((double)row.at[i] * (double)scale);
    kernels.softmax(row.at, n, scale);
    for (size_t i = 0; i < n; i++) check_value(row.at[i], exact[i] / sum, exact[i] / sum, n);
    check_untouched(&row);
}
END_TEST

START_TEST(softmax_of_large_scores) {
    float row[] = {3e4f, 3e4f, -3e4f};
    kernels.softmax(row, 3, 1);
    ck_assert_float_eq_tol(row[0], 0.5f, 1e-6f);
    ck_assert_float_eq_tol(row[1], 0.5f, 1e-6f);
    ck_assert_float_eq(row[2], 0);
}
END_TEST

START_TEST(layer_norm) {
    size_t n = size_of(_i);
    struct row in, out, gain, bias;
    double mean = 0, variance = 0;
    fill(&in, n, 3);
    fill(&out, n, 1);
    fill(&gain, n, 2);
    fill(&bias, n, 1);
    for (size_t i = 0; i < n; i++) in.at[i] += 5;
    for (size_t i = 0; i < n; i++) mean += (double)in.at[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += pow((double)in.at[i] - mean, 2) / (double)n;
    for (int in_place = 0; in_place <= 1 && n; in_place++) {
        float saved[LARGE];
        memcpy(saved, in.at, n * sizeof(float));
        float *to = in_place ? in.at : out.at;
        kernels.layer_norm(to, in.at, gain.at, bias.at, n, 1e-5f);
        for (size_t i = 0; i < n; i++) {
            double wanted = ((double)saved[i] - mean) / sqrt(variance + 1e-5) * (double)gain.at[i] +
                            (double)bias.at[i];
            check_value(to[i], wanted, 8, n);
        }
        check_untouched(in_place ? &in : &out);
    }
}
END_TEST

START_TEST(add) {
    size_t n = size_of(_i);
    struct row row, more;
    float saved[LARGE];
    fill(&row, n, 1);
    fill(&more, n, 1);
    memcpy(saved, row.at, n * sizeof(float));
    kernels.add(row.at, more.at, n);
    for (size_t i = 0; i < n; i++) ck_assert_float_eq(row.at[i], saved[i] + more.at[i]);
    check_untouched(&row);
}
END_TEST

/* Matrices whose rows are longer than they need be; what lies between must neither be
 * used nor written. */
struct matrix {
    float memory[(SIDE + 1) * (SIDE + 3)];
    size_t rows, columns, stride;
};

static void fill_matrix(struct matrix *matrix, size_t rows, size_t columns) {
    *matrix = (struct matrix){.rows = rows, .columns = columns, .stride = columns + 3};
    for (size_t i = 0; i < sizeof(matrix->memory) / sizeof(float); i++) matrix->memory[i] = NAN;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) matrix->memory[i * matrix->stride + j] = uniform();
    }
}

static double at(const struct matrix *matrix, size_t row, size_t column) {
    return (double)matrix->memory[row * matrix->stride + column];
}

static void check_product(size_t m, size_t n, size_t k, bool transposed) {
    struct matrix a, b, out;
    fill_matrix(&a, m, k);
    fill_matrix(&b, transposed ? n : k, transposed ? k : n);
    fill_matrix(&out, m, n);
    struct product product = {
        .out = out.memory,
        .out_stride = out.stride,
        .a = a.memory,
        .a_stride = a.stride,
        .b = b.memory,
        .b_stride = b.stride,
        .m = m,
        .n = n,
        .k = k,
    };
    if (transposed)
        kernels.multiply_nt(&product);
    else
        kernels.multiply_nn(&product);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0, magnitude = 0;
            for (size_t l = 0; l < k; l++) {
                double term = at(&a, i, l) * (transposed ? at(&b, j, l) : at(&b, l, j));
                sum += term;
                magnitude += fabs(term);
            }
            check_value(out.memory[i * out.stride + j], sum, magnitude, n);
        }
        for (size_t j = n; j < out.stride; j++) ck_assert(isnan(out.memory[i * out.stride + j]));
    }
}

START_TEST(products) {
    for (size_t m = 1; m <= SIDE; m++) {
        for (size_t n = 1; n <= SIDE; n += 2) {
            for (size_t k = 1; k <= SIDE; k += 3) {
                check_product(m, n, k, true);
                check_product(m, n, k, false);
            }
        }
    }
}
END_TEST

/* The same product at other addresses: the same bits. */
START_TEST(products_repeat) {
    const size_t m = 50, n = 96, k = 64, bytes = m * n * sizeof(float);
    float *memory = malloc((m * k + n * k + 16) * sizeof(float) + bytes), *first = malloc(bytes);
    ck_assert(memory && first);
    for (size_t shift = 0; shift < 16; shift += 5) {
        float *a = memory + shift, *b = a + m * k, *out = b + n * k;
        state = 7;
        for (size_t i = 0; i < m * k + n * k; i++) a[i] = uniform();
        kernels.multiply_nt(&(struct product){.out = out,
                                              .out_stride = n,
                                              .a = a,
                                              .a_stride = k,
                                              .b = b,
                                              .b_stride = k,
                                              .m = m,
                                              .n = n,
                                              .k = k});
        if (!shift) memcpy(first, out, bytes);
        ck_assert_mem_eq(first, out, bytes);
    }
    free(first);
    free(memory);
}
END_TEST

int main(void) {
    kernels_init(&kernels, cpu_features());
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create(kernels.name);
    tcase_add_loop_test(tests, activations, 0, SMALL + 2);
    tcase_add_test(tests, activations_far_out);
    tcase_add_loop_test(tests, softmax, 1, SMALL + 2);
    tcase_add_test(tests, softmax_of_large_scores);
    tcase_add_loop_test(tests, layer_norm, 0, SMALL + 2);
    tcase_add_loop_test(tests, add, 0, SMALL + 2);
    tcase_add_test(tests, products);
    tcase_add_test(tests, products_repeat);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
