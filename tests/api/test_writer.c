#include <check.h>
#include <string.h>

#include "api/utf8.h"
#include "api/writer.h"
#include "tests/support/program.h"

static struct buffer out;
static struct writer writer;

static void setup(void) {
    buffer_init(&out, 1 << 20);
    writer_init(&writer, &out);
}

static void teardown(void) {
    buffer_free(&out);
}

static const char *written(void) {
    ck_assert_int_eq(writer_finish(&writer, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&out, "", 1, NULL), STATUS_OK);
    return (const char *)out.data;
}

START_TEST(separates_values_and_members) {
    writer_begin_object(&writer);
    writer_key(&writer, "a");
    writer_begin_array(&writer);
    writer_uint(&writer, 18446744073709551615u);
    writer_null(&writer);
    writer_begin_object(&writer);
    writer_end_object(&writer);
    writer_bool(&writer, true);
    writer_end_array(&writer);
    writer_key(&writer, "b");
    writer_float(&writer, -0.5f);
    writer_key(&writer, "c");
    writer_floats(&writer, (const float[]){1, 2}, 2);
    writer_end_object(&writer);
    ck_assert_str_eq(written(),
                     "{\"a\":[18446744073709551615,null,{},true],\"b\":-0.5,\"c\":[1,2]}");
}
END_TEST

START_TEST(escapes_what_a_string_cannot_hold) {
    writer_string(&writer, (struct bytes){(const uint8_t *)"\"\\\n\t\b\f\r\0\x1f\x7f/", 11});
    ck_assert_str_eq(written(), "\"\\\"\\\\\\n\\t\\b\\f\\r\\u0000\\u001f\\u007f/\"");
}
END_TEST

START_TEST(keeps_utf8_and_replaces_the_rest) {
    writer_text(&writer, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x88 \xff \xc3");
    ck_assert_str_eq(written(),
                     "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x88 \xef\xbf\xbd \xef\xbf\xbd\"");
}
END_TEST

START_TEST(knows_what_is_utf8) {
    static const char *const good[] = {
        "", "a", "\xc2\x80", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",
                                      "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xf0\x8f\xbf\xbf",
                                      "\xf5\x80",     "\xf4\x90\x80\x80", "\xe2\x82",
                                      "\xc3(",        "\xe2\x82("};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(utf8_valid(bytes_of(good[i])), "good %zu", i);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!utf8_valid(bytes_of(bad[i])), "bad %zu", i);
    }
}
END_TEST

START_TEST(base64_is_little_endian) {
    writer_base64(&writer, (const float[]){1, -2.5f}, 2);
    ck_assert_str_eq(written(), "\"AACAPwAAIMA=\"");
}
END_TEST

/* More floats than are encoded at once: the chunks must join without padding. */
START_TEST(base64_of_many_has_padding_only_at_the_end) {
    float numbers[500];
    for (int i = 0; i < 500; i++) numbers[i] = (float)i;
    writer_base64(&writer, numbers, 500);
    const char *text = written();
    ck_assert_uint_eq(strlen(text), 2 + (500 * 4 + 2) / 3 * 4);
    ck_assert_ptr_eq(strchr(text, '='), text + strlen(text) - 2);
}
END_TEST

START_TEST(stops_at_the_limit) {
    struct error err = ERROR_NONE;
    buffer_init(&out, 4);
    writer_text(&writer, "longer than that");
    writer_null(&writer);
    ck_assert_int_eq(writer_finish(&writer, &err), STATUS_TOO_LARGE);
    ck_assert_int_eq(err.status, STATUS_TOO_LARGE);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("writer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, separates_values_and_members);
    tcase_add_test(tests, escapes_what_a_string_cannot_hold);
    tcase_add_test(tests, keeps_utf8_and_replaces_the_rest);
    tcase_add_test(tests, knows_what_is_utf8);
    tcase_add_test(tests, base64_is_little_endian);
    tcase_add_test(tests, base64_of_many_has_padding_only_at_the_end);
    tcase_add_test(tests, stops_at_the_limit);
    return program_run("writer", tests, CK_NOFORK);
}
