#include <check.h>
#include <string.h>

#include "core/text/pretokenize.h"
#include "tests/support/program.h"

/* The words with a space between them; special ones are [S] and [E]. */
static void check(const char *text, bool special, bool hf_fast, const char *expected) {
    struct pretokenizer pretokenizer = {.text = bytes_of(text), .hf_fast = hf_fast};
    if (special) {
        pretokenizer.start_word = "<|startoftext|>";
        pretokenizer.end_word = "<|endoftext|>";
    }
    struct buffer found;
    buffer_init(&found, 1024);
    struct bytes word;
    for (enum pretoken_kind kind; (kind = pretokenizer_next(&pretokenizer, &word));) {
        ck_assert_uint_gt(word.size, 0);
        if (kind == PRETOKEN_START) word = bytes_of("[S]");
        if (kind == PRETOKEN_END) word = bytes_of("[E]");
        if (found.size) buffer_append(&found, " ", 1, NULL);
        buffer_append(&found, word.data, word.size, NULL);
    }
    buffer_append(&found, "", 1, NULL);
    ck_assert_str_eq((const char *)found.data, expected);
    buffer_free(&found);
}

START_TEST(words) {
    check("", true, false, "");
    check("   ", true, false, "");
    check("a photo, 2020!", true, false, "a photo , 2 0 2 0 !");
    check("don't they're 'red 'x '", true, false, "don 't they 're 're d ' x '");
    check("!!'s", true, false, "!!' s"); /* a run takes the apostrophe along */
    check("\u00BD\u0663x\u00E9-\u65E5\u672C", true, false, "\u00BD \u0663 x\u00E9 - \u65E5\u672C");
    check("e\u0301x", true, false, "e \u0301 x");
}
END_TEST

START_TEST(special_words) {
    check("<|startoftext|>a<|endoftext|>", true, false, "[S] a [E]");
    check("<|startoftext|>", false, false, "<| startoftext |>");
    check("!<|endoftext|>", true, false, "!<| endoftext |>");
    check("<|endoftext|", true, false, "<| endoftext |");
    check("<|ENDOFTEXT|>", true, false, "<|ENDOFTEXT|>"); /* one word, not special */
    check("<|\u017Ftartoftext|>", true, false, "<|\u017Ftartoftext|>");
}
END_TEST

START_TEST(case_is_ignored_but_in_hf_fast) {
    check("X'S '\u017F 'Re", false, false, "X 'S '\u017F 'Re");
    check("X'S '\u017F 'Re 're", false, true, "X ' S ' \u017F ' Re 're");
    check("a\u0345b\u0345", false, false, "a b");
    check("a\u0345b", false, true, "a \u0345 b");
}
END_TEST

START_TEST(newer_letters_are_of_hf_fast) {
    check("a\u1C8A1\U00010D40", false, true, "a\u1C8A 1 \U00010D40");
    check("a\u1C8A1\U00010D40", false, false, "a \u1C8A 1 \U00010D40");
    check("\U00010D40\U00010D41", false, true, "\U00010D40 \U00010D41");
    check("\U00010D40\U00010D41", false, false, "\U00010D40\U00010D41");
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("pretokenize");
    tcase_add_test(cases, words);
    tcase_add_test(cases, special_words);
    tcase_add_test(cases, case_is_ignored_but_in_hf_fast);
    tcase_add_test(cases, newer_letters_are_of_hf_fast);
    return program_run("pretokenize", cases, CK_NOFORK);
}
