#include "core/base/json_values.h"

#include <check.h>

#include "tests/support/program.h"

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
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, counts);
    return program_run("json_values", tests, CK_NOFORK);
}
