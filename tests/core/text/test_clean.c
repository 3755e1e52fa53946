/* Cleaning as a whole and ftfy alone; the rows of test_tokenizer_goldens.c go deeper. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/text/clean.h"
#include "core/text/ftfy.h"
#include "core/text/text_tables.h"
#include "tests/support/program.h"

static const struct tokenizer_options openai = {.mode = TOKENIZER_OPENAI, .clean = TOKENIZER_LOWER};
static const struct tokenizer_options whitespace = {.mode = TOKENIZER_OPEN_CLIP,
                                                    .clean = TOKENIZER_WHITESPACE};
static const struct tokenizer_options canonical = {.mode = TOKENIZER_OPEN_CLIP,
                                                   .clean = TOKENIZER_CANONICALIZE};
static const struct tokenizer_options hf_fast = {.mode = TOKENIZER_HF_FAST,
                                                 .clean = TOKENIZER_LOWER};

static void expect(const struct buffer *out, const char *text, const char *expected) {
    ck_assert_msg(out->size == strlen(expected) &&
                      (!out->size || !memcmp(out->data, expected, out->size)),
                  "\"%s\" is \"%.*s\", expected \"%s\"", text, (int)out->size,
                  (const char *)out->data, expected);
}

static void check(const struct tokenizer_options *options, const char *text, const char *expected) {
    struct buffer out;
    buffer_init(&out, CLEAN_OUTPUT_MAX);
    ck_assert_int_eq(clean_text(&out, bytes_of(text), options, NULL), STATUS_OK);
    expect(&out, text, expected);
    buffer_free(&out);
}

static void check_ftfy(const char *text, const char *expected) {
    struct buffer out;
    buffer_init(&out, CLEAN_OUTPUT_MAX);
    ck_assert_int_eq(ftfy_fix(&out, bytes_of(text), NULL), STATUS_OK);
    expect(&out, text, expected);
    buffer_free(&out);
}

/* Expected values: ftfy 6.3.1 with fix_encoding=False. */
START_TEST(ftfy_steps) {
    check_ftfy("", "");
    check_ftfy("a\302\205b\302\222c\302\201", "a\u2026b'c\302\201");
    check_ftfy("\uFB01\u0149\u01C4", "fi'nD\u017D");
    check_ftfy("\uFF21\u3000\uFFE3\uFF76", "A  \u0304\u30AB");
    check_ftfy("\u2018\u201Cx\u201D\u2019", "'\"x\"'");
    check_ftfy("a\r\nb\rc\u2028d\u2029\n\r\n", "a\nb\nc\nd\n\n\n");
    check_ftfy("\033[1;31mred\033[0m \033[\u0663m \033[;\033[ \033", "red  [;[ ");
    check_ftfy("a\001b\177c\uFEFFd\u206Ae\uFFFCf", "abcdef");
    check_ftfy("\033\uFF3B\uFF11m", ""); /* full-width, an escape sequence all the same */
    check_ftfy("&#27;[1m", "[1m");
    check_ftfy("cafe\u0301", "caf\u00E9");
}
END_TEST

START_TEST(ftfy_references_until_the_first_less_than) {
    check_ftfy("&eacute;\n<b>\n&eacute;", "\u00E9\n<b>\n&eacute;");
    check_ftfy("&eacute;<", "&eacute;<");
    check_ftfy("&lt;&eacute;\n&eacute;", "<\u00E9\n\u00E9"); /* it came from a reference */
    check_ftfy("&amp;amp;amp;lt;", "<");
    check_ftfy("&amp\u037E", "&"); /* NFC makes the semicolon, the next round sees it */
}
END_TEST

/* Each round takes one layer off: the work has to stay within bounds, and what fits into
 * them is done to the end. */
START_TEST(ftfy_nested_references) {
    struct buffer text, out;
    buffer_init(&text, CLEAN_TEXT_MAX);
    buffer_init(&out, CLEAN_OUTPUT_MAX);
    buffer_append(&text, "&", 1, NULL);
    while (text.size + 4 <= 16384) buffer_append(&text, "amp;", 4, NULL);
    ck_assert_int_eq(ftfy_fix(&out, buffer_view(&text), NULL), STATUS_OK);
    expect(&out, "4,095 layers", "&");
    while (text.size + 4 <= 1 << 20) buffer_append(&text, "amp;", 4, NULL);
    out.size = 0;
    ck_assert_int_eq(ftfy_fix(&out, buffer_view(&text), NULL), STATUS_OK);
    ck_assert_uint_le(out.size, text.size - (size_t)4 * 30);
    buffer_free(&text);
    buffer_free(&out);
}
END_TEST

START_TEST(ftfy_cuts_long_lines) {
    /* ftfy takes a million characters at once, so NFC does not reach across. */
    struct buffer text, out;
    buffer_init(&text, CLEAN_TEXT_MAX);
    buffer_init(&out, CLEAN_OUTPUT_MAX);
    uint8_t *letters = buffer_reserve(&text, 1000000, NULL);
    ck_assert_ptr_nonnull(letters);
    memset(letters, 'e', 1000000);
    text.size = 1000000;
    buffer_append(&text, "\u0301e\u0301", 5, NULL);
    ck_assert_int_eq(ftfy_fix(&out, buffer_view(&text), NULL), STATUS_OK);
    ck_assert_uint_eq(out.size, 1000000 + 4);
    ck_assert(!memcmp(out.data + 999999, "e\u0301\u00E9", 5));
    buffer_free(&text);
    buffer_free(&out);
}
END_TEST

START_TEST(modes) {
    check(&openai, "  A\t\tPhoto\n of\u3000a CAT ", "a photo of a cat");
    check(&openai, "Tom &amp;amp; Jerry&lt", "tom & jerry<");
    check(&openai, "&#x3b;&#59;", ";;");
    check(&whitespace, "A  Photo\u00A0of &AMP; CAT", "A Photo of & CAT");
    check(&canonical, "Don't _snake_case_ (A-B)! <start_of_text>",
          "dont snake case ab start of text");
    check(&canonical, "\u00BFQu\u00E9?", "\u00BFqu\u00E9");
    check(&hf_fast, "  Tom &amp;  \u201CJerry\u201D ", "tom &amp; \u201Cjerry\u201D");
    check(&hf_fast, "\u1C89 \u0130", "\u1C8A i\u0307");
    check(&openai, "\u1C89 \u0130", "\u1C89 i\u0307");
    static const struct tokenizer_options *const all[] = {&openai, &whitespace, &canonical,
                                                          &hf_fast};
    for (size_t i = 0; i < 4; i++) {
        check(all[i], "", "");
        check(all[i], " \t\n\u2003", "");
    }
}
END_TEST

/* Expected values: str.lower() of Python 3.11. */
START_TEST(final_sigma) {
    check(&openai, "\u039F\u0394\u039F\u03A3", "\u03BF\u03B4\u03BF\u03C2");
    check(&openai, "\u03A3", "\u03C3");
    check(&openai, "A\u03A3B A\u03A3", "a\u03C3b a\u03C2");
    check(&openai, "A\u03A3'B A'\u03A3' 1\u03A3", "a\u03C3'b a'\u03C2' 1\u03C3");
    check(&openai, "\u03A3\u03A3\u03A3", "\u03C3\u03C3\u03C2");
    check(&hf_fast, "A\u03A3", "a\u03C3");
}
END_TEST

START_TEST(table_lists_are_sorted) {
    for (size_t i = 1; i < text_lower_count; i++)
        ck_assert_uint_lt(text_lower[i - 1].from, text_lower[i].from);
    for (size_t i = 1; i < text_hf_lower_count; i++)
        ck_assert_uint_lt(text_hf_lower[i - 1].from, text_hf_lower[i].from);
    for (size_t i = 1; i < text_fixes_count; i++)
        ck_assert_uint_lt(text_fixes[i - 1].from, text_fixes[i].from);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("clean");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, ftfy_steps);
    tcase_add_test(cases, ftfy_references_until_the_first_less_than);
    tcase_add_test(cases, ftfy_nested_references);
    tcase_add_test(cases, ftfy_cuts_long_lines);
    tcase_add_test(cases, modes);
    tcase_add_test(cases, final_sigma);
    tcase_add_test(cases, table_lists_are_sorted);
    return program_run("clean", cases, CK_NOFORK);
}
