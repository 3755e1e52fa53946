#include "core/base/printable.h"

#include <check.h>
#include <stdio.h>

#include "tests/support/program.h"

START_TEST(what_is_left) {
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {" cat.jpg~", " cat.jpg~"},
        {"\xC2\xA0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x88",
         "\xC2\xA0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x88"},
        {"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF",
         "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF"},
        {"a\tb\r\nc\vd", "a b  c d"},
        {"\033]0;pwned\007", "?]0;pwned?"},
        {"\001\x1F\x7F", "???"},
        {"\xC2\x9B\x33\x31m\xC2\x80\xC2\x9F", "??31m????"}, /* C1 */
        {"\x9B", "?"},                                      /* the same in Latin-1 */
        /* Bidirectional: U+202E, U+202A; U+2066, U+2069; U+200E, U+200F, U+061C. */
        {"a\xE2\x80\xAEz\xE2\x80\xAA", "a???z???"},
        {"\xE2\x81\xA6x\xE2\x81\xA9", "???x???"},
        {"\xE2\x80\x8E\xE2\x80\x8F\xD8\x9C", "????????"},
        /* And what stands beside them. */
        {"\xE2\x80\x8D\xE2\x80\x90\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA\xD8\x9B",
         "\xE2\x80\x8D\xE2\x80\x90\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA\xD8\x9B"},
        {"\xC0\x9B\xC1\xBF", "????"}, /* overlong */
        {"\xE0\x80\x9B\xE0\x9F\xBF", "??????"},
        {"\xF0\x80\x80\x9B\xF0\x8F\xBF\xBF", "????????"},
        {"\xED\xA0\x80\xED\xBF\xBF", "??????"}, /* surrogates */
        {"\xF4\x90\x80\x80\xF5\x80\x80\x80\xFF", "?????????"},
        {"\xE2\x82", "??"}, /* cut off */
        {"\xE2\x82x", "??x"},
        {"\xF0\x9F\x90", "???"},
        {"\xC3", "?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[32];
        snprintf(text, sizeof(text), "%s", rows[i].text);
        printable_make(text);
        ck_assert_str_eq(text, rows[i].want);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, what_is_left);
    return program_run("printable", tests, CK_NOFORK);
}
