#include <check.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "tests/support/program.h"

START_TEST(caps_keep_what_a_set_builds_on) {
    static const struct {
        const char *cap;
        unsigned features;
    } cases[] = {
        {"generic", 0},
        {"avx2", ISA_AVX2},
        {"avx512", ISA_AVX2 | ISA_AVX512},
        {"avx512_vnni", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_VNNI},
        {"avx512_bf16", ISA_AVX2 | ISA_AVX512 | ISA_AVX512_BF16},
        {"all", ISA_ALL},
        {NULL, ISA_ALL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned features = ISA_ALL;
        ck_assert_int_eq(isa_cap(&features, cases[i].cap, NULL), STATUS_OK);
        ck_assert_uint_eq(features, cases[i].features);
    }
}
END_TEST

START_TEST(a_cap_adds_nothing) {
    unsigned features = ISA_AVX2;
    ck_assert_int_eq(isa_cap(&features, "avx512_bf16", NULL), STATUS_OK);
    ck_assert_uint_eq(features, ISA_AVX2);
}
END_TEST

START_TEST(unknown_caps_are_refused) {
    static const char *const words[] = {"", "AVX2", "avx2 ", "avx1024"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        unsigned features = ISA_ALL;
        struct error err = ERROR_NONE;
        ck_assert_int_eq(isa_cap(&features, words[i], &err), STATUS_INVALID);
        ck_assert_uint_eq(features, ISA_ALL);
        ck_assert_ptr_nonnull(strstr(err.message, words[i]));
    }
}
END_TEST

START_TEST(detected_features_build_on_each_other) {
    unsigned features = isa_detect();
    if (features & (ISA_AVX512_VNNI | ISA_AVX512_BF16)) ck_assert(features & ISA_AVX512);
    if (features & ISA_AVX512) ck_assert(features & ISA_AVX2);
    ck_assert_uint_eq(features & ~(unsigned)ISA_ALL, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("isa");
    tcase_add_test(tests, caps_keep_what_a_set_builds_on);
    tcase_add_test(tests, a_cap_adds_nothing);
    tcase_add_test(tests, unknown_caps_are_refused);
    tcase_add_test(tests, detected_features_build_on_each_other);
    return program_run("isa", tests, CK_NOFORK);
}
