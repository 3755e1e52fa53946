/* check_scan.c - the scan of every instruction set against sums of our own: every number
 * of rows and queries around a tile, sizes with and without padding, at odd addresses,
 * with nothing behind the last element. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/kernels/scan.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { ROWS = 11, QUERIES = 6, SCORES = QUERIES * ROWS };

static const size_t dims[] = {1, 2, 63, 64, 65, 100, 512, 768};

enum { DIMS = sizeof(dims) / sizeof(dims[0]) };

/* A set of rows and queries, encoded by one kernel. */
struct setting {
    const struct scan_kernel *kernel;
    size_t dim;
    float *rows;    /* [ROWS, dim] */
    float *queries; /* [QUERIES, dim] */
    char *codes;
    float scales[ROWS];
    char *values[QUERIES];
    struct scan_query prepared[QUERIES];
};

static float *random_rows(size_t count, size_t dim, uint32_t seed) {
    float *rows = poison_alloc(count * dim * sizeof(*rows));
    for (size_t i = 0; i < count * dim; i++) rows[i] = random_unit(&seed);
    return rows;
}

static void set_up(struct setting *setting, unsigned features, enum scan_precision precision,
                   size_t dim) {
    *setting = (struct setting){.kernel = scan_kernel_find(features, precision), .dim = dim};
    size_t bytes = scan_row_bytes(setting->kernel, dim);
    setting->rows = random_rows(ROWS, dim, (uint32_t)dim);
    setting->queries = random_rows(QUERIES, dim, (uint32_t)dim + 1);
    setting->codes = poison_alloc(ROWS * bytes);
    for (size_t i = 0; i < ROWS; i++) {
        setting->scales[i] =
            scan_encode(setting->kernel, setting->codes + i * bytes, setting->rows + i * dim, dim);
    }
    for (size_t q = 0; q < QUERIES; q++) {
        setting->values[q] = poison_alloc(scan_query_bytes(dim));
        setting->prepared[q] =
            scan_prepare(setting->kernel, setting->values[q], setting->queries + q * dim, dim);
    }
}

static void tear_down(struct setting *setting) {
    poison_free(setting->rows);
    poison_free(setting->queries);
    poison_free(setting->codes);
    for (size_t q = 0; q < QUERIES; q++) poison_free(setting->values[q]);
}

static void score(const struct setting *setting, float *scores, size_t first, size_t rows,
                  size_t queries) {
    struct scan_rows block = {.codes = setting->codes +
                                       first * scan_row_bytes(setting->kernel, setting->dim),
                              .scales = setting->scales + first,
                              .count = rows,
                              .dim = setting->dim};
    scan_score(setting->kernel, scores, &block, setting->prepared, queries);
}

static double exact(const struct setting *setting, size_t row, size_t query, double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (size_t k = 0; k < setting->dim; k++) {
        double product = (double)setting->rows[row * setting->dim + k] *
                         (double)setting->queries[query * setting->dim + k];
        sum += product;
        *magnitude += fabs(product);
    }
    return sum;
}

/* How far a score may be off, relative to the sum of the products' sizes. */
static double tolerance_of(enum scan_precision precision, size_t dim) {
    switch (precision) {
    case SCAN_INT8: return 4.0 / 127 / sqrt((double)dim) + 0.005;
    case SCAN_BF16: return 1.0 / 256;
    case SCAN_FP32: break;
    }
    return 1e-6;
}

static void check_scores(const struct setting *setting, enum scan_precision precision) {
    double tolerance = tolerance_of(precision, setting->dim);
    float scores[SCORES];
    score(setting, scores, 0, ROWS, QUERIES);
    for (size_t i = 0; i < SCORES; i++) {
        double magnitude, wanted = exact(setting, i % ROWS, i / ROWS, &magnitude);
        ck_assert_msg(fabs((double)scores[i] - wanted) <= tolerance * magnitude,
                      "%s, precision %d, dim %zu: %g, %g", scan_kernel_name(setting->kernel),
                      (int)precision, setting->dim, (double)scores[i], wanted);
    }
}

/* From any row on, with any number of queries. */
static void check_company(const struct setting *setting, enum scan_precision precision) {
    float all[SCORES], some[SCORES];
    score(setting, all, 0, ROWS, QUERIES);
    for (size_t i = 0; i < SCORES; i++) {
        size_t first = i % ROWS, queries = i / ROWS + 1, rows = ROWS - first;
        score(setting, some, first, rows, queries);
        for (size_t k = 0; k < queries * rows; k++) {
            const float *wanted = &all[k / rows * ROWS + first + k % rows];
            ck_assert(same_bits(&some[k], wanted, sizeof(float)));
        }
    }
    if (precision == SCAN_FP32) {
        float alone = scan_dot(setting->kernel, setting->rows + 3 * setting->dim,
                               setting->queries + setting->dim, setting->dim);
        ck_assert(same_bits(&alone, &all[ROWS + 3], sizeof(alone)));
    }
}

static void each_setting(void (*check)(const struct setting *, enum scan_precision)) {
    enum { PRECISIONS = SCAN_FP32 + 1 };
    for (size_t i = 0; i < (size_t)KERNEL_SETS * PRECISIONS; i++) {
        enum scan_precision precision = (enum scan_precision)(i % PRECISIONS);
        for (size_t d = 0; d < DIMS; d++) {
            struct setting setting;
            set_up(&setting, kernel_set(i / PRECISIONS), precision, dims[d]);
            check(&setting, precision);
            tear_down(&setting);
        }
    }
}

START_TEST(scores_are_dot_products) {
    each_setting(check_scores);
}
END_TEST

START_TEST(same_bits_in_any_company) {
    each_setting(check_company);
}
END_TEST

/* The sums of int8 are exact, so that all instruction sets agree on every bit. */
START_TEST(int8_is_the_same_everywhere) {
    for (size_t d = 0; d < DIMS; d++) {
        struct setting wanted, setting;
        float expected[SCORES], scores[SCORES];
        set_up(&wanted, 0, SCAN_INT8, dims[d]);
        score(&wanted, expected, 0, ROWS, QUERIES);
        size_t bytes = scan_row_bytes(wanted.kernel, dims[d]);
        for (size_t set = 1; set < KERNEL_SETS; set++) {
            set_up(&setting, kernel_set(set), SCAN_INT8, dims[d]);
            score(&setting, scores, 0, ROWS, QUERIES);
            ck_assert(same_bits(scores, expected, sizeof(scores)));
            for (size_t i = 0; i + 1 < ROWS; i++) {
                const char *a = setting.codes + i * bytes, *b = a + bytes;
                ck_assert(scan_pair(setting.kernel, a, b, dims[d]) ==
                          scan_pair(wanted.kernel, a, b, dims[d]));
            }
            tear_down(&setting);
        }
        tear_down(&wanted);
    }
}
END_TEST

START_TEST(largest_codes_do_not_overflow) {
    enum { DIM = SCAN_DIM_MAX };
    static float row[DIM], expected;
    for (size_t i = 0; i < DIM; i++) row[i] = i % 3 ? 1.0f : -1.0f;
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct scan_kernel *kernel = scan_kernel_find(kernel_set(set), SCAN_INT8);
        char *code = poison_alloc(scan_row_bytes(kernel, DIM));
        char *values = poison_alloc(scan_query_bytes(DIM));
        float scale = scan_encode(kernel, code, row, DIM), scores;
        struct scan_query query = scan_prepare(kernel, values, row, DIM);
        struct scan_rows rows = {.codes = code, .scales = &scale, .count = 1, .dim = DIM};
        scan_score(kernel, &scores, &rows, &query, 1);
        ck_assert(fabsf(scores - DIM) < 0.01f);
        expected = 127.0f * 127.0f * DIM;
        ck_assert(scan_pair(kernel, code, code, DIM) == expected);
        poison_free(code);
        poison_free(values);
    }
}
END_TEST

START_TEST(zeros_stay_zeros) {
    for (int precision = SCAN_INT8; precision <= SCAN_FP32; precision++) {
        const struct scan_kernel *kernel =
            scan_kernel_find(isa_detect(), (enum scan_precision)precision);
        float row[64] = {0}, values[64], scores = 1, scale;
        float code[64];
        scale = scan_encode(kernel, code, row, 64);
        struct scan_query query = scan_prepare(kernel, values, row, 64);
        struct scan_rows rows = {.codes = code, .scales = &scale, .count = 1, .dim = 64};
        scan_score(kernel, &scores, &rows, &query, 1);
        ck_assert(scores == 0);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("scan");
    tcase_add_test(tests, scores_are_dot_products);
    tcase_add_test(tests, same_bits_in_any_company);
    tcase_add_test(tests, int8_is_the_same_everywhere);
    tcase_add_test(tests, largest_codes_do_not_overflow);
    tcase_add_test(tests, zeros_stay_zeros);
    return program_run("scan", tests, CK_NOFORK);
}
