#include "core/base/backlog.h"

#include <check.h>

#include "tests/support/program.h"

START_TEST(what_was_never_done_takes_no_time) {
    struct backlog backlog = {0};
    ck_assert_uint_eq(backlog_ns(&backlog, 1000, 1), 0);
}
END_TEST

START_TEST(workers_share_what_waits) {
    struct backlog backlog = {0};
    backlog_note(&backlog, 8000, 8);
    ck_assert_uint_eq(backlog_ns(&backlog, 0, 2), 0);
    ck_assert_uint_eq(backlog_ns(&backlog, 1, 1), 1000);
    ck_assert_uint_eq(backlog_ns(&backlog, 100, 1), 100000);
    ck_assert_uint_eq(backlog_ns(&backlog, 100, 4), 25000);
}
END_TEST

/* One that is unlike the others moves it a little, and many others move it all the way. */
START_TEST(what_was_of_late_counts) {
    struct backlog backlog = {0};
    for (int i = 0; i < 3; i++) backlog_note(&backlog, 8000, 1);
    ck_assert_uint_eq(backlog.each_ns, 8000);
    backlog_note(&backlog, 16000, 1);
    ck_assert_uint_eq(backlog.each_ns, 9000);
    for (int i = 0; i < 100; i++) backlog_note(&backlog, 16000, 1);
    ck_assert_uint_ge(backlog.each_ns, 15000);
    for (int i = 0; i < 100; i++) backlog_note(&backlog, 800, 1);
    ck_assert_uint_le(backlog.each_ns, 1000);
}
END_TEST

START_TEST(nothing_overflows) {
    struct backlog backlog = {0};
    backlog_note(&backlog, UINT64_MAX, 1);
    backlog_note(&backlog, UINT64_MAX, 1);
    ck_assert_uint_eq(backlog_ns(&backlog, SIZE_MAX, 1), UINT64_MAX);
    ck_assert_uint_eq(backlog_ns(&backlog, 2, 1), UINT64_MAX);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("backlog");
    tcase_add_test(tests, what_was_never_done_takes_no_time);
    tcase_add_test(tests, workers_share_what_waits);
    tcase_add_test(tests, what_was_of_late_counts);
    tcase_add_test(tests, nothing_overflows);
    return program_run("backlog", tests, CK_NOFORK);
}
