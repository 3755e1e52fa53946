/* Turned pairs, against angles made by hand. */
#include "core/towers/rope.h"

#include <check.h>
#include <math.h>

#include "core/kernels/rows.h"
#include "tests/support/program.h"

enum { HEAD = 8, ROWS = 2, COLUMNS = 4, SIDE = 16 };

static void fill(float angles[ROWS * COLUMNS * HEAD]) {
    rope_fill(angles, (struct grid){ROWS, COLUMNS}, HEAD, SIDE);
}

START_TEST(angles_of_a_grid) {
    float angles[ROWS * COLUMNS * HEAD];
    fill(angles);
    /* Row 1 of 2 is 8 of 16, column 3 of 4 is 12; two bands: 1 and 1/100. */
    const double expected[HEAD / 2] = {8, 0.08, 12, 0.12};
    const float *last = angles + (ptrdiff_t)(ROWS * COLUMNS - 1) * HEAD;
    for (size_t i = 0; i < HEAD / 2; i++) {
        ck_assert_double_eq_tol((double)last[2 * i], cos(expected[i]), 1e-6);
        ck_assert_double_eq_tol((double)last[2 * i + 1], sin(expected[i]), 1e-6);
        ck_assert_float_eq(angles[2 * i], 1);
        ck_assert_float_eq(angles[2 * i + 1], 0);
    }
}
END_TEST

/* Every head alike, in both precisions; and what is turned keeps its length. */
START_TEST(turned_heads) {
    float angles[ROWS * COLUMNS * HEAD], row[2 * HEAD];
    uint16_t half[2 * HEAD];
    fill(angles);
    const float *own = angles + (ptrdiff_t)5 * HEAD;
    for (size_t i = 0; i < (size_t)2 * HEAD; i++) {
        row[i] = (float)(i % HEAD) + 1;
        half[i] = rows_bf16_of(row[i]);
    }
    rope_turn(row, own, 2, HEAD);
    rope_turn_bf16(half, own, 2, HEAD);
    for (size_t i = 0; i < HEAD; i += 2) {
        float x = (float)i + 1, y = (float)i + 2;
        ck_assert_float_eq_tol(row[i], x * own[i] - y * own[i + 1], 1e-5f);
        ck_assert_float_eq_tol(row[i + 1], y * own[i] + x * own[i + 1], 1e-5f);
        ck_assert_float_eq_tol(row[i] * row[i] + row[i + 1] * row[i + 1], x * x + y * y, 1e-3f);
        ck_assert_float_eq(row[HEAD + i], row[i]);
        ck_assert_float_eq_tol(rows_f32_of(half[HEAD + i + 1]), row[i + 1], 0.06f);
        ck_assert_uint_eq(half[HEAD + i], half[i]);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("rope");
    tcase_add_test(tests, angles_of_a_grid);
    tcase_add_test(tests, turned_heads);
    return program_run("rope", tests, CK_FORK_GETENV);
}
