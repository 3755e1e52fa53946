#include "core/model/cosines.h"

#include <check.h>
#include <math.h>

#include "tests/support/program.h"

START_TEST(known_vectors) {
    /* The mean is (2, 1): centred, the pairs are (1, 0) (0, 1) and (-1, 0) (-1, -1). */
    const float reference[] = {3, 1, 1, 1}, found[] = {2, 2, 1, 0};
    struct model_cosines out;
    ck_assert_int_eq(cosines_of(&out, reference, found, 2, 2, NULL), STATUS_OK);
    double first = 8 / sqrt(80), second = 1 / sqrt(2);
    ck_assert_double_eq_tol(out.min, second, 1e-12);
    ck_assert_double_eq_tol(out.mean, (first + second) / 2, 1e-12);
    ck_assert_double_eq_tol(out.centred_min, 0, 1e-12);
    ck_assert_double_eq_tol(out.centred_mean, second / 2, 1e-12);
}
END_TEST

START_TEST(degenerate_vectors) {
    const float zeros[] = {0, 0}, ones[] = {1, 1}, broken[] = {NAN, 1}, endless[] = {INFINITY, 1};
    struct model_cosines out;
    cosines_of(&out, zeros, zeros, 1, 2, NULL);
    ck_assert_double_eq(out.min, 1);
    cosines_of(&out, zeros, ones, 1, 2, NULL);
    ck_assert_double_eq(out.min, -1);
    cosines_of(&out, ones, broken, 1, 2, NULL);
    ck_assert_double_eq(out.min, -1);
    ck_assert_double_eq(out.mean, -1);
    cosines_of(&out, ones, endless, 1, 2, NULL);
    ck_assert_double_eq(out.min, -1);
    cosines_of(&out, ones, ones, 1, 2, NULL);
    ck_assert_double_eq_tol(out.min, 1, 1e-12);
    ck_assert_double_le(out.min, 1);
}
END_TEST

START_TEST(the_worse_of_two) {
    const struct model_cosines a = {0.9, 0.99, 0.5, 0.6}, b = {0.8, 0.999, 0.4, 0.7};
    struct model_cosines worse = cosines_worse(a, b);
    ck_assert_double_eq(worse.min, 0.8);
    ck_assert_double_eq(worse.mean, 0.99);
    ck_assert_double_eq(worse.centred_min, 0.4);
    ck_assert_double_eq(worse.centred_mean, 0.6);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("cosines");
    tcase_add_test(tests, known_vectors);
    tcase_add_test(tests, degenerate_vectors);
    tcase_add_test(tests, the_worse_of_two);
    return program_run("cosines", tests, CK_NOFORK);
}
