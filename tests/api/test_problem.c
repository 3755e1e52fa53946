/* When a refused client is asked to come again. */
#include "api/problem.h"

#include <check.h>
#include <string.h>

#include "core/base/clock.h"
#include "tests/support/program.h"

static const uint64_t second = CLOCK_NS_PER_S;

/* The header's value; "" when there is none. */
static const char *retry_after(enum status status, int http_status, uint64_t backlog_ns) {
    static char value[sizeof(((struct http_header *)0)->value)];
    struct http_request request = {.path = "/embed/text"};
    struct http_response response = {0};
    struct error err = ERROR_NONE;
    error_set(&err, status, "as it was asked to");
    problem_respond(&response, &request, http_status, &err, backlog_ns);
    value[0] = '\0';
    for (size_t i = 0; i < response.headers_count; i++) {
        if (!strcmp(response.headers[i].name, "Retry-After"))
            memcpy(value, response.headers[i].value, sizeof(value));
    }
    buffer_free(&response.body);
    return value;
}

START_TEST(a_queue_is_waited_for) {
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, 0), "1");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, 1), "1");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, second), "1");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, second + 1), "2");
    ck_assert_str_eq(retry_after(STATUS_NO_MEMORY, 0, 7 * second), "7");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, 60 * second), "60");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, 60 * second + 1), "60");
    ck_assert_str_eq(retry_after(STATUS_OVERLOADED, 0, UINT64_MAX), "60");
}
END_TEST

START_TEST(what_is_not_there_takes_longer) {
    ck_assert_str_eq(retry_after(STATUS_UNAVAILABLE, 0, 0), "5");
    ck_assert_str_eq(retry_after(STATUS_UNAVAILABLE, 0, 7 * second), "7");
}
END_TEST

START_TEST(other_failures_are_for_good) {
    ck_assert_str_eq(retry_after(STATUS_INVALID, 0, second), "");
    ck_assert_str_eq(retry_after(STATUS_TIMEOUT, 0, second), "");
    ck_assert_str_eq(retry_after(STATUS_INVALID, 411, second), "");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("problem");
    tcase_add_test(tests, a_queue_is_waited_for);
    tcase_add_test(tests, what_is_not_there_takes_longer);
    tcase_add_test(tests, other_failures_are_for_good);
    return program_run("problem", tests, CK_NOFORK);
}
