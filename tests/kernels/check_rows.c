/* check_rows.c - the row kernels of every instruction set against portable C: every
 * size up to several vectors, at odd addresses, with nothing behind the last element. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/rows.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { SMALL = 70 };

static const size_t large[] = {255, 768, 1031};

/* 0..SMALL, then the large ones; SIZES in all. */
enum { SIZES = SMALL + 1 + sizeof(large) / sizeof(large[0]) };

static size_t size_of(size_t index) {
    return index <= SMALL ? index : large[index - SMALL - 1];
}

static float *random_row(size_t n, float scale, uint32_t *state) {
    float *row = poison_alloc(n * sizeof(*row));
    for (size_t i = 0; i < n; i++) row[i] = random_unit(state) * scale;
    return row;
}

static void check_layer_norm(const struct row_kernels *kernels, size_t n) {
    uint32_t state = (uint32_t)n;
    float *x = random_row(n, 3, &state), *gain = random_row(n, 1, &state);
    float *bias = random_row(n, 1, &state), *out = random_row(n + 1, 9, &state);
    out[n] = 12345;
    kernels->layer_norm(out, x, gain, bias, n, 1e-5f);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(variance / (double)n + 1e-5);
    for (size_t i = 0; i < n; i++) {
        double expected = (x[i] - mean) * scale * gain[i] + bias[i];
        double magnitude = (fabs((double)x[i]) + fabs(mean)) * scale + fabs((double)bias[i]);
        ck_assert_msg(fabs(out[i] - expected) <= 2e-6 * magnitude, "%s: n %zu, element %zu: %g, %g",
                      kernels->name, n, i, (double)out[i], expected);
    }
    ck_assert(out[n] == 12345);
    kernels->layer_norm(x, x, gain, bias, n, 1e-5f);
    ck_assert(same_bits(x, out, n * sizeof(*x))); /* in place, the same bits */
    poison_free(x);
    poison_free(gain);
    poison_free(bias);
    poison_free(out);
}

static void check_to_bf16(const struct row_kernels *kernels, size_t n) {
    uint32_t state = (uint32_t)n;
    float *x = random_row(n, 100, &state);
    uint16_t *out = poison_alloc((n + 1) * sizeof(*out));
    kernels->to_bf16(out, x, n);
    for (size_t i = 0; i < n; i++) ck_assert_uint_eq(out[i], rows_bf16_of(x[i]));
    ck_assert_uint_eq(out[n], 0xffff);
    poison_free(x);
    poison_free(out);
}

static void check_quantize(const struct row_kernels *kernels, size_t n) {
    uint32_t state = (uint32_t)n + 7;
    float *x = random_row(n, 2, &state);
    for (size_t i = 0; i < n && n % 3 == 0; i++) x[i] = fabsf(x[i]); /* one-sided rows, too */
    uint8_t *out = poison_alloc(n + 1), *expected = poison_alloc(n + 1);
    struct row_scale row = kernels->quantize(out, x, n);
    struct row_scale wanted = row_kernels_generic.quantize(expected, x, n);
    ck_assert(row.scale == wanted.scale && row.zero == wanted.zero);
    ck_assert_msg(same_bits(out, expected, n + 1), "%s: n %zu", kernels->name, n);
    for (size_t i = 0; i < n; i++) {
        float back = row.scale * (float)(out[i] - row.zero);
        ck_assert(fabsf(back - x[i]) <= 0.501f * row.scale);
    }
    poison_free(x);
    poison_free(out);
    poison_free(expected);
}

static void check_mean4(const struct row_kernels *kernels, size_t n) {
    uint32_t state = (uint32_t)n + 3;
    float *rows[4], *out = poison_alloc((n + 1) * sizeof(*out));
    for (size_t i = 0; i < 4; i++) rows[i] = random_row(n, 2, &state);
    const float *const from[4] = {rows[0], rows[1], rows[2], rows[3]};
    kernels->mean4(out, from, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert(out[i] == ((rows[0][i] + rows[1][i]) + (rows[2][i] + rows[3][i])) * 0.25f);
    }
    ck_assert(isnan(out[n]));
    for (size_t i = 0; i < 4; i++) poison_free(rows[i]);
    poison_free(out);
}

static void check_gelu(const struct row_kernels *kernels, size_t n) {
    uint32_t state = (uint32_t)n + 4;
    float *x = random_row(n, 2, &state), *gate = random_row(n, 2, &state);
    for (int gated = 0; gated < 2; gated++) {
        float *out = poison_alloc((n + 1) * sizeof(*out));
        memcpy(out, x, n * sizeof(*out));
        kernels->gelu(out, gated ? gate : NULL, n);
        for (size_t i = 0; i < n; i++) {
            double value = gated ? (double)(x[i] * gate[i]) : (double)x[i];
            ck_assert_double_eq_tol(out[i], value * 0.5 * erfc(-value / sqrt(2)), 1e-6);
        }
        ck_assert(isnan(out[n]));
        poison_free(out);
    }
    poison_free(x);
    poison_free(gate);
}

START_TEST(every_size) {
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct row_kernels *kernels = row_kernels_find(kernel_set(set));
        for (size_t i = 0; i < SIZES; i++) {
            if (size_of(i) > 0) check_layer_norm(kernels, size_of(i));
            check_to_bf16(kernels, size_of(i));
            check_quantize(kernels, size_of(i));
            check_mean4(kernels, size_of(i));
            check_gelu(kernels, size_of(i));
        }
    }
}
END_TEST

/* Every exponent with some mantissas: rounding up into the next exponent, ties, infinity,
 * denormals, NaN with its payload in the low half only. */
START_TEST(bf16_of_every_kind) {
    enum { COUNT = 512 * 8 };
    static const uint32_t mantissas[8] = {0,      1,       0x7fff,   0x8000,
                                          0x8001, 0x18000, 0x7f7fff, 0x7fffff};
    float *x = malloc(COUNT * sizeof(*x));
    uint16_t *out = malloc(COUNT * sizeof(*out));
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = i / 8 << 23 | mantissas[i % 8];
        memcpy(x + i, &bits, sizeof(bits));
    }
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        row_kernels_find(kernel_set(set))->to_bf16(out, x, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert_uint_eq(out[i], rows_bf16_of(x[i]));
            ck_assert(isnan(x[i]) == isnan(rows_f32_of(out[i])));
        }
    }
    free(x);
    free(out);
}
END_TEST

START_TEST(bf16_rounds_to_nearest_even) {
    ck_assert_uint_eq(rows_bf16_of(1.0f), 0x3f80);
    ck_assert_uint_eq(rows_bf16_of(1.00390625f), 0x3f80);   /* a tie, down to even */
    ck_assert_uint_eq(rows_bf16_of(1.01171875f), 0x3f82);   /* a tie, up to even */
    ck_assert_uint_eq(rows_bf16_of(1.003907f), 0x3f81);     /* just over the tie */
    ck_assert_uint_eq(rows_bf16_of(3.4028235e38f), 0x7f80); /* over the largest: infinity */
    ck_assert(rows_f32_of(0xc000) == -2.0f);
}
END_TEST

START_TEST(quantize_odd_rows) {
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct row_kernels *kernels = row_kernels_find(kernel_set(set));
        float zeros[40] = {0}, broken[40] = {-5, 1, NAN, 2};
        uint8_t out[40], expected[40];
        struct row_scale row = kernels->quantize(out, zeros, 40);
        ck_assert(row.scale == 1 && row.zero == 0 && out[0] == 0 && out[39] == 0);
        /* NaN has no part in the range, also not where a vector holds the least. */
        for (size_t i = 8; i < 40; i += 8) broken[i] = NAN;
        row = kernels->quantize(out, broken, 40);
        ck_assert(row.scale == 7.0f / 255 && out[0] == 0 && out[2] == 0 && out[3] == 255);
        broken[1] = INFINITY;
        kernels->quantize(out, broken, 40);
        row_kernels_generic.quantize(expected, broken, 40);
        ck_assert(same_bits(out, expected, 40));
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("rows");
    tcase_add_test(tests, every_size);
    tcase_add_test(tests, bf16_of_every_kind);
    tcase_add_test(tests, bf16_rounds_to_nearest_even);
    tcase_add_test(tests, quantize_odd_rows);
    return program_run("rows", tests, CK_NOFORK);
}
