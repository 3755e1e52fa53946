#include "core/base/keyed_hash.h"

#include <check.h>

#include "tests/support/program.h"

/* What CPython 3.11 says, whose hash() of bytes is this function: PYTHONHASHSEED=0, which makes
 * the key 0, and hash(text) % 2**64. */
START_TEST(as_in_python) {
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"a", 0x407448D2B89B1813U},
        {"abcdefg", 0x6DB12AAE9070F506U},
        {"abcdefgh", 0x3F7B849C0B8E35EAU},
        {"abcdefghi", 0xF89B34A3D11EB6E5U},
    };
    const struct keyed_hash zero = {{0, 0}};
    uint8_t bytes[40];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_uint_eq(keyed_hash_of(&zero, bytes_of(rows[i].text)), rows[i].hash);
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(200 + i);
    ck_assert_uint_eq(keyed_hash_of(&zero, (struct bytes){bytes, sizeof(bytes)}),
                      0xB7D2F52A6DB5EE2DU);
}
END_TEST

/* Both halves of the key matter, and no two are the same. */
START_TEST(keys) {
    struct keyed_hash first, second;
    ck_assert_int_eq(keyed_hash_init(&first, NULL), STATUS_OK);
    ck_assert_int_eq(keyed_hash_init(&second, NULL), STATUS_OK);
    for (size_t i = 0; i < 2; i++) {
        struct keyed_hash mixed = first;
        ck_assert_uint_ne(first.key[i], second.key[i]);
        mixed.key[i] = second.key[i];
        ck_assert_uint_ne(keyed_hash_of(&first, bytes_of("")), keyed_hash_of(&mixed, bytes_of("")));
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, as_in_python);
    tcase_add_test(tests, keys);
    return program_run("keyed_hash", tests, CK_NOFORK);
}
