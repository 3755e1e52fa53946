/* What an index may say; that files and tensors fit it is tested in test_weights.c. */
#include "core/weights/shard_index.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/program.h"

static struct shard_index shards;
static struct error err;

static enum status parse(const char *text) {
    err = ERROR_NONE;
    return shard_index_parse(&shards, bytes_of(text), &err);
}

START_TEST(names_once_and_in_order) {
    ck_assert_int_eq(parse("{\"metadata\":{\"total_size\":4},\"weight_map\":{\"a\":\"y\",\"b\":"
                           "\"x\",\"c\":\"y\"}}"),
                     STATUS_OK);
    ck_assert_uint_eq(shards.count, 2);
    ck_assert_str_eq(shards.names[0], "x");
    ck_assert_str_eq(shards.names[1], "y");
    shard_index_free(&shards);
    shard_index_free(&shards);
}
END_TEST

/* Each file is asked for its own tensors, wherever the index lists them. */
START_TEST(tensors_of_a_file) {
    static const char *const files[] = {"u", "v", "w", "x", "y", "z"};
    ck_assert_int_eq(parse("{\"weight_map\":{\"a\":\"z\",\"b\":\"x\",\"c\":\"v\",\"d\":"
                           "\"x\",\"e\":\"z\",\"f\":\"v\",\"g\":\"x\"}}"),
                     STATUS_OK);
    ck_assert_uint_eq(shards.count, 3);
    for (size_t i = 0; i < 6; i++) {
        const char *want = i % 2 == 0 ? "" : i == 1 ? "cf" : i == 3 ? "bdg" : "ae";
        char names[4][2] = {"a", "b", "c", "d"};
        struct tensor list[4] = {{.name = NULL}};
        struct tensors tensors = {.list = list, .count = strlen(want)};
        for (size_t k = 0; k < tensors.count; k++) {
            names[k][0] = want[k];
            list[k].name = names[k];
        }
        err = ERROR_NONE;
        ck_assert_int_eq(shard_index_check(&shards, &tensors, files[i], &err), STATUS_OK);
        if (!tensors.count) continue;
        names[tensors.count - 1][0] = 'h'; /* the last one is missing */
        ck_assert_int_eq(shard_index_check(&shards, &tensors, files[i], &err),
                         STATUS_UNPROCESSABLE);
        char text[32];
        snprintf(text, sizeof(text), "tensor %c is not in %s,", want[tensors.count - 1], files[i]);
        ck_assert_msg(!strncmp(err.message, text, strlen(text)), "%s", err.message);
    }
    shard_index_free(&shards);
}
END_TEST

START_TEST(refused) {
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "index of shards"},
        {"[]", "an object is expected"},
        {"{\"weight_map\":[]}", "weight_map"},
        {"{\"weight_map\":{}}", "names no tensors"},
        {"{\"weight_map\":{\"a\":1}}", "tensor a is not a string"},
        {"{\"weight_map\":{\"a\":\"\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"x\",\"b\":\"../x\"}}", "\"../x\" is not the name of a file"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"x\\\\y\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"x\\ny\"}}", "not the name of a file"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status status = parse(rows[i].text);
        ck_assert_msg(status != STATUS_OK && status == err.status, "%s", rows[i].text);
        ck_assert_msg(strstr(err.message, rows[i].words) != NULL, "%s: %s", rows[i].text,
                      err.message);
        ck_assert_ptr_null(shards.names);
    }
}
END_TEST

/* 1024 files, and one more. */
START_TEST(as_many_as_there_may_be) {
    for (int most = 1024; most <= 1025; most++) {
        struct buffer text;
        buffer_init(&text, 1 << 20);
        buffer_printf(&text, NULL, "{\"weight_map\":{");
        for (int i = 0; i < most; i++)
            buffer_printf(&text, NULL, "%s\"%d\":\"s%d\"", i ? "," : "", i, i);
        buffer_printf(&text, NULL, "}}%c", 0);
        ck_assert_int_eq(parse((const char *)text.data),
                         most > 1024 ? STATUS_TOO_LARGE : STATUS_OK);
        shard_index_free(&shards);
        buffer_free(&text);
    }
}
END_TEST

START_TEST(more_values_than_any_file_has) {
    struct buffer text;
    buffer_init(&text, 2 << 20);
    buffer_printf(&text, NULL, "{\"x\":[");
    for (int i = 0; i < 1 << 18; i++) buffer_append(&text, "1,", 2, NULL);
    buffer_printf(&text, NULL, "1]}%c", 0);
    ck_assert_int_eq(parse((const char *)text.data), STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "index of shards has more than 262144 JSON values");
    buffer_free(&text);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("shard_index");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, names_once_and_in_order);
    tcase_add_test(tests, tensors_of_a_file);
    tcase_add_test(tests, refused);
    tcase_add_test(tests, as_many_as_there_may_be);
    tcase_add_test(tests, more_values_than_any_file_has);
    return program_run("shard_index", tests, CK_NOFORK);
}
