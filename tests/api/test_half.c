/* Every number of 16 bits comes back as itself; what lies between two of them goes to the nearer,
 * and from the middle to the even one. */
#include "api/half.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/support/program.h"

enum { INFINITE = 0x7c00, HALVES = 0x10000 };

/* By the definition. */
static float float_of(uint16_t half) {
    int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 0x1f) value = fraction ? (double)NAN : (double)INFINITY;
    return (float)(half & 0x8000 ? -value : value);
}

static uint16_t half_of(float number) {
    uint16_t half;
    half_from_floats(&half, &number, 1);
    return half;
}

START_TEST(every_half) {
    for (uint32_t half = 0; half < HALVES; half++) {
        float number = float_of((uint16_t)half);
        if (isnan(number)) {
            ck_assert(isnan(float_of(half_of(number))));
        } else {
            ck_assert_msg(half_of(number) == half, "%x is %x", half, half_of(number));
        }
    }
}
END_TEST

START_TEST(between_two) {
    for (uint16_t half = 0; half + 1 < INFINITE; half++) {
        float low = float_of(half), high = float_of((uint16_t)(half + 1));
        float middle = (float)(((double)low + (double)high) / 2);
        ck_assert_uint_eq(half_of(middle), half & 1 ? half + 1 : half);
        ck_assert_uint_eq(half_of(nextafterf(middle, 0)), half);
        ck_assert_uint_eq(half_of(nextafterf(middle, INFINITY)), half + 1);
        ck_assert_uint_eq(half_of(-nextafterf(middle, INFINITY)), (half + 1) | 0x8000);
    }
}
END_TEST

START_TEST(beyond_all) {
    ck_assert_uint_eq(half_of(65519.996F), 0x7bff);
    ck_assert_uint_eq(half_of(65520), INFINITE);
    ck_assert_uint_eq(half_of(-3e38F), INFINITE | 0x8000);
    ck_assert_uint_eq(half_of(INFINITY), INFINITE);
    ck_assert_uint_eq(half_of(1e-45F), 0);
    ck_assert_uint_eq(half_of(-1e-30F), 0x8000);
}
END_TEST

START_TEST(in_place) {
    float numbers[] = {1, -2, 0.5F, 65504, 0, 3};
    const uint8_t expected[] = {0, 0x3c, 0, 0xc0, 0, 0x38, 0xff, 0x7b, 0, 0, 0, 0x42};
    half_from_floats(numbers, numbers, 6);
    ck_assert_mem_eq(numbers, expected, sizeof(expected));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("half");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_half);
    tcase_add_test(tests, between_two);
    tcase_add_test(tests, beyond_all);
    tcase_add_test(tests, in_place);
    return program_run("half", tests, CK_NOFORK);
}
