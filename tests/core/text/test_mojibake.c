/* The repair of texts one by one; the rows of tests/golden/text/mojibake.jsonl go wider. */
#include <check.h>
#include <string.h>

#include "core/text/garbled.h"
#include "core/text/mojibake.h"
#include "core/text/unicode.h"
#include "tests/support/program.h"

enum { LIMIT = 1 << 24, WORK = 1 << 24 };

static void check(const char *text, const char *expected) {
    struct buffer out;
    buffer_init(&out, LIMIT);
    size_t work = WORK;
    ck_assert_int_eq(mojibake_fix(&out, bytes_of(text), &work, NULL), STATUS_OK);
    ck_assert_msg(out.size == strlen(expected) &&
                      (!out.size || !memcmp(out.data, expected, out.size)),
                  "\"%s\" is \"%.*s\", expected \"%s\"", text, (int)out.size,
                  (const char *)out.data, expected);
    buffer_free(&out);
}

/* Expected values, here and below: fix_encoding() of ftfy 6.3.1. */
START_TEST(whole_texts) {
    check("", "");
    check("plain", "plain");
    check("caf\u00E9", "caf\u00E9");
    check("sch\u00C3\u00B6n caf\u00C3\u00A9", "sch\u00F6n caf\u00E9");
    check("don\u00E2\u20AC\u2122t", "don\u2019t");
    check("\u00F0\u0178\u02DC\u20AC", "\U0001F600");
    check("\u0420\u045F\u0421\u0402\u0420\u0451\u0420\u0406\u0420\u00B5\u0421\u201A",
          "\u041F\u0440\u0438\u0432\u0435\u0442");
    /* Three times over. */
    check("\u00C3\u0192\u00C6\u2019\u00C3\u201A\u00C2\u00A9", "\u00E9");
    /* Lost and unreadable: it stays. */
    check("\uFFFD\uFFFD", "\uFFFD\uFFFD");
    check("\u00E9\u00A9\u4E2D", "\u00E9\u00A9\u4E2D");
}
END_TEST

START_TEST(parts_of_texts) {
    check("\u4E2D caf\u00C3\u00A9", "\u4E2D caf\u00E9");
    check("\u00E9t\u00E9 \u00E2\u20AC\u201D \u4E2D", "\u00E9t\u00E9 \u2014 \u4E2D");
    /* A run that holds a run: the inner one comes to light when the outer one is read. */
    check("\u4E2D\u00C3\u00A9\u00C3\u0192\u00C2\u00A9", "\u4E2D\u00E9\u00E9");
    /* What is a run as a whole, and unreadable, is not taken apart. */
    check("\u00E2\u20AC\u201D\u00E0\u00B0\u00B0\u00D0\u2019", "\u2014\u0C30\u0412");
    check("\u00C3\u00A9\u00D0\u2039\u0141\u00A9", "\u00C3\u00A9\u00D0\u2039\u0141\u00A9");
}
END_TEST

START_TEST(controls) {
    check("\302\205\302\223", "\u2026\u201C");
    check("\302\201", "\302\201"); /* Windows-1252 has nothing there */
    check("\u4E2D\302\200\302\201", "\u4E2D\u20AC\302\201");
    check("\u00E2\302\200\u2122", "\u2019"); /* controls first, and then it can be read */
}
END_TEST

static void fix(struct buffer *out, struct bytes text, size_t work) {
    out->size = 0;
    ck_assert_int_eq(mojibake_fix(out, text, &work, NULL), STATUS_OK);
    size_t offset;
    ck_assert(unicode_valid(buffer_view(out), &offset));
}

static void take_for_latin_1(struct buffer *out, struct bytes text) {
    out->size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t encoded[4];
        size_t size = unicode_encode(encoded, text.data[i]);
        ck_assert(!buffer_append(out, encoded, size, NULL));
    }
}

/* Each time with something behind it that no encoding has, so that only runs can be read: what
 * comes out is a run beside it, twelve deep. */
START_TEST(nested_runs) {
    struct buffer text, again, out;
    buffer_init(&text, LIMIT);
    buffer_init(&again, LIMIT);
    buffer_init(&out, LIMIT);
    buffer_append(&text, "\u00E9", 2, NULL);
    for (size_t i = 0; i < 12; i++) {
        take_for_latin_1(&again, buffer_view(&text));
        buffer_append(&again, "\u4E2D", 3, NULL);
        text.size = 0;
        buffer_append(&text, again.data, again.size, NULL);
    }
    fix(&out, buffer_view(&text), WORK);
    ck_assert_uint_eq(out.size, 2 + 12 * 3);
    ck_assert(!memcmp(out.data, "\u00E9\u4E2D\u4E2D", 8));
    buffer_free(&text);
    buffer_free(&again);
    buffer_free(&out);
}
END_TEST

START_TEST(work_is_bounded) {
    struct buffer text, out;
    buffer_init(&text, LIMIT);
    buffer_init(&out, LIMIT);
    while (text.size < 1 << 20) buffer_append(&text, "\u00C3\u00A9\u4E2D", 7, NULL);
    fix(&out, buffer_view(&text), 0);
    ck_assert(out.size == text.size && !memcmp(out.data, text.data, text.size));
    /* Enough for some: the rest stays, nothing is lost. */
    fix(&out, buffer_view(&text), text.size + 400);
    ck_assert(out.size < text.size && out.size > text.size - 400);
    ck_assert(!memcmp(out.data, "\u00E9\u4E2D", 5));
    ck_assert(!memcmp(out.data + out.size - 7, "\u00C3\u00A9\u4E2D", 7));
    fix(&out, buffer_view(&text), 10 * text.size);
    ck_assert_uint_eq(out.size, text.size / 7 * 5);
    ck_assert(!garbled_suspect(buffer_view(&out)));
    buffer_free(&text);
    buffer_free(&out);
}
END_TEST

START_TEST(limits) {
    struct buffer out;
    buffer_init(&out, 8);
    size_t work = WORK;
    ck_assert_int_eq(
        mojibake_fix(&out, bytes_of("\u00C3\u00A9\u00C3\u00A9\u00C3\u00A9"), &work, NULL),
        STATUS_TOO_LARGE);
    buffer_free(&out);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("mojibake");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, whole_texts);
    tcase_add_test(cases, parts_of_texts);
    tcase_add_test(cases, controls);
    tcase_add_test(cases, nested_runs);
    tcase_add_test(cases, work_is_bounded);
    tcase_add_test(cases, limits);
    return program_run("mojibake", cases, CK_NOFORK);
}
