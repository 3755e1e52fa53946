/* Digests as git and sha256sum print them, in one part and in many. */
#include "hub/digest.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

#define GIT "d670460b4b4aece5915caf5c68d12f560a9fe3e4" /* of "test content\n", by git itself */
#define SHA256 "a1fff0ffefb9eace7230c24e50731f0a91c62f9cefdfe77121c2f607125dffae"

START_TEST(names) {
    ck_assert(digest_is_name(GIT));
    ck_assert(digest_is_name(SHA256));
    ck_assert(!digest_is_name(""));
    ck_assert(!digest_is_name("D670460b4b4aece5915caf5c68d12f560a9fe3e4"));
    ck_assert(!digest_is_name("../../../../../../../../../../../../../x"));
    ck_assert(!digest_is_name("d670460b4b4aece5915caf5c68d12f56"));
}
END_TEST

static void expect(const char *name, size_t step) {
    struct bytes text = bytes_of("test content\n");
    char hex[DIGEST_HEX_SIZE];
    struct digest *digest = digest_begin(name, text.size);
    ck_assert_ptr_nonnull(digest);
    for (size_t i = 0; i < text.size; i += step) {
        size_t left = text.size - i;
        digest_add(digest, (struct bytes){text.data + i, left < step ? left : step});
    }
    digest_end(digest, hex);
    ck_assert_str_eq(hex, name);
}

START_TEST(of_parts) {
    for (size_t step = 1; step <= 13; step++) {
        expect(GIT, step);
        expect(SHA256, step);
    }
}
END_TEST

START_TEST(of_nothing) {
    char hex[DIGEST_HEX_SIZE];
    digest_end(digest_begin(GIT, 0), hex);
    ck_assert_str_eq(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    digest_end(NULL, hex);
    ck_assert_str_eq(hex, "");
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("digest");
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, of_parts);
    tcase_add_test(tcase, of_nothing);
    return program_run("digest", tcase, CK_NOFORK);
}
