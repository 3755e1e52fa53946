#include <check.h>
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/json_body.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

enum { VALUES_MAX = 1000 };

static enum status parse(struct bytes text, struct error *err) {
    struct json_body json = {0};
    enum status status = json_body_parse(&json, text, VALUES_MAX, NULL, err);
    ck_assert_int_eq(json.root != NULL, status == STATUS_OK);
    json_body_free(&json);
    return status;
}

static void check_refused(const char *text, const char *because) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(parse(bytes_of(text), &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.message, because), "%s: %s", text, err.message);
}

START_TEST(says_what_is_wrong) {
    check_refused("", "empty");
    check_refused("nonsense", "not valid JSON");
    check_refused("[]", "the body is an array, an object is expected");
    check_refused("12", "the body is a number");
    check_refused("{\"a\":1,\"a\":2}", "twice");
    check_refused("{\"a\\u0000b\":1}", "contains NUL");
    check_refused("{\"a\":1} x", "not valid JSON");
    check_refused("{\"a\":\"\xff\"}", "not valid JSON");
}
END_TEST

START_TEST(sees_bytes_behind_the_end) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(parse((struct bytes){(const uint8_t *)"{}\0", 3}, &err), STATUS_INVALID);
    ck_assert_int_eq(parse((struct bytes){(const uint8_t *)"{}\n", 3}, NULL), STATUS_OK);
}
END_TEST

/* `open` and `close` as often as that, around nothing. */
static enum status parse_nested(int depth) {
    char text[256];
    int size = 0;
    for (int i = 0; i < depth; i++) size += sprintf(text + size, i ? "[" : "{\"a\":");
    size += sprintf(text + size, "1");
    for (int i = depth; i-- > 0;) text[size++] = i ? ']' : '}';
    return parse((struct bytes){(const uint8_t *)text, (size_t)size}, NULL);
}

START_TEST(bounds_the_depth) {
    ck_assert_int_eq(parse_nested(48), STATUS_OK);
    ck_assert_int_eq(parse_nested(49), STATUS_INVALID);
}
END_TEST

static enum status parse_list(size_t items) {
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"a\":[\"[{,\\\"\"");
    for (size_t i = 1; i < items; i++) buffer_printf(&text, NULL, ",1");
    buffer_printf(&text, NULL, "]}");
    enum status status = parse(buffer_view(&text), NULL);
    buffer_free(&text);
    return status;
}

/* The object and the array count, what looks like JSON in a string does not. */
START_TEST(bounds_the_values) {
    ck_assert_int_eq(parse_list(VALUES_MAX - 2), STATUS_OK);
    ck_assert_int_eq(parse_list(VALUES_MAX - 1), STATUS_TOO_LARGE);
}
END_TEST

static long peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Ten megabytes that would become hundreds as a tree. */
START_TEST(refuses_bombs_at_once) {
    struct buffer text;
    struct error err = ERROR_NONE;
    buffer_init(&text, 16 << 20);
    buffer_printf(&text, NULL, "{\"a\":[");
    while (text.size < 10 << 20) buffer_append(&text, "{},", 3, NULL);
    long before_kib = peak_kib();
    uint64_t started = clock_now_ns();
    ck_assert_int_eq(parse(buffer_view(&text), &err), STATUS_TOO_LARGE);
    ck_assert_uint_lt(clock_now_ns() - started, UINT64_C(500) * CLOCK_NS_PER_MS);
    ck_assert_int_lt(peak_kib() - before_kib, 4096);
    buffer_free(&text);
}
END_TEST

START_TEST(reads_values) {
    json_t *values = json_pack("{s:b,s:I,s:s%,s:I,s:n}", "flag", 1, "count", (json_int_t)7, "text",
                               "a\0b", (size_t)3, "negative", (json_int_t)-1, "null");
    bool flag = false;
    uint32_t count = 0;
    struct bytes text;
    struct json_body none = {0};
    struct error err = ERROR_NONE;
    json_t *get_text = json_object_get(values, "text");
    ck_assert_int_eq(json_body_bool(&flag, json_object_get(values, "flag"), "/flag", NULL), 0);
    ck_assert(flag);
    ck_assert_int_eq(json_body_uint(&count, json_object_get(values, "count"), 7, "/count", NULL),
                     0);
    ck_assert_uint_eq(count, 7);
    ck_assert_int_eq(json_body_string(&text, &none, get_text, "/text", NULL), 0);
    ck_assert_uint_eq(text.size, 3);

    ck_assert_int_eq(json_body_bool(&flag, get_text, "/flag", &err), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/flag");
    ck_assert_str_eq(err.message, "flag is a string, true or false is expected");
    ck_assert_int_eq(json_body_uint(&count, json_object_get(values, "count"), 8, "/count", NULL),
                     STATUS_INVALID);
    ck_assert_int_eq(
        json_body_uint(&count, json_object_get(values, "negative"), 0, "/negative", NULL),
        STATUS_INVALID);
    ck_assert_int_eq(json_body_string(&text, &none, json_object_get(values, "null"), "/null", NULL),
                     STATUS_INVALID);
    json_decref(values);
}
END_TEST

/* What the tree costs is taken while it lives, and what is not left is refused. */
START_TEST(counts_the_memory_of_the_tree) {
    enum { COUNT = 900, LEAST = COUNT * 40, MOST = COUNT * 64 };
    char text[2 * COUNT + 16] = "{\"a\":[0", *end = text + strlen(text);
    struct budget memory = {.max = MOST};
    struct json_body first, second;
    struct error err = ERROR_NONE;
    for (int i = 1; i < COUNT; i++) end += sprintf(end, ",0");
    sprintf(end, "]}");
    ck_assert_int_eq(json_body_parse(&first, bytes_of(text), VALUES_MAX, &memory, NULL), STATUS_OK);
    ck_assert_uint_ge(budget_used(&memory), LEAST);
    ck_assert_int_eq(json_body_parse(&second, bytes_of(text), VALUES_MAX, &memory, &err),
                     STATUS_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(err.message, "902 values"));
    json_body_free(&first);
    json_body_free(&second);
    ck_assert_uint_eq(budget_used(&memory), 0);
    sprintf(end, "]");
    ck_assert_int_eq(json_body_parse(&first, bytes_of(text), VALUES_MAX, &memory, NULL),
                     STATUS_INVALID);
    ck_assert_uint_eq(budget_used(&memory), 0);
}
END_TEST

/* What jansson holds, and held at most. */
static size_t held, held_most;

static void *hold(size_t size) {
    void *memory = malloc(size);
    if (memory) held += malloc_usable_size(memory);
    if (held > held_most) held_most = held;
    return memory;
}

static void let_go(void *memory) {
    if (memory) held -= malloc_usable_size(memory);
    free(memory);
}

/* Whatever a tree is made of, it takes no more than was counted for it. */
START_TEST(counts_no_less_than_the_tree_takes) {
    static const char *const parts[] = {"0", "[]", "{}", "{\"\":0}", "[[],{\"a\":null}]", "\"\""};
    static const size_t counts[] = {1, 7, 64, 65, 1000, 4097};
    struct buffer text;
    struct json_body json;
    buffer_init(&text, 1 << 20);
    json_set_alloc_funcs(hold, let_go);
    for (size_t i = 0; i < (size_t)12 * 6; i++) {
        bool members = i % 2;
        struct budget memory = {.max = SIZE_MAX};
        text.size = 0;
        buffer_printf(&text, NULL, members ? "{\"a\":{\"\":0" : "{\"a\":[0");
        for (size_t j = 0; j < counts[i / 12]; j++) {
            if (members)
                buffer_printf(&text, NULL, ",\"%zx\":%s", j, parts[i / 2 % 6]);
            else
                buffer_printf(&text, NULL, ",%s", parts[i / 2 % 6]);
        }
        buffer_printf(&text, NULL, members ? "}}" : "]}");
        held_most = held;
        ck_assert_int_eq(json_body_parse(&json, buffer_view(&text), SIZE_MAX, &memory, NULL), 0);
        ck_assert_msg(held_most <= budget_used(&memory), "%.60s: %zu, %zu were counted",
                      (const char *)text.data, held_most, budget_used(&memory));
        json_body_free(&json);
        ck_assert_uint_eq(held, 0);
    }
    json_set_alloc_funcs(malloc, free);
    buffer_free(&text);
}
END_TEST

/* {"a": `first` + filler, "b": ["c"]} as the strings that come out. */
static void check_long(const char *first, size_t size, bool outside) {
    struct buffer text;
    struct json_body json;
    struct bytes a, c;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"a\" : \"%s", first);
    size_t start = text.size - strlen(first);
    for (size_t i = strlen(first); i < size; i++) buffer_append(&text, "x", 1, NULL);
    buffer_printf(&text, NULL, "\" , \"b\":[\"c\"]}");
    ck_assert_int_eq(json_body_parse(&json, buffer_view(&text), 10, NULL, NULL), STATUS_OK);
    ck_assert_int_eq(json_body_string(&a, &json, json_object_get(json.root, "a"), "/a", NULL),
                     STATUS_OK);
    const json_t *inner = json_array_get(json_object_get(json.root, "b"), 0);
    ck_assert_int_eq(json_body_string(&c, &json, inner, "/b/0", NULL), STATUS_OK);
    ck_assert(c.size == 1 && c.data[0] == 'c');
    ck_assert_int_eq(a.data == text.data + start, outside);
    ck_assert_uint_ge(a.size + 5, size);
    ck_assert_int_eq(a.data[a.size - 1], 'x');
    if (outside) ck_assert_uint_eq(a.size, size);
    json_body_free(&json);
    buffer_free(&text);
}

START_TEST(long_strings_stay_outside) {
    check_long("x", 1023, false);
    check_long("x", 1024, true);
    check_long("x", 100000, true);
    /* Not what they mean, or not only what stand-ins begin with. */
    check_long("\\n", 5000, false);
    check_long("\xc3\xa9", 5000, false);
    check_long("\\u0000", 5000, false);
}
END_TEST

/* Somebody writes what a stand-in looks like. */
START_TEST(stand_ins_cannot_be_forged) {
    struct buffer text;
    struct json_body json;
    struct bytes forged;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"f\":\"\\u00001:fffffff\",\"a\":\"%05000d\"}", 0);
    ck_assert_int_eq(json_body_parse(&json, buffer_view(&text), 10, NULL, NULL), STATUS_OK);
    json_body_string(&forged, &json, json_object_get(json.root, "f"), "/f", NULL);
    ck_assert_uint_eq(forged.size, 10);
    ck_assert_mem_eq(forged.data, "\0001:fffffff", 10);
    json_body_free(&json);
    buffer_free(&text);
}
END_TEST

START_TEST(long_names_and_open_strings) {
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, NULL, "{\"%05000d\" :1,\"a\":2}", 0);
    ck_assert_int_eq(parse(buffer_view(&text), NULL), STATUS_OK);
    text.size = 5002; /* within the name */
    ck_assert_int_eq(parse(buffer_view(&text), NULL), STATUS_INVALID);
    text.size = 5003;
    ck_assert_int_eq(parse(buffer_view(&text), NULL), STATUS_INVALID);
    buffer_free(&text);
}
END_TEST

static void check_case(const char *folder, const char *name) {
    /* Parsers may differ on i_...; these two are JSON that we refuse for a reason. */
    bool refused = strstr(name, "duplicated_key") || strstr(name, "escaped_null_in_key");
    char *path = file_join(folder, name);
    struct buffer text;
    struct error err = ERROR_NONE;
    buffer_init(&text, 1 << 20);
    ck_assert_int_eq(file_read(&text, path, NULL), STATUS_OK);
    enum status status = parse(buffer_view(&text), &err);
    bool malformed = strstr(err.message, "not valid JSON") || strstr(err.message, "empty") ||
                     strstr(err.message, "nests deeper");
    if (name[0] == 'y') ck_assert_msg(!malformed, "%s: %s", name, err.message);
    if (name[0] == 'y' && refused) ck_assert_msg(status == STATUS_INVALID, "%s", name);
    if (name[0] == 'n') {
        ck_assert_msg(status == STATUS_INVALID && malformed, "%s: %d %s", name, status,
                      err.message);
    }
    buffer_free(&text);
    free(path);
}

START_TEST(agrees_with_json_test_suite) {
    if (shared_missing()) return;
    char *folder = shared_path("corpora/json-testsuite/test_parsing");
    DIR *directory = opendir(folder);
    int cases = 0;
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        check_case(folder, entry->d_name);
        cases++;
    }
    closedir(directory);
    free(folder);
    ck_assert_int_eq(cases, 318);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("json_body");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, says_what_is_wrong);
    tcase_add_test(tests, sees_bytes_behind_the_end);
    tcase_add_test(tests, bounds_the_depth);
    tcase_add_test(tests, bounds_the_values);
    tcase_add_test(tests, refuses_bombs_at_once);
    tcase_add_test(tests, reads_values);
    tcase_add_test(tests, counts_the_memory_of_the_tree);
    tcase_add_test(tests, counts_no_less_than_the_tree_takes);
    tcase_add_test(tests, long_strings_stay_outside);
    tcase_add_test(tests, stand_ins_cannot_be_forged);
    tcase_add_test(tests, long_names_and_open_strings);
    tcase_add_test(tests, agrees_with_json_test_suite);
    return program_run("json_body", tests, CK_NOFORK);
}
