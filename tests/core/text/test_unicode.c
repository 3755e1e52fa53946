#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/text/unicode.h"
#include "tests/support/program.h"

static struct bytes view(const char *text) {
    return bytes_of(text);
}

START_TEST(only_valid_utf8_is_valid) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2\x41",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xE2\x82",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF0\x9F\x98",
                                      "\xFE",
                                      "\xFF"};
    size_t offset = 99;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(unicode_valid(view(good[i]), &offset), "good %zu", i);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[16];
        snprintf(text, sizeof(text), "ok\xC3\xA9%s", bad[i]);
        ck_assert_msg(!unicode_valid(view(text), &offset), "bad %zu", i);
        ck_assert_uint_eq(offset, 4);
    }
    ck_assert(unicode_valid((struct bytes){(const uint8_t *)"a\0b", 3}, &offset));
}
END_TEST

START_TEST(every_character_survives_encoding) {
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c < 0xE000) continue;
        uint8_t text[4];
        size_t size = unicode_encode(text, c), offset;
        uint32_t back;
        bool same = unicode_valid((struct bytes){text, size}, &offset) &&
                    unicode_decode(&back, text) == size && back == c;
        if (!same) ck_abort_msg("U+%X", c); /* a million ck_assert() take seconds */
    }
}
END_TEST

START_TEST(classes_at_the_ends_of_ranges) {
    ck_assert_int_eq(unicode_classify('@'), UNICODE_OTHER);
    ck_assert_int_eq(unicode_classify('A'), UNICODE_LETTER);
    ck_assert_int_eq(unicode_classify('z'), UNICODE_LETTER);
    ck_assert_int_eq(unicode_classify('{'), UNICODE_OTHER);
    ck_assert_int_eq(unicode_classify('/'), UNICODE_OTHER);
    ck_assert_int_eq(unicode_classify('9'), UNICODE_NUMBER);
    ck_assert_int_eq(unicode_classify(0x8), UNICODE_OTHER);
    ck_assert_int_eq(unicode_classify(0x9), UNICODE_SPACE);
    ck_assert_int_eq(unicode_classify(0xD), UNICODE_SPACE);
    ck_assert_int_eq(unicode_classify(0x1C), UNICODE_OTHER);
    ck_assert_int_eq(unicode_classify(0x85), UNICODE_SPACE);
    ck_assert_int_eq(unicode_classify(0x2160), UNICODE_NUMBER);
    ck_assert_int_eq(unicode_classify(0x3000), UNICODE_SPACE);
    ck_assert_int_eq(unicode_classify(0x10FFFF), UNICODE_OTHER);
    /* What ASCII takes by comparison is what the tables say. */
    for (uint32_t c = 0; c < 0x80; c++) {
        enum unicode_class class = unicode_classify(c);
        ck_assert(unicode_in(&text_letters, c) == (class == UNICODE_LETTER));
        ck_assert(unicode_in(&text_numbers, c) == (class == UNICODE_NUMBER));
        ck_assert(unicode_in(&text_spaces, c) == (class == UNICODE_SPACE));
    }
}
END_TEST

static void check_nfc(const char *text, const struct text_ranges *marks, const char *expected) {
    struct buffer out;
    buffer_init(&out, 1 << 20);
    ck_assert_int_eq(unicode_nfc(&out, view(text), marks, NULL), STATUS_OK);
    ck_assert_msg(out.size == strlen(expected) && !memcmp(out.data, expected, out.size),
                  "\"%s\" is \"%.*s\", expected \"%s\"", text, (int)out.size,
                  (const char *)out.data, expected);
    buffer_free(&out);
}

START_TEST(nfc_composes_and_orders) {
    check_nfc("e\u0301", NULL, "\u00E9");
    check_nfc("cafe\u0301 cafe\u0301", NULL, "caf\u00E9 caf\u00E9");
    check_nfc("\u0301", NULL, "\u0301");
    check_nfc("\u00E9\u0323", NULL, "\u1EB9\u0301");
    check_nfc("q\u0307\u0323", NULL, "q\u0323\u0307");
    check_nfc("\u1100\u1161\u11A8", NULL, "\uAC01");
    check_nfc("\u0958", NULL, "\u0915\u093C");       /* excluded from composition */
    check_nfc("\uAC00\u11A7", NULL, "\uAC00\u11A7"); /* utf8proc 2.8 drops the second */
    check_nfc("\u212B\u2126", NULL, "\u00C5\u03A9");
    check_nfc("\U00011935\U00011930", NULL, "\U00011938");
}
END_TEST

START_TEST(nfc_with_an_older_unicode) {
    check_nfc("e\u0301", &text_hf_marks, "\u00E9");
    check_nfc("q\u0307\u0323", &text_hf_marks, "q\u0323\u0307");
    /* U+09FE is a mark since Unicode 11: above the ypogegrammeni it would move before it. */
    check_nfc("\u0345\u09FE", NULL, "\u09FE\u0345");
    check_nfc("\u0345\u09FE", &text_hf_marks, "\u0345\u09FE");
    check_nfc("a\u09FE\u0316e\u0301", &text_hf_marks, "a\u09FE\u0316\u00E9");
    check_nfc("\U00011935\U00011930", &text_hf_marks, "\U00011935\U00011930");
}
END_TEST

/* A run of marks far beyond the stack, all out of order. */
START_TEST(nfc_of_many_marks) {
    const size_t pairs = 5000;
    struct buffer text, out;
    buffer_init(&text, 1 << 20);
    buffer_init(&out, 1 << 20);
    buffer_append(&text, "q", 1, NULL);
    for (size_t i = 0; i < pairs; i++) buffer_append(&text, "\u0301\u0316", 4, NULL);
    ck_assert_int_eq(unicode_nfc(&out, buffer_view(&text), NULL, NULL), STATUS_OK);
    ck_assert_uint_eq(out.size, text.size);
    for (size_t i = 0; i < 2 * pairs; i++)
        ck_assert(!memcmp(out.data + 1 + 2 * i, i < pairs ? "\u0316" : "\u0301", 2));
    buffer_free(&text);
    buffer_free(&out);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("unicode");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, only_valid_utf8_is_valid);
    tcase_add_test(cases, every_character_survives_encoding);
    tcase_add_test(cases, classes_at_the_ends_of_ranges);
    tcase_add_test(cases, nfc_composes_and_orders);
    tcase_add_test(cases, nfc_with_an_older_unicode);
    tcase_add_test(cases, nfc_of_many_marks);
    return program_run("unicode", cases, CK_NOFORK);
}
