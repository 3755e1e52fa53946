/* Items as clients see them. */
#include "api/item_json.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

/* The metadata of an item of which that is wanted, as text. */
static void check_metadata(const char *metadata, const char *include, const char *expected) {
    struct item_json how = {.parts = 0};
    struct item item = {.id = bytes_of("a"), .metadata = bytes_of(metadata)};
    struct buffer text;
    struct writer writer;
    buffer_init(&text, 4096);
    writer_init(&writer, &text);
    ck_assert_int_eq(item_json_parse_parts(&how, include, NULL), STATUS_OK);
    writer_begin_object(&writer);
    item_json_write(&writer, &item, &how);
    writer_end_object(&writer);
    ck_assert_int_eq(writer_finish(&writer, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&text, "", 1, NULL), STATUS_OK);
    const char *found = strstr((const char *)text.data, "\"metadata\":");
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found, expected);
    buffer_free(&text);
}

/* What is wanted of it has the text that it has in the whole. */
START_TEST(fields_are_as_they_were) {
    static const char whole[] = "{\"p\":0.1,\"t\":1e+300,\"n\":{\"i\":-7,\"r\":2.0,\"x\":null},"
                                "\"s\":\"\xc3\xa9/\",\"l\":[true,0.3,{}]}";
    check_metadata(whole, "metadata",
                   "\"metadata\":"
                   "{\"p\":0.1,\"t\":1e+300,\"n\":{\"i\":-7,\"r\":2.0,\"x\":null},"
                   "\"s\":\"\xc3\xa9/\",\"l\":[true,0.3,{}]}}");
    check_metadata(whole, "metadata.p,metadata.l", "\"metadata\":{\"p\":0.1,\"l\":[true,0.3,{}]}}");
    check_metadata(whole, "metadata.n.r,metadata.s,metadata.t,metadata.none",
                   "\"metadata\":{\"n\":{\"r\":2.0},\"s\":\"\xc3\xa9/\",\"t\":1e+300}}");
    check_metadata(whole, "metadata.none", "\"metadata\":{}}");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("item_json");
    tcase_add_test(tests, fields_are_as_they_were);
    return program_run("item_json", tests, CK_FORK_GETENV);
}
