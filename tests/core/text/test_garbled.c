#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/garbled.h"
#include "tests/support/program.h"

/* A copy without room behind it, so that the sanitizer sees reads past the end. */
static uint8_t *copy_of(const char *text) {
    struct bytes source = bytes_of(text);
    uint8_t *copy = malloc(source.size ? source.size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, source.data, source.size);
    return copy;
}

static void check(const char *text, bool suspect) {
    uint8_t *copy = copy_of(text);
    ck_assert_msg(garbled_suspect((struct bytes){copy, strlen(text)}) == suspect,
                  "\"%s\" is%s suspect", text, suspect ? " not" : "");
    free(copy);
}

/* One text for each rule, and, where more than two characters meet, what is not enough.
 * Expected values: ftfy.badness.is_bad() of ftfy 6.3.1. */
START_TEST(rules) {
    static const char *const suspect[] = {
        "a\302\201",
        "\u00E9\u00A8",
        "\u00A8\u00E9",
        "x\u0391\u00AC",
        "\u00E9\u00C9",
        "\u00BB\u00E9",
        "\u00E9\u20AC",
        " \u00C9\u20AC",
        "\u3000\u00C9\u20AC",
        "\u00C9\u00B2",
        "\u00E9\u00A1\u00B2",
        "\u00E9\u00BB\u00A1",
        "\u20AC\u00A1",
        "a\u00C9\u20AC",
        "\u00E9\u00BBx",
        "\u00E9\u00BB\u4E2D",
        "\u00E9\u00BB_",
        "\u2502\u00F3",
        "\u00E9\u2502",
        "\u0153 ",
        "\u0153\u00E9",
        "\u0153\u4E2D",
        "\u00C9\u00B0",
        "\u00C2\u00A0",
        "\u00D7\u00B2",
        "\u00D8\u00B4\u00D9\u2026",
        "\u00E0\u00BC",
        "\u00C3\u00A1",
        "a\u00C3 ",
        "a \u00C2 ",
        "\u00C3 ",
        ".\u00C2 ",
        "\u221A\u2020",
        "\u2248\u00B0",
        "\u201A\u00C4\u00F4",
        "\u201A\u00E2\u00E0",
        "\u0432\u0402",
        "\u0412\u00B0\u0413",
        "\u03B2\u20AC\u2122",
        "\u0392\u00B0\u0393",
        "\u0101\u20AC",
        "\u0413\u045E\u0412\u0402\u0412-a",
        "\uFFFD\u00E9",
        "it\u00E2\u20AC\u2122s",
    };
    static const char *const fine[] = {
        "",
        "a photo of a cat",
        "caf\u00E9 na\u00EFve \u00C7a va \u00AB \u00E9t\u00E9 \u00BB",
        "\u201Ccurly\u201D \u2018quotes\u2019 5\u00B0 \u00A35 \u00BD \u00A9",
        "\u041F\u0440\u0438\u0432\u0435\u0442 \u4E2D\u6587 \u03B1\u03B2\u03B3",
        "\u00C9\u20AC",
        "\u00E9\u00A1",
        "\u00E9\u00BB ",
        "\u00E9\u00BB\u3002",
        "1\u0391\u00AC",
        "\u0153u",
        "\u0153",
        "\u00D8\u00B4\u00D9",
        " \u00C3 ",
        "-\u00C2 ",
        "\u0412\u00B0",
        "\u0413\u045E\u0412\u0402\u0412\na",
        "\u0413\u045E\u0412\u0402\u0412-1",
        "\uFFFD",
        "\u00E9 \u20AC",
    };
    for (size_t i = 0; i < sizeof(suspect) / sizeof(suspect[0]); i++) check(suspect[i], true);
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) check(fine[i], false);
}
END_TEST

/* `run` is NULL, or what is found at `from` or behind. */
static void check_run(const char *text, size_t from, const char *run) {
    uint8_t *copy = copy_of(text);
    size_t begin = 0, end = 0;
    bool found = garbled_run(&begin, &end, (struct bytes){copy, strlen(text)}, from);
    ck_assert_msg(found == (run != NULL), "\"%s\"", text);
    if (found)
        ck_assert_msg(end - begin == strlen(run) && !memcmp(copy + begin, run, end - begin),
                      "\"%s\" has \"%.*s\", expected \"%s\"", text, (int)(end - begin),
                      (const char *)copy + begin, run);
    free(copy);
}

START_TEST(runs) {
    check_run("", 0, NULL);
    check_run("plain", 0, NULL);
    check_run("\u00C3", 0, NULL);
    check_run("a\u00C3\u00A9b\u00C3\u00A9", 0, "\u00C3\u00A9");
    check_run("\u00C3\u00A9\u00E2\u20AC\u2122\u00F0\u0178\u02DC\u20AC.", 0,
              "\u00C3\u00A9\u00E2\u20AC\u2122\u00F0\u0178\u02DC\u20AC");
    check_run("\u00E2\u20AC.", 0, NULL);
    check_run("\u00F0\u0178\u02DC.", 0, NULL);
    check_run("\u00C3 x", 0, "\u00C3 "); /* the space may have been a no-break space */
    /* Behind a continuation nothing begins, and the look back goes past `from`. */
    check_run("\u00A9\u00C3\u00A9", 0, NULL);
    check_run("\u00A9\u00C3\u00A9", 2, NULL);
    check_run("\u2019\u00C3\u00A9", 0, "\u00C3\u00A9"); /* but quotes stand for themselves */
    check_run("\u2019\u00C3\u00A9", 3, "\u00C3\u00A9");
}
END_TEST

START_TEST(table_is_sorted) {
    for (size_t i = 1; i < mojibake_characters_count; i++)
        ck_assert_uint_lt(mojibake_characters[i - 1].point, mojibake_characters[i].point);
    for (uint32_t c = 0; c < 0x100; c++) ck_assert_uint_eq(garbled_find(c)->point, c);
    ck_assert_ptr_null(garbled_find(0x4E2D));
    ck_assert_ptr_null(garbled_find(0x1FFFD));
    ck_assert_ptr_nonnull(garbled_find(0xFFFD));
    ck_assert_ptr_null(garbled_find(0xFFFE));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("garbled");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, rules);
    tcase_add_test(cases, runs);
    tcase_add_test(cases, table_is_sorted);
    return program_run("garbled", cases, CK_NOFORK);
}
