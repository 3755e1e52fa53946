#include "core/text/symbols.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/program.h"

enum { COUNT = 10000 };

static void put_numbers(struct symbols *symbols, uint32_t count) {
    symbols_init(symbols);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        ck_assert_int_eq(symbols_put(symbols, bytes_of(text), i, NULL), STATUS_OK);
    }
}

START_TEST(found_again) {
    struct symbols symbols;
    uint32_t id = 7;
    symbols_init(&symbols);
    ck_assert(!symbols_find(&id, &symbols, bytes_of("0")));
    put_numbers(&symbols, COUNT);
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        ck_assert_int_eq(symbols_find(&id, &symbols, bytes_of(text)), i < COUNT);
        ck_assert(i >= COUNT || id == i);
    }
    ck_assert_int_eq(symbols_put(&symbols, bytes_of("17"), 3, NULL), STATUS_OK);
    ck_assert(symbols_find(&id, &symbols, bytes_of("17")) && id == 3);
    ck_assert_uint_eq(symbols.count, COUNT);
    symbols_free(&symbols);
}
END_TEST

/* Who knows where strings go can have them all go to one place. */
START_TEST(no_two_tables_are_alike) {
    struct symbols first, second;
    put_numbers(&first, 500);
    put_numbers(&second, 500);
    ck_assert_uint_eq(first.capacity, second.capacity);
    ck_assert_int_ne(memcmp(first.slots, second.slots, first.capacity), 0);
    symbols_free(&first);
    symbols_free(&second);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, found_again);
    tcase_add_test(tests, no_two_tables_are_alike);
    return program_run("symbols", tests, CK_NOFORK);
}
