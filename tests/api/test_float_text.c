#include <check.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/float_text.h"
#include "tests/support/program.h"

static const char *text_of(float value) {
    static char text[FLOAT_TEXT_MAX + 1];
    text[float_text(text, value)] = '\0';
    return text;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void check_reads_back(float value) {
    const char *text = text_of(value);
    bool same = bits_of(strtof(text, NULL)) == bits_of(value) &&
                bits_of((float)strtod(text, NULL)) == bits_of(value);
    /* Check is slow for what happens a million times. */
    if (!same) ck_abort_msg("%a became %s", (double)value, text);
}

START_TEST(writes_the_fewest_digits) {
    ck_assert_str_eq(text_of(0.5f), "0.5");
    ck_assert_str_eq(text_of(-0.1f), "-0.1");
    ck_assert_str_eq(text_of(1), "1");
    ck_assert_str_eq(text_of(100), "100");
    ck_assert_str_eq(text_of(123456.7f), "123456.7");
    ck_assert_str_eq(text_of(0.3333333f), "0.3333333");
    ck_assert_str_eq(text_of(0.000125f), "0.000125");
    ck_assert_str_eq(text_of(16777216), "16777216");
    ck_assert_str_eq(text_of(999999936), "999999940");
    /* 33554450 lies half-way to the next float: rounding decides, so it will not do. */
    ck_assert_str_eq(text_of(33554448), "33554448");
}
END_TEST

START_TEST(keeps_the_sign_of_zero) {
    ck_assert_str_eq(text_of(0), "0.0");
    ck_assert_str_eq(text_of(-0.0f), "-0.0");
}
END_TEST

START_TEST(has_no_word_for_what_is_no_number) {
    ck_assert_str_eq(text_of(INFINITY), "null");
    ck_assert_str_eq(text_of(-INFINITY), "null");
    ck_assert_str_eq(text_of(NAN), "null");
}
END_TEST

START_TEST(reads_back_at_the_edges) {
    static const float edges[] = {FLT_MIN, FLT_MAX, FLT_TRUE_MIN, 1e-6f, 1e9f, 1e-5f, 1, 0.1f};
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        check_reads_back(edges[i]);
        check_reads_back(-nextafterf(edges[i], 1));
        check_reads_back(nextafterf(edges[i], 0));
    }
    for (int power = -45; power < 39; power++) {
        float value = powf(10, (float)power);
        check_reads_back(value);
        check_reads_back(nextafterf(value, 0));
    }
}
END_TEST

/* A few million floats of every size, and as many of those that embeddings have. */
START_TEST(reads_back_anywhere) {
    uint32_t random = 12345;
    for (int i = 0; i < 2000000; i++) {
        random = random * 1664525 + 1013904223;
        float any, embedding = (float)(int32_t)random / 4e9f;
        memcpy(&any, &random, sizeof(any));
        if (isfinite(any)) check_reads_back(any);
        check_reads_back(embedding);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("float_text");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, writes_the_fewest_digits);
    tcase_add_test(tests, keeps_the_sign_of_zero);
    tcase_add_test(tests, has_no_word_for_what_is_no_number);
    tcase_add_test(tests, reads_back_at_the_edges);
    tcase_add_test(tests, reads_back_anywhere);
    return program_run("float_text", tests, CK_NOFORK);
}
