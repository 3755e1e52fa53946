/* Filters as clients write them: what tree they become, and where mistakes are said to be. */
#include "api/filter_json.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

static struct json_body json;
static struct filter_json filter;
static struct error err;

/* The filter in {"filter": `text`}. */
static enum status read_text(const char *text) {
    static struct buffer body;
    filter_json_free(&filter);
    json_body_free(&json);
    buffer_free(&body);
    buffer_init(&body, 1 << 20);
    err = ERROR_NONE;
    buffer_printf(&body, NULL, "{\"filter\":%s}", text);
    ck_assert_int_eq(json_body_parse(&json, buffer_view(&body), 10000, NULL, NULL), STATUS_OK);
    return filter_json_read(&filter, &json, json_object_get(json.root, "filter"), "/filter", &err);
}

static const struct filter *read_good(const char *text) {
    enum status status = read_text(text);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    ck_assert_ptr_nonnull(filter.root);
    return filter.root;
}

static void refuse(const char *text, const char *pointer) {
    ck_assert_int_eq(read_text(text), STATUS_INVALID);
    ck_assert_str_eq(err.where, pointer);
    ck_assert(err.message[0] != '\0');
}

static void teardown(void) {
    filter_json_free(&filter);
    json_body_free(&json);
}

START_TEST(nothing_is_every_item) {
    ck_assert_int_eq(read_text("null"), STATUS_OK);
    ck_assert_ptr_null(filter.root);
}
END_TEST

START_TEST(conditions) {
    const struct filter *root = read_good("{\"field\":\"a.b\",\"eq\":\"x\"}");
    ck_assert_int_eq(root->kind, FILTER_IN);
    ck_assert_str_eq(root->field, "a.b");
    ck_assert_uint_eq(root->count, 1);
    ck_assert_int_eq(root->values[0].kind, FILTER_TEXT);
    ck_assert_uint_eq(root->values[0].text.size, 1);
    root = read_good("{\"field\":\"a\",\"in\":[true,-2.5,\"\"]}");
    ck_assert_uint_eq(root->count, 3);
    ck_assert(root->values[0].kind == FILTER_BOOL && root->values[0].boolean);
    ck_assert(root->values[1].kind == FILTER_NUMBER && root->values[1].number == -2.5);
    ck_assert(root->values[2].kind == FILTER_TEXT && root->values[2].text.size == 0);
    root = read_good("{\"field\":\"a\",\"gt\":1,\"lte\":9}");
    ck_assert_int_eq(root->kind, FILTER_RANGE);
    ck_assert(root->low.set && !root->low.inclusive && root->low.value.number == 1);
    ck_assert(root->high.set && root->high.inclusive && root->high.value.number == 9);
    root = read_good("{\"lt\":\"m\",\"field\":\"a\"}");
    ck_assert(!root->low.set && root->high.set && !root->high.inclusive);
    ck_assert_int_eq(read_good("{\"field\":\"a\",\"exists\":true}")->kind, FILTER_EXISTS);
    root = read_good("{\"field\":\"a\",\"exists\":false}");
    ck_assert_int_eq(root->kind, FILTER_NOT);
    ck_assert_int_eq(root->children[0].kind, FILTER_EXISTS);
    ck_assert_str_eq(root->children[0].field, "a");
}
END_TEST

START_TEST(trees) {
    const struct filter *root =
        read_good("{\"and\":[{\"or\":[]},{\"not\":{\"field\":\"n\",\"eq\":1}},{\"and\":[]}]}");
    ck_assert_int_eq(root->kind, FILTER_AND);
    ck_assert_uint_eq(root->count, 3);
    ck_assert(root->children[0].kind == FILTER_OR && root->children[0].count == 0);
    ck_assert(root->children[1].kind == FILTER_NOT && root->children[1].count == 1);
    ck_assert_int_eq(root->children[1].children[0].kind, FILTER_IN);
    ck_assert(root->children[2].kind == FILTER_AND && root->children[2].count == 0);
}
END_TEST

START_TEST(mistakes_are_pointed_at) {
    refuse("3", "/filter");
    refuse("{}", "/filter/field");
    refuse("{\"field\":\"a\"}", "/filter");
    refuse("{\"field\":\"a\",\"eq\":1,\"exists\":true}", "/filter");
    refuse("{\"field\":\"a\",\"eq\":null}", "/filter/eq");
    refuse("{\"field\":\"a\",\"in\":[1,null]}", "/filter/in/1");
    refuse("{\"field\":\"a\",\"lt\":1,\"lte\":1}", "/filter/lte");
    refuse("{\"field\":\"a\\u0000b\",\"eq\":1}", "/filter/field");
    refuse("{\"and\":[{\"or\":[{\"field\":\"a\",\"x/y\":1}]}]}", "/filter/and/0/or/0/x~1y");
    refuse("{\"not\":{\"field\":\"a\",\"gt\":1,\"lt\":\"x\"}}", "/filter");
}
END_TEST

/* {"or": [condition, ...]} with `count` conditions of `values` values. */
static enum status read_many(size_t count, size_t values) {
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"or\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, NULL, "%s{\"field\":\"a\",\"in\":[", i ? "," : "");
        for (size_t k = 0; k < values; k++) buffer_printf(&text, NULL, "%s1", k ? "," : "");
        buffer_printf(&text, NULL, "]}");
    }
    buffer_printf(&text, NULL, "]}%c", 0);
    enum status status = read_text((const char *)text.data);
    buffer_free(&text);
    return status;
}

START_TEST(limits) {
    ck_assert_int_eq(read_many(FILTER_NODES_MAX - 1, 1), STATUS_OK);
    ck_assert_int_eq(read_many(FILTER_NODES_MAX, 1), STATUS_INVALID);
    ck_assert_int_eq(read_many(1, FILTER_VALUES_MAX), STATUS_OK);
    ck_assert_int_eq(read_many(1, FILTER_VALUES_MAX + 1), STATUS_INVALID);
    ck_assert_int_eq(read_many(2, FILTER_VALUES_MAX / 2 + 1), STATUS_INVALID);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("filter_json");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, nothing_is_every_item);
    tcase_add_test(tests, conditions);
    tcase_add_test(tests, trees);
    tcase_add_test(tests, mistakes_are_pointed_at);
    tcase_add_test(tests, limits);
    return program_run("filter_json", tests, CK_NOFORK);
}
