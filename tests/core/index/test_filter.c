#include "core/index/filter.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "tests/support/program.h"

static const struct filter_value boolean = {.kind = FILTER_BOOL};
static const struct filter_value infinite = {.kind = FILTER_NUMBER, .number = INFINITY};
static const struct filter_value no_utf8 = {.kind = FILTER_TEXT,
                                            .text = {(const uint8_t *)"\xFF", 1}};
static const struct filter_value nul = {.kind = FILTER_TEXT, .text = {(const uint8_t *)"", 1}};
static struct filter leaf = {.kind = FILTER_EXISTS, .field = "a"};
static struct filter bad_leaf = {.kind = FILTER_EXISTS, .field = "a..b"};

static const struct {
    struct filter filter;
    const char *message; /* NULL: fine */
} cases[] = {
    {{.kind = FILTER_AND}, NULL},
    {{.kind = FILTER_OR}, NULL},
    {{.kind = FILTER_NOT, .children = &leaf, .count = 1}, NULL},
    {{.kind = FILTER_NOT}, "\"not\" has 0 conditions"},
    {{.kind = FILTER_AND, .children = &bad_leaf, .count = 1}, "empty step"},
    {{.kind = FILTER_EXISTS, .field = "a.b c.\xC3\xA9"}, NULL},
    {{.kind = FILTER_EXISTS, .field = ""}, "empty"},
    {{.kind = FILTER_EXISTS, .field = ".a"}, "empty step"},
    {{.kind = FILTER_EXISTS, .field = "a."}, "empty step"},
    {{.kind = FILTER_EXISTS, .field = "a\"b"}, "quote"},
    {{.kind = FILTER_EXISTS, .field = "a\\b"}, "backslash"},
    {{.kind = FILTER_EXISTS, .field = "a\nb"}, "control character"},
    {{.kind = FILTER_EXISTS, .field = "a\xFF"}, "not UTF-8"},
    {{.kind = FILTER_IN, .field = "a"}, NULL},
    {{.kind = FILTER_IN, .field = "a", .values = &boolean, .count = 1}, NULL},
    {{.kind = FILTER_IN, .field = "a", .values = &infinite, .count = 1}, "not finite"},
    {{.kind = FILTER_IN, .field = "a", .values = &no_utf8, .count = 1}, "not UTF-8"},
    {{.kind = FILTER_IN, .field = "a", .values = &nul, .count = 1}, "U+0000"},
    {{.kind = FILTER_IN, .field = "a", .count = FILTER_VALUES_MAX + 1}, "more than 4096 values"},
    {{.kind = FILTER_RANGE, .field = "a"}, "no bound"},
    {{.kind = FILTER_RANGE, .field = "a", .low = {true, true, {.kind = FILTER_BOOL}}}, "boolean"},
    {{.kind = FILTER_RANGE,
      .field = "a",
      .low = {true, true, {.kind = FILTER_NUMBER, .number = 1}},
      .high = {true, true, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}}}},
     "a number and a text"},
    {{.kind = FILTER_RANGE,
      .field = "a",
      .low = {true, true, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}}},
      .high = {true, true, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}}}},
     NULL},
    {{.kind = (enum filter_kind)99}, "no known kind"},
};

START_TEST(test_check) {
    struct error err = ERROR_NONE;
    enum status status = filter_check(&cases[_i].filter, &err);
    if (!cases[_i].message) {
        ck_assert_msg(status == STATUS_OK, "%s", err.message);
        return;
    }
    ck_assert_int_eq(status, STATUS_INVALID);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "%s", err.message);
}
END_TEST

START_TEST(test_limits) {
    struct filter deep[FILTER_DEPTH_MAX + 1];
    static struct filter wide[FILTER_NODES_MAX];
    struct error err = ERROR_NONE;
    char field[FILTER_FIELD_MAX + 2] = "";
    ck_assert_int_eq(filter_check(NULL, &err), STATUS_OK);
    for (size_t i = 0; i < FILTER_DEPTH_MAX; i++)
        deep[i] = (struct filter){.kind = FILTER_NOT, .children = &deep[i + 1], .count = 1};
    deep[FILTER_DEPTH_MAX] = leaf;
    ck_assert_int_eq(filter_check(&deep[1], &err), STATUS_OK);
    ck_assert_int_eq(filter_check(deep, &err), STATUS_INVALID);
    for (size_t i = 0; i < FILTER_NODES_MAX; i++) wide[i] = leaf;
    struct filter all = {.kind = FILTER_OR, .children = wide, .count = FILTER_NODES_MAX - 1};
    ck_assert_int_eq(filter_check(&all, NULL), STATUS_OK);
    all.count++;
    ck_assert_int_eq(filter_check(&all, NULL), STATUS_INVALID);
    memset(field, 'x', FILTER_FIELD_MAX);
    ck_assert_int_eq(filter_check_field(field, NULL), STATUS_OK);
    field[FILTER_FIELD_MAX] = 'x';
    ck_assert_int_eq(filter_check_field(field, NULL), STATUS_INVALID);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("check");
    tcase_add_loop_test(tcase, test_check, 0, (int)(sizeof(cases) / sizeof(*cases)));
    tcase_add_test(tcase, test_limits);
    return program_run("filter", tcase, CK_FORK_GETENV);
}
