/* What an answer takes from the memory for all of them. */
#include "api/response.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

static const size_t kib = 1 << 10, max = 300 << 10;

static struct budget memory;
static struct http_response response;

static void setup(void) {
    memory = (struct budget){.max = max};
    response = (struct http_response){.memory = &memory};
    response_init(&response, 200, "text/plain");
}

static void teardown(void) {
    response_init(&response, 200, "text/plain");
    ck_assert_uint_eq(budget_used(&memory), 0);
}

static enum status grow(size_t size, struct error *err) {
    static const char block[1 << 10];
    *err = ERROR_NONE;
    for (size_t i = 0; i < size; i += kib)
        ck_assert_int_eq(buffer_append(&response.body, block, kib, NULL), STATUS_OK);
    return response_charge(&response, err);
}

START_TEST(grows) {
    struct error err;
    ck_assert_int_eq(grow(64 * kib, &err), STATUS_OK);
    ck_assert_uint_eq(budget_used(&memory), 0); /* short ones are free */
    ck_assert_int_eq(grow(kib, &err), STATUS_OK);
    ck_assert_uint_eq(budget_used(&memory), 65 * kib);
    ck_assert_int_eq(grow(100 * kib, &err), STATUS_OK);
    ck_assert_int_eq(response_charge(&response, &err), STATUS_OK);
    ck_assert_uint_eq(budget_used(&memory), 165 * kib);
    response_init(&response, 500, "text/plain");
    ck_assert_uint_eq(budget_used(&memory), 0);
    ck_assert_int_eq(grow(max, &err), STATUS_OK);
    ck_assert_uint_eq(budget_used(&memory), max);
    ck_assert_int_eq(grow(kib, &err), STATUS_TOO_LARGE);
    ck_assert_uint_eq(budget_used(&memory), max);
}
END_TEST

START_TEST(is_full) {
    struct error err;
    ck_assert_int_eq(grow(max / 4, &err), STATUS_OK);
    ck_assert(!response_is_full(&response));
    ck_assert_int_eq(grow(kib, &err), STATUS_OK);
    ck_assert(response_is_full(&response));
    response.memory = NULL;
    ck_assert(!response_is_full(&response));
    response.body.size = (64 << 20) + 1;
    ck_assert(response_is_full(&response));
    response.body.size = 64 << 20;
    ck_assert(!response_is_full(&response));
    response.memory = &memory;
}
END_TEST

START_TEST(waits_for_others) {
    struct error err;
    ck_assert(budget_take(&memory, 200 * kib));
    ck_assert_int_eq(grow(100 * kib, &err), STATUS_OK);
    ck_assert_int_eq(grow(kib, &err), STATUS_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(err.message, "307200"));
    response_init(&response, 503, "text/plain");
    ck_assert_int_eq(grow(kib, &err), STATUS_OK);
    budget_give(&memory, 200 * kib);
}
END_TEST

/* What is held beside a body is given back with it. */
START_TEST(reserves) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(response_reserve(&response, 200 * kib, &err), STATUS_OK);
    ck_assert_int_eq(response_reserve(&response, 100 * kib, &err), STATUS_OK);
    ck_assert_int_eq(response_reserve(&response, 1, &err), STATUS_OVERLOADED);
    ck_assert_uint_eq(budget_used(&memory), max);
}
END_TEST

START_TEST(without_a_limit) {
    struct error err;
    response.memory = NULL;
    ck_assert_int_eq(grow(max + kib, &err), STATUS_OK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("response");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, grows);
    tcase_add_test(tests, is_full);
    tcase_add_test(tests, waits_for_others);
    tcase_add_test(tests, reserves);
    tcase_add_test(tests, without_a_limit);
    return program_run("response", tests, CK_FORK_GETENV);
}
