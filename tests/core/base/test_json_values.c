#include "core/base/json_values.h"

#include <check.h>

START_TEST(counts) {
    static const struct {
        const char *text;
        size_t count;
    } rows[] = {{"", 0},          {"1", 0},           {"[]", 1},        {"[[],[]]", 4},
                {"{\"a\":1}", 1}, {"{\"a\":[2]}", 2}, {"\"[,{\"]}", 3}, {"[1,2,3]", 3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes text = bytes_of(rows[i].text);
        ck_assert_msg(json_values_within(text, rows[i].count), "%s", rows[i].text);
        ck_assert_msg(!rows[i].count || !json_values_within(text, rows[i].count - 1), "%s",
                      rows[i].text);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("json_values");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, counts);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
