#include <check.h>
#include <string.h>

#include "core/text/reread.h"
#include "tests/support/program.h"

enum { LIMIT = 1 << 16 };

/* `expected` is NULL where the bytes of the text are not UTF-8. */
static void check(enum mojibake_encoding encoding, const char *text, const char *expected) {
    struct buffer out, spare;
    buffer_init(&out, LIMIT);
    buffer_init(&spare, LIMIT);
    struct error err = ERROR_NONE;
    bool read;
    struct bytes source = bytes_of(text);
    ck_assert_msg(reread_encodings(source) >> encoding & 1, "\"%s\"", text);
    ck_assert_int_eq(reread_as(&out, &read, source, encoding, &spare, &err), STATUS_OK);
    ck_assert_uint_le(out.size, source.size);
    ck_assert_msg(read == (expected != NULL), "\"%s\"", text);
    if (expected)
        ck_assert_msg(out.size == strlen(expected) && !memcmp(out.data, expected, out.size),
                      "\"%s\" is \"%.*s\", expected \"%s\"", text, (int)out.size,
                      (const char *)out.data, expected);
    buffer_free(&out);
    buffer_free(&spare);
}

START_TEST(encodings) {
    check(MOJIBAKE_LATIN_1, "sch\u00C3\u00B6n", "sch\u00F6n");
    check(MOJIBAKE_LATIN_1, "sch\u00F6n", NULL);
    check(MOJIBAKE_WINDOWS_1252, "\u00E2\u20AC\u2122", "\u2019");
    check(MOJIBAKE_WINDOWS_1252, "\u00C3\302\201", "\u00C1"); /* unassigned, so the control */
    check(MOJIBAKE_WINDOWS_1251, "\u0412\u00B0", "\u00B0");
    check(MOJIBAKE_WINDOWS_1250, "\u0139\u201A", "\u0142");
    check(MOJIBAKE_WINDOWS_1253, "\u03B2\u20AC\u2122", "\u2019");
    check(MOJIBAKE_WINDOWS_1254, "\u00C4\u0178", "\u011F");
    check(MOJIBAKE_WINDOWS_1257, "\u00C4\u2026", "\u0105");
    check(MOJIBAKE_ISO_8859_2, "\u0139\302\202", "\u0142");
    check(MOJIBAKE_MACROMAN, "\u201A\u00C4\u00F4", "\u2019");
    check(MOJIBAKE_CP437, "\u0393\u00C7\u00D6", "\u2019");
}
END_TEST

START_TEST(what_has_the_characters) {
    const unsigned all = (1U << MOJIBAKE_ENCODINGS) - 1;
    const unsigned sloppy = 0x7E;
    ck_assert_uint_eq(reread_encodings(bytes_of("abc \u00B0")), all);
    ck_assert_uint_eq(reread_encodings(bytes_of("\uFFFD")), sloppy);
    ck_assert_uint_eq(reread_encodings(bytes_of("\032")), all & ~sloppy);
    ck_assert_uint_eq(reread_encodings(bytes_of("\u0430")), 1U << MOJIBAKE_WINDOWS_1251);
    ck_assert_uint_eq(reread_encodings(bytes_of("a\u4E2D")), 0);
}
END_TEST

/* Expected values: fix_encoding() of ftfy 6.3.1. */
START_TEST(lost_spaces) {
    check(MOJIBAKE_LATIN_1, "voil\u00C3 le", "voil\u00E0 le");
    check(MOJIBAKE_LATIN_1, "\u00C3", NULL);
    check(MOJIBAKE_LATIN_1, "\u00C3 ", "\u00E0 ");
    check(MOJIBAKE_LATIN_1, "\u00C3  la", "\u00E0 la");
    check(MOJIBAKE_LATIN_1, "\u00C3 s vezes", "\u00E0s vezes");
    check(MOJIBAKE_LATIN_1, "\u00C3 sul", "\u00E0 sul");
    check(MOJIBAKE_LATIN_1, "\u00C3 quele", "\u00E0quele");
    check(MOJIBAKE_LATIN_1, "\u00C3 quel", "\u00E0 quel");
    check(MOJIBAKE_LATIN_1, "\u00C2 \u00C5 ", "\u00A0\u0160");
    check(MOJIBAKE_LATIN_1, "\u00C4 ", NULL);
    check(MOJIBAKE_LATIN_1, "\u00E2 \302\200", "\342\240\200");
    check(MOJIBAKE_LATIN_1, "\u00E0\302\244 ", "\u0920");
    check(MOJIBAKE_LATIN_1, "\u00E0 \302\244", NULL);
    check(MOJIBAKE_LATIN_1, "\u00E2\302\205 ", NULL);
    check(MOJIBAKE_LATIN_1, "\u00F0 \302\237\302\220", "\U000207D0");
    check(MOJIBAKE_LATIN_1, "\u00F0\302\237 \302\220", "\U0001F810");
    check(MOJIBAKE_LATIN_1, "\u00F0\302\237\302\230 ", "\U0001F620");
    check(MOJIBAKE_MACROMAN, "\u221A ", NULL);
}
END_TEST

START_TEST(lost_bytes) {
    check(MOJIBAKE_WINDOWS_1252, "\u00C3\uFFFD", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00C3?", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00C4?", NULL);
    check(MOJIBAKE_WINDOWS_1252, "\u00E2\u20AC\uFFFD", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00E2?\uFFFD", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00E2??", NULL);
    check(MOJIBAKE_WINDOWS_1252, "\u00F0\u0178\u02DC?", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00F0\uFFFD\u02DC\uFFFD", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00F0?\uFFFD\u02DC", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00ED\u00A0?\u00ED\u00B8\u20AC", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "\u00ED\u00A0\u00BD\u00ED\u00B8?", "\uFFFD");
    check(MOJIBAKE_WINDOWS_1252, "a\uFFFDb", "a\uFFFDb");
    check(MOJIBAKE_LATIN_1, "\u00C3?", NULL); /* only in the sloppy ones */
}
END_TEST

START_TEST(variants_of_utf8) {
    check(MOJIBAKE_WINDOWS_1252, "\u00ED\u00A0\u00BD\u00ED\u00B8\u20AC", "\U0001F600");
    check(MOJIBAKE_LATIN_1, "\u00ED\u00A0\u00BD\u00ED\u00A0\u00BD", NULL);
    check(MOJIBAKE_LATIN_1, "\u00ED\u00B8\u00BD\u00ED\u00B8\u00BD", NULL);
    check(MOJIBAKE_LATIN_1, "\u00ED\u00A0\u00BD", NULL);
    check(MOJIBAKE_LATIN_1, "\u00ED\302\225\302\234", "\uD55C");
    check(MOJIBAKE_LATIN_1, "\u00C0\302\201", NULL);
    check(MOJIBAKE_LATIN_1, "\u00C0", NULL);
    /* A line feed at the end is taken for any byte, as ftfy does. */
    check(MOJIBAKE_LATIN_1, "\u00ED\u00A0\u00BD\u00ED\u00B8\n", "\U0001F60A");
    check(MOJIBAKE_LATIN_1, "\u00ED\u00A0\u00BD\u00ED\u00B8\n.", NULL);
    check(MOJIBAKE_LATIN_1, "\u00C0\n.", NULL);
    struct buffer out, spare;
    buffer_init(&out, LIMIT);
    buffer_init(&spare, LIMIT);
    struct error err = ERROR_NONE;
    static const char *const nulls[] = {"\u00C0\302\200", "\u00C0\n"};
    for (size_t i = 0; i < 2; i++) {
        bool read;
        ck_assert(!reread_as(&out, &read, bytes_of(nulls[i]), MOJIBAKE_LATIN_1, &spare, &err));
        ck_assert(read && out.size == 1 && out.data[0] == 0);
    }
    buffer_free(&out);
    buffer_free(&spare);
}
END_TEST

START_TEST(limits) {
    struct buffer out, spare;
    buffer_init(&out, 4);
    buffer_init(&spare, 3);
    struct error err = ERROR_NONE;
    bool read;
    struct bytes text = bytes_of("\u00C3\u00B6");
    ck_assert_int_eq(reread_as(&out, &read, text, MOJIBAKE_LATIN_1, &spare, &err),
                     STATUS_TOO_LARGE);
    spare.limit = 4;
    ck_assert_int_eq(reread_as(&out, &read, text, MOJIBAKE_LATIN_1, &spare, &err), STATUS_OK);
    ck_assert(read && out.size == 2);
    buffer_free(&out);
    buffer_free(&spare);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("reread");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, encodings);
    tcase_add_test(cases, what_has_the_characters);
    tcase_add_test(cases, lost_spaces);
    tcase_add_test(cases, lost_bytes);
    tcase_add_test(cases, variants_of_utf8);
    tcase_add_test(cases, limits);
    return program_run("reread", cases, CK_NOFORK);
}
