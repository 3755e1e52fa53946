/* What a hub's JSON becomes, and what is refused. */
#include "hub/answer.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

START_TEST(a_listing) {
    struct listing listing;
    struct bytes json = bytes_of("{\"sha\": \"" COMMIT "\", \"siblings\": [{\"rfilename\": \"a\"},"
                                 "{\"rfilename\": \"b/c\", \"size\": 7}, {\"rfilename\": \"a\"}]}");
    ck_assert_int_eq(answer_read_listing(&listing, json, NULL), STATUS_OK);
    ck_assert_str_eq(listing.commit, COMMIT);
    ck_assert_uint_eq(listing.files.count, 2);
    ck_assert(file_list_has(&listing.files, "b/c"));
    answer_free_listing(&listing);
}
END_TEST

static void expect_refused(const char *json, const char *message) {
    struct listing listing;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(answer_read_listing(&listing, bytes_of(json), &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
    ck_assert_ptr_null(listing.files.paths);
}

START_TEST(what_is_no_listing) {
    expect_refused("", "is HF_ENDPOINT right?");
    expect_refused("[]", "'sha' is not the name of a commit");
    expect_refused("{\"sha\": \"main\"}", "'sha' is not the name of a commit");
    expect_refused("{\"sha\": \"" COMMIT "\\u0000\", \"siblings\": []}", "HF_ENDPOINT");
    expect_refused("{\"sha\": \"" COMMIT "\", \"siblings\": {}}", "'siblings' is not an array");
    expect_refused("{\"sha\": \"" COMMIT "\", \"siblings\": [{\"rfilename\": \"a\"}, {}]}",
                   "a file without a name");
    expect_refused("{\"sha\": \"" COMMIT "\", \"siblings\": [{\"rfilename\": \"a/../../b\"}]}",
                   "'a/../../b', which is no path within a repository");
}
END_TEST

START_TEST(too_many_values) {
    struct buffer text;
    struct listing listing;
    struct error err = ERROR_NONE;
    buffer_init(&text, ANSWER_SIZE_MAX);
    buffer_printf(&text, NULL, "{\"sha\": \"" COMMIT "\", \"tags\": [");
    for (int i = 0; i < 1 << 18; i++) buffer_append(&text, "1,", 2, NULL);
    buffer_printf(&text, NULL, "1], \"siblings\": []}");
    ck_assert_int_eq(answer_read_listing(&listing, buffer_view(&text), &err), STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "the hub's answer has more than 262144 JSON values");
    ck_assert_ptr_null(listing.files.paths);
    buffer_free(&text);
}
END_TEST

START_TEST(an_index) {
    struct file_list files;
    struct bytes json =
        bytes_of("{\"weight_map\": {\"x\": \"1.bin\", \"y\": \"2.bin\", \"z\": \"1.bin\"}}");
    ck_assert_int_eq(answer_read_index(&files, "text_encoder/", json, NULL), STATUS_OK);
    ck_assert_uint_eq(files.count, 2);
    ck_assert(file_list_has(&files, "text_encoder/1.bin"));
    ck_assert(file_list_has(&files, "text_encoder/2.bin"));
    file_list_free(&files);
    json = bytes_of("{\"weight_map\": []}");
    ck_assert_int_eq(answer_read_index(&files, "", json, NULL), STATUS_UNPROCESSABLE);
    json = bytes_of("{\"weight_map\": {\"x\": \"a\", \"y\": \"../b\"}}");
    ck_assert_int_eq(answer_read_index(&files, "a/", json, NULL), STATUS_UNPROCESSABLE);
    json = bytes_of("{\"weight_map\": {\"x\": 1}}");
    ck_assert_int_eq(answer_read_index(&files, "", json, NULL), STATUS_UNPROCESSABLE);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("answer");
    tcase_add_test(tcase, a_listing);
    tcase_add_test(tcase, what_is_no_listing);
    tcase_add_test(tcase, too_many_values);
    tcase_add_test(tcase, an_index);
    return program_run("answer", tcase, CK_NOFORK);
}
