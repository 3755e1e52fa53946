/* JSON values of requests as text again. */
#include "api/json_text.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/program.h"

static void expect(const char *text, const char *expected) {
    struct json_body json;
    struct buffer out;
    struct writer writer;
    buffer_init(&out, 1 << 20);
    writer_init(&writer, &out);
    ck_assert_int_eq(json_body_parse(&json, bytes_of(text), 1000, NULL, NULL), STATUS_OK);
    json_text_write(&writer, &json, json.root);
    ck_assert_int_eq(writer_finish(&writer, NULL), STATUS_OK);
    ck_assert_uint_eq(out.size, strlen(expected));
    ck_assert_mem_eq(out.data, expected, out.size);
    buffer_free(&out);
    json_body_free(&json);
}

START_TEST(all_kinds) {
    expect("{}", "{}");
    expect(" { \"a\" : [ 1 , -2 , true , false , null , { } , [ ] ] } ",
           "{\"a\":[1,-2,true,false,null,{},[]]}");
    expect("{\"a\\\"\\u00e9/\":\"\\n\\u0001\xc3\xa9\"}",
           "{\"a\\\"\xc3\xa9/\":\"\\n\\u0001\xc3\xa9\"}");
}
END_TEST

START_TEST(numbers_keep_their_value) {
    expect("{\"a\":[0.1,1.5,1e300,-2.5e-7,1.0,9007199254740993,-9223372036854775808,"
           "0.30000000000000004]}",
           "{\"a\":[0.1,1.5,1e+300,-2.5e-07,1.0,9007199254740993,-9223372036854775808,"
           "0.30000000000000004]}");
}
END_TEST

START_TEST(long_strings) {
    char text[6000], expected[6000];
    snprintf(text, sizeof(text), "{\"a\": \"%05000d\", \"b\":1}", 7);
    snprintf(expected, sizeof(expected), "{\"a\":\"%05000d\",\"b\":1}", 7);
    expect(text, expected);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("json_text");
    tcase_add_test(tests, all_kinds);
    tcase_add_test(tests, numbers_keep_their_value);
    tcase_add_test(tests, long_strings);
    return program_run("json_text", tests, CK_NOFORK);
}
